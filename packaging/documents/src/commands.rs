//! The administrators' commands, from what clap parses.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::roff;

/// Global options, then every command with its own, then what stands at the end of the help.
pub(crate) fn of(mut program: Command) -> String {
    program.build();
    let mut out = roff::section("Options");
    for option in program.get_arguments().filter(|arg| !arg.is_positional()) {
        out += &argument(option);
    }
    out += &roff::section("Commands");
    let name = program.get_name().to_owned();
    let mut before = Explained::default();
    for command in program.get_subcommands() {
        list(&mut out, &name, command, &mut before);
    }
    if let Some(after) = program.get_after_help() {
        out += &roff::section("Notes");
        out += &roff::example(&after.to_string());
    }
    out
}

/// What was explained last, and of which command: the same is not said again.
#[derive(Default)]
struct Explained {
    command: String,
    arguments: String,
}

fn list(out: &mut String, parent: &str, command: &Command, before: &mut Explained) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    if command.has_subcommands() {
        for inner in command.get_subcommands() {
            list(out, &name, inner, before);
        }
        return;
    }
    let about = sentence(
        command
            .get_long_about()
            .or(command.get_about())
            .map(ToString::to_string),
    );
    let explained = own(command).filter(|arg| arg.get_help().is_some());
    let arguments: String = explained.map(argument).collect();
    if !arguments.is_empty() && arguments == before.arguments {
        let term = format!("{} ...", roff::bold(&name));
        *out += &roff::item(&term, &format!("{about} As {}.", before.command));
        return;
    }
    let mut term = roff::bold(&name);
    for arg in own(command) {
        let _ = write!(term, " {}", usage(arg));
    }
    *out += &roff::item(&term, &about);
    if !arguments.is_empty() {
        let _ = write!(out, ".RS\n{arguments}.RE\n");
        *before = Explained {
            command: name,
            arguments,
        };
    }
}

fn own(command: &Command) -> impl Iterator<Item = &Arg> {
    command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !matches!(arg.get_id().as_str(), "help" | "version"))
}

fn argument(arg: &Arg) -> String {
    let help = arg
        .get_long_help()
        .or(arg.get_help())
        .map(ToString::to_string);
    let mut about = sentence(help);
    let choices: Vec<_> = arg
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !choices.is_empty() && arg.get_action().takes_values() {
        let _ = write!(about, " One of: {}.", choices.join(", "));
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        let _ = write!(about, " Default: {}.", defaults.join(" "));
    }
    roff::item(&spelled(arg), &about)
}

/// In brackets where it may be left out.
fn usage(arg: &Arg) -> String {
    let more = if arg
        .get_num_args()
        .is_some_and(|range| range.max_values() > 1)
    {
        "..."
    } else {
        ""
    };
    if arg.is_required_set() {
        format!("{}{more}", spelled(arg))
    } else {
        format!("[{}]{more}", spelled(arg))
    }
}

/// `-f ADDRESS`, `--json`, `ID`
fn spelled(arg: &Arg) -> String {
    let mut names = Vec::new();
    if let Some(short) = arg.get_short() {
        names.push(roff::bold(&format!("-{short}")));
    }
    if let Some(long) = arg.get_long() {
        names.push(roff::bold(&format!("--{long}")));
    }
    let mut out = names.join(", ");
    if arg.is_positional() || arg.get_action().takes_values() {
        let values = arg.get_value_names().unwrap_or_default();
        let value = values
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        let space = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{space}\\fI{}\\fR", roff::text(&value));
    }
    out
}

/// Help texts of one line have no full stop.
fn sentence(help: Option<String>) -> String {
    let text = help.unwrap_or_default().replace("\n\n", "\n");
    if text.is_empty() || text.ends_with('.') {
        text
    } else {
        format!("{text}.")
    }
}
