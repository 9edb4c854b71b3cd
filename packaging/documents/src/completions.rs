//! What bash, zsh and fish complete: the administrators' commands as `clap_complete` writes them,
//! `sendmail`'s options from their table.
//!
//! Contract: where a command takes what `GROUP list` lists (`queue delete ID`, `limits show
//! ADDRESS`), the shell asks the program for it; only letters, digits, dots and colons of the
//! answer reach the shell.

use std::fmt::Write as _;

use clap::Command;
use clap_complete::{Shell, generate};
use sendmail::flags::table::{Argument, FLAGS, Flag};

/// Groups of commands, and the key of `GROUP list --json` that their arguments are.
const LISTS: &[(&str, &str)] = &[("queue", "queue_id"), ("limits", "client")];

/// Every file for the shells: name and text.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (name, program) in [
        ("sendmail-shim", sendmail_shim::admin::cli::command()),
        ("smarthost", smarthost::cli::command()),
    ] {
        let lists = lists(&program);
        files.push((format!("bash/{name}"), bash(name, &program, &lists)));
        files.push((format!("zsh/_{name}"), zsh(name, &program, &lists)));
        files.push((format!("fish/{name}.fish"), fish(name, &program, &lists)));
    }
    files.push(("bash/sendmail".to_owned(), bash_of_sendmail()));
    files.push(("zsh/_sendmail".to_owned(), zsh_of_sendmail()));
    files.push(("fish/sendmail.fish".to_owned(), fish_of_sendmail()));
    for name in ["mailq", "newaliases"] {
        files.push((
            format!("bash/{name}"),
            format!("complete -W '--help --version' {name}\n"),
        ));
        files.push((
            format!("fish/{name}.fish"),
            format!("complete -c {name} -f -a '--help --version'\n"),
        ));
    }
    files
}

/// A group whose `list` answers what the others take.
struct List {
    group: &'static str,
    key: &'static str,
    /// Name, the id of its first argument, and whether more of the same may follow.
    commands: Vec<(String, String, bool)>,
}

impl List {
    /// A pipeline that prints what is listed, a word a line.
    fn pipeline(&self, program: &str) -> String {
        let Self { group, key, .. } = self;
        format!(
            r#"{program} {group} list --json 2> /dev/null | sed -n 's/.*"{key}":"\([0-9A-Za-z.:]*\).*/\1/p'"#
        )
    }
}

fn lists(program: &Command) -> Vec<List> {
    let of = |&(group, key): &(&'static str, &'static str)| {
        let inside = program.find_subcommand(group)?;
        let commands = inside.get_subcommands().filter_map(|command| {
            let first = command.get_positionals().next()?;
            let many = first.get_num_args().is_some_and(|n| n.max_values() > 1)
                || matches!(first.get_action(), clap::ArgAction::Append);
            Some((
                command.get_name().to_owned(),
                first.get_id().to_string(),
                many,
            ))
        });
        Some(List {
            group,
            key,
            commands: commands.collect(),
        })
    };
    LISTS.iter().filter_map(of).collect()
}

fn generated(shell: Shell, name: &str, program: &Command) -> String {
    let mut out = Vec::new();
    generate(shell, &mut program.clone(), name, &mut out);
    let text = String::from_utf8(out).expect("clap_complete writes UTF-8");
    text.lines()
        .fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

/// clap's function, and before it one that knows what is listed.
fn bash(name: &str, program: &Command, lists: &[List]) -> String {
    let function = name.replace('-', "__");
    // clap_complete 4.6.11 takes a dash in the program's name for the beginning of a command, in
    // half of the places.
    let mut out =
        generated(Shell::Bash, name, program).replace(&name.replace('-', "__subcmd__"), &function);
    let _ = write!(
        out,
        "\n_{function}_listed() {{\n    local listed=\n    case \"${{COMP_WORDS[*]:1:COMP_CWORD-1}} \" in\n"
    );
    for list in lists {
        let patterns: Vec<_> = list
            .commands
            .iter()
            .map(|(command, _, many)| {
                let end = if *many { "*" } else { "" };
                format!("*\"{} {command} \"{end}", list.group)
            })
            .collect();
        let _ = write!(
            out,
            "    {})\n        listed=$({}) ;;\n",
            patterns.join(" | "),
            list.pipeline(name)
        );
    }
    let _ = write!(
        out,
        "    esac\n    if [[ -n $listed && $2 != -* ]]; then\n        COMPREPLY=($(compgen -W \"$listed\" -- \"$2\"))\n    \
         else\n        _{function} \"$@\"\n    fi\n}}\ncomplete -F _{function}_listed -o bashdefault -o default {name}\n"
    );
    out
}

fn zsh(name: &str, program: &Command, lists: &[List]) -> String {
    let mut out = String::new();
    let function = |list: &List| format!("_{}_listed_{}", name.replace('-', "_"), list.group);
    for line in generated(Shell::Zsh, name, program).lines() {
        let argument = line.trim_start_matches(['\'', '*', ':']);
        let list = lists.iter().find(|list| {
            let mut ids = list.commands.iter().map(|(_, id, _)| id);
            ids.any(|id| {
                argument
                    .strip_prefix(id)
                    .is_some_and(|rest| rest.starts_with([' ', ':']))
            })
        });
        match list {
            Some(list) => out += &line.replace(":_default'", &format!(":{}'", function(list))),
            None => out += line,
        }
        out.push('\n');
        if line.starts_with("autoload ") {
            for list in lists {
                let _ = write!(
                    out,
                    "\n{}() {{\n    compadd -- ${{(f)\"$({})\"}}\n}}\n",
                    function(list),
                    list.pipeline(name)
                );
            }
        }
    }
    out
}

fn fish(name: &str, program: &Command, lists: &[List]) -> String {
    let mut out = generated(Shell::Fish, name, program);
    for list in lists {
        let commands: Vec<_> = list
            .commands
            .iter()
            .map(|(name, ..)| name.as_str())
            .collect();
        let _ = writeln!(
            out,
            "complete -c {name} -n \"__fish_{}_using_subcommand {}; and __fish_seen_subcommand_from {}\" -f -a \"({})\"",
            name.replace('-', "_"),
            list.group,
            commands.join(" "),
            list.pipeline(name)
                .replace('\\', r"\\")
                .replace('"', "\\\"")
        );
    }
    out
}

/// Options worth typing: those that do something.
fn offered() -> impl Iterator<Item = &'static Flag> {
    FLAGS
        .iter()
        .filter(|flag| flag.effect.support() == "honoured")
}

