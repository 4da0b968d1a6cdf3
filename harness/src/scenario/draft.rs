//! The text that a new scenario begins as.

use super::Scenario;
use crate::schema;

/// The text of a new scenario, which extends another. Nothing can extend a variant: of that it has the whole text, without the comments at its
/// head. It starts in the full tier, since the smoke tier is run by everybody.
#[must_use]
pub fn draft(from: &Scenario, name: &str) -> String {
    let head = schema::editor_hint("scenario.json")
        + "\n# What this scenario shows, and why it matters.\n";
    let is_whole_file = from.files.first().is_some_and(|file| *file == *from.name);
    match is_whole_file {
        true => format!(
            "{head}extends = \"{}\"\ntitle = \"{name}\"\ntier = \"full\"\n",
            from.name
        ),
        false => copied(head, &from.source.text, name),
    }
}

fn copied(head: String, from: &str, name: &str) -> String {
    let body = from.lines().skip_while(|l| l.starts_with('#'));
    let mut out = head;
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
    use crate::board::Board;
    use crate::scenario::testing::project;

    #[test]
    fn a_draft_extends_a_scenario_and_copies_a_variant() {
        let boards = Board::read_all(&project().join("boards")).unwrap();
        let all = Scenario::read_all(&project().join("scenarios"), &boards).unwrap();
        let draft = |of: &str| draft(all.iter().find(|s| &*s.name == of).unwrap(), "mine");
        insta::assert_snapshot!(draft("alpine-https"), @r##"
        #:schema ../docs/schema/scenario.json
        # What this scenario shows, and why it matters.
        extends = "alpine-https"
        title = "mine"
        tier = "full"
        "##);
        let variant = draft("power-cycle-linux");
        assert!(!variant.contains("extends") && variant.contains("title = \"mine\""));
        assert!(variant.contains("await = \"Linux\""), "{variant}");
    }

    #[test]
    fn a_draft_keeps_the_settings_and_drops_the_story() {
        let from = "#:schema ../docs/schema/scenario.json\n# The story.\ntitle = \"Old\"\ntier = \"smoke\"\nboards = [\"raspi3b\"]\n\n[boot]\nscript = '''\n#!ipxe\ntitle = of the script\n'''\n";
        insta::assert_snapshot!(copied("# Head.\n".into(), from, "mine"), @r##"
        # Head.
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
