//! The text that a new scenario begins as.

use crate::schema;

/// The text of a new scenario: that of another without the comments at its head and with a title that asks to be replaced. It
/// starts in the full tier, since the smoke tier is run by everybody.
#[must_use]
pub fn draft(from: &str, name: &str) -> String {
    let body = from.lines().skip_while(|l| l.starts_with('#'));
    let mut out = schema::editor_hint("scenario.json")
        + "\n# What this scenario shows, and why it matters.\n";
    // Behind the first table a line that looks like a key of the scenario is another table's, or part of a script.
    let mut in_head = true;
    for line in body {
        in_head &= !line.starts_with('[');
        if in_head && line.starts_with("title =") {
            out += &format!("title = \"{name}\"");
        } else if in_head && line.starts_with("tier =") {
            out += "tier = \"full\"";
        } else {
            out += line;
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_keeps_the_settings_and_drops_the_story() {
        let from = "#:schema ../docs/schema/scenario.json\n# The story.\ntitle = \"Old\"\ntier = \"smoke\"\nboards = [\"raspi3b\"]\n\n[boot]\nscript = '''\n#!ipxe\ntitle = of the script\n'''\n";
        insta::assert_snapshot!(draft(from, "mine"), @r##"
        #:schema ../docs/schema/scenario.json
        # What this scenario shows, and why it matters.
        title = "mine"
        tier = "full"
        boards = ["raspi3b"]

        [boot]
        script = '''
        #!ipxe
        title = of the script
        '''
        "##);
    }
}