/// What may follow an option.
enum Values {
    Choices(Vec<&'static str>),
    Users,
    Text(&'static str),
}

fn values(flag: &Flag) -> Option<Values> {
    match flag.argument {
        Argument::Required("ADDRESS") => Some(Values::Users),
        Argument::Required(text) if text.contains('|') => {
            Some(Values::Choices(text.split(['|', ',']).collect()))
        }
        Argument::Required(text) => Some(Values::Text(text)),
        Argument::None | Argument::Attached(_) => None,
    }
}

fn bash_of_sendmail() -> String {
    let mut out = String::from("_sendmail() {\n    local words=\n    case $3 in\n");
    for flag in offered() {
        let words = match values(flag) {
            Some(Values::Choices(choices)) => choices.join(" "),
            Some(Values::Users) => "$(compgen -u)".to_owned(),
            Some(Values::Text(_)) => String::new(),
            None => continue,
        };
        let _ = writeln!(out, "    -{}) words=\"{words}\" ;;", flag.name);
    }
    let options: Vec<_> = offered().map(|flag| format!("-{}", flag.name)).collect();
    let _ = write!(
        out,
        "    *)\n        if [[ $2 == -* ]]; then\n            words=\"{}\"\n        else\n            words=$(compgen -u)\n        fi ;;\n    \
         esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$2\"))\n}}\ncomplete -F _sendmail sendmail\n",
        options.join(" ")
    );
    out
}

fn zsh_of_sendmail() -> String {
    let mut out = String::from(
        "#compdef sendmail mailq newaliases\n\nif [[ $service != sendmail ]]; then\n    _arguments '--help' '--version'\n    return\nfi\n\n_arguments \\\n",
    );
    for flag in offered() {
        let about = ['\\', '[', ']', ':']
            .iter()
            .fold(flag.help.to_owned(), |about, special| {
                about.replace(*special, &format!("\\{special}"))
            });
        let follows = match values(flag) {
            Some(Values::Choices(choices)) => format!(":value:({})", choices.join(" ")),
            Some(Values::Users) => ":address:_users".to_owned(),
            Some(Values::Text(text)) => format!(":{}: ", text.to_lowercase()),
            None => String::new(),
        };
        let spec = format!("-{}[{about}]{follows}", flag.name).replace('\'', "'\\''");
        let _ = writeln!(out, "    '{spec}' \\");
    }
    out += "    '*:recipient:_users'\n";
    out
}

fn fish_of_sendmail() -> String {
    let mut out = String::from("complete -c sendmail -f -a '(__fish_complete_users)'\n");
    for flag in offered() {
        let spelled = match flag.name.strip_prefix('-') {
            Some(long) => format!("-l {long}"),
            None if flag.name.len() == 1 => format!("-s {}", flag.name),
            None => format!("-o {}", flag.name),
        };
        let follows = match values(flag) {
            Some(Values::Choices(choices)) => format!(" -x -a '{}'", choices.join(" ")),
            Some(Values::Users) => " -x -a '(__fish_complete_users)'".to_owned(),
            Some(Values::Text(_)) => " -x".to_owned(),
            None => String::new(),
        };
        let about = flag.help.replace('\\', r"\\").replace('\'', r"\'");
        let _ = writeln!(out, "complete -c sendmail {spelled}{follows} -d '{about}'");
    }
    out
}
