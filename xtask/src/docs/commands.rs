//! The page of commands, made of the definitions that parse them.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::{head, table};

/// The page.
pub(super) fn page() -> String {
    let mut program = crate::Cli::command().bin_name("shakedown").term_width(0);
    program.build();
    let mut out = head("Commands");
    out += "`shakedown` is the installed program; in a clone `cargo xtask` is the same. Every command takes:\n\n";
    out += &arguments(program.get_arguments().filter(|arg| arg.is_global_set()));
    for command in program.get_subcommands() {
        section(command, "shakedown", &mut out);
    }
    out
}

/// A command and those below it.
fn section(command: &Command, parent: &str, out: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let _ = writeln!(out, "\n## {name}\n");
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = writeln!(out, "{about}");
    }
    let own = |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
    if command.get_arguments().any(|arg| own(&arg)) {
        out.push('\n');
        *out += &arguments(command.get_arguments().filter(own));
    }
    for below in command.get_subcommands() {
        section(below, &name, out);
    }
}

fn arguments<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let rows = arguments.map(|arg| {
        let help = arg.get_long_help().or(arg.get_help());
        let mut help = help.map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set() && arg.get_action().takes_values())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !help.ends_with(['.', '!']) {
            help.push('.');
        }
        if !choices.is_empty() {
            help += &format!(" One of {}.", choices.join(", "));
        }
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|v| v.to_string_lossy())
            .collect();
        if arg.get_action().takes_values() && !defaults.is_empty() {
            help += &format!(" Default: `{}`.", defaults.join(" "));
        }
        [spelling(arg), help]
    });
    table(["argument", "meaning"], rows)
}

/// How an argument is typed.
fn spelling(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    let value = match (arg.get_action().takes_values(), values.join(" ")) {
        (false, _) => String::new(),
        (true, names) if arg.is_positional() => names,
        (true, names) => format!(" {names}"),
    };
    let mut names = Vec::new();
    names.extend(arg.get_short().map(|short| format!("-{short}")));
    names.extend(arg.get_long().map(|long| format!("--{long}")));
    format!("`{}{value}`", names.join(", "))
}
