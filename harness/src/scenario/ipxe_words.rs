//! The kernel's arguments are words of a line of an iPXE script, and iPXE gives some words a meaning of its own.
//!
//! Source: iPXE's src/core/exec.c. It splits a line at its blanks, whatever quotes there are; the words `&&`, `||` and `;` end a command, and a
//! word that begins with `#` begins a comment. The kernel gets none of what follows, and iPXE takes it for its next command.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use crate::input::{Document, InputError, Span};

/// What of a scenario comes into the line, with its places.
#[derive(Deserialize)]
struct Lines {
    #[serde(default)]
    boot: Line,
    #[serde(default)]
    deployment: BTreeMap<String, Line>,
}

/// The arguments of a boot, and what stands in place of `${NAME}` in them.
#[derive(Default, Deserialize)]
struct Line {
    arguments: Option<Span<String>>,
    #[serde(default)]
    variables: BTreeMap<String, Span<String>>,
}

/// Looks for such words in the arguments of a scenario, and in the variables that they name.
pub(super) fn check(document: &Document) -> Result<(), InputError> {
    let Lines { boot, deployment } = document.parse()?;
    for line in std::iter::once(&boot).chain(deployment.values()) {
        let Some(arguments) = line.arguments.as_ref().or(boot.arguments.as_ref()) else {
            continue;
        };
        check_text(arguments, document)?;
        for (name, value) in boot.variables.iter().chain(&line.variables) {
            if arguments.get_ref().contains(&format!("${{{name}}}")) {
                check_text(value, document)?;
            }
        }
    }
    Ok(())
}

fn check_text(text: &Span<String>, document: &Document) -> Result<(), InputError> {
    let is_of_ipxe = |word: &&str| ["&&", "||", ";"].contains(word) || word.starts_with('#');
    let Some(word) = text.get_ref().split_whitespace().find(is_of_ipxe) else {
        return Ok(());
    };
    let (does, remedy) = match word {
        ";" => (
            "ends the command",
            "write it right behind the word before it, for example `A; B`",
        ),
        "&&" => ("ends the command", "say `A; B` or `if A; then B; fi`"),
        "||" => ("ends the command", "say `if ! A; then B; fi`"),
        _ => ("begins a comment", "leave the blank before it out"),
    };
    let message = format!(
        "at the word `{word}` iPXE {does}, whatever quotes are around it, and the kernel gets none of what follows: {remedy}, or put the commands into a script of the container's"
    );
    let place = place_of(word, &text.span(), document);
    Err(document.error_at(place, &message))
}

/// Where a word stands in the file; the whole text where it is written in another way there, by escapes for example.
fn place_of(word: &str, text: &Range<usize>, document: &Document) -> Range<usize> {
    let raw = document.text_at(text.clone());
    let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || "'\"".contains(c));
    let is_word = |(at, _): &(usize, &str)| {
        let before = raw.get(..*at).and_then(|before| before.chars().next_back());
        let after = raw
            .get(at + word.len()..)
            .and_then(|after| after.chars().next());
        is_edge(before) && is_edge(after)
    };
    match raw.match_indices(word).find(is_word) {
        Some((at, _)) => text.start + at..text.start + at + word.len(),
        None => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
    use crate::scenario::testing::extended;

    fn read(more: &str) -> Result<Scenario, String> {
        extended("alpine-http", &format!("boards = [\"raspi3b\"]\n{more}"))
    }

    #[test]
    fn words_of_ipxe_are_refused_at_their_place() {
        let wrong = [
            "[boot]\narguments = '''\nb2c.ntp_peer=auto\nb2c.run=\"docker://alpine sh -c 'true && echo $SHAKEDOWN_NONCE'\"\n'''",
            "[boot.variables]\ncommand = \"cat /etc/os-release || true\"",
            "[boot.variables]\ncommand = \"true ; echo\"",
            "[boot.variables]\ncommand = \"true\\n&& echo\"",
            "[boot.variables]\ncommand = \"echo #1\"",
            "[deployment.d]\nvariables.command = \"&& true\"",
            "[deployment.d]\narguments = \"${mine}\"\n[boot.variables]\nmine = \"a || b\"",
        ];
        let shown = wrong.map(|more| read(more).unwrap_err());
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn the_same_within_a_word_or_elsewhere_is_the_users() {
        for good in [
            "[boot.variables]\ncommand = \"a&&b; c||d; echo $# x#y\"",
            "[boot.variables]\nunused = \"a && b\"",
            "[boot]\nscript = \"#!ipxe\\nkernel /files/kernel ${arguments} || goto failed\"",
            "[boot]\nsecrets = \"a && b\"",
        ] {
            read(good).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
