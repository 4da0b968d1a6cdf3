//! The template rules of boot scripts: `${name}` and `$name` are replaced, `$$` is a dollar, everything else stays. They are those of Python's
//! `string.Template.safe_substitute`, which the real server uses.
//!
//! iPXE has variables of the same form, for example `${net0/mac}`. A name that is not known therefore stays as it is, for iPXE to
//! expand; `$${name}` keeps a known name from being replaced.

use std::collections::BTreeMap;

/// Renders a template.
pub(super) fn render(template: &str, variables: &BTreeMap<String, String>) -> String {
    let mut rendered = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        rendered.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            rendered.push('$');
            after
        } else if let Some((value, after)) = replacement(after, variables) {
            rendered.push_str(value);
            after
        } else {
            rendered.push('$');
            after
        };
    }
    rendered + rest
}

/// The value of the `{name}` or `name` that `text` begins with, and what follows it.
fn replacement<'a>(
    text: &'a str,
    variables: &'a BTreeMap<String, String>,
) -> Option<(&'a str, &'a str)> {
    let (name, after) = match text.strip_prefix('{') {
        Some(text) => text.split_once('}')?,
        None => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
        }
    };
    Some((variables.get(name)?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [
            ("name", "value"),
            ("dollar", "$$"),
            ("recursive", "${name}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    #[test]
    fn the_rules() {
        insta::assert_snapshot!(
            render(
                "#!ipxe\n\
                 known: ${name} ${name}${name}\n\
                 unknown: ${net0/mac} ${ name } ${} ${other${name}}\n\
                 dollars: $$ $$$ $${name} $$${name} $$name $\n\
                 bare: $name $name/x $names $nam $1\n\
                 values stay as they are: ${dollar} ${recursive}\n\
                 open: ${name",
                &variables(),
            ),
            @r"
        #!ipxe
        known: value valuevalue
        unknown: ${net0/mac} ${ name } ${} ${othervalue}
        dollars: $ $$ ${name} $value $name $
        bare: value value/x $names $nam $1
        values stay as they are: $$ ${name}
        open: ${name
        "
        );
    }

    proptest! {
        #[test]
        fn without_variables_only_doubled_dollars_change(template in r"(\$|\{|\}|name|\PC){0,20}") {
            prop_assert_eq!(render(&template, &BTreeMap::new()), template.replace("$$", "$"));
        }

        #[test]
        fn doubling_the_dollars_protects_any_text(text in r"(\$|\{|\}|name|\PC){0,20}") {
            prop_assert_eq!(render(&text.replace('$', "$$"), &variables()), text);
        }
    }
}
