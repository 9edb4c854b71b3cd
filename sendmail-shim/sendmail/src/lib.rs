//! `sendmail`, `mailq` and `newaliases`: what programs call, and what cron starts. The
//! administrator's commands and the agent are another program, `sendmail-shim`, which builds on
//! this one.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | command line | [`mode`] [`flags`] [`plan`] [`terminal`] | which program, what was typed, what is meant, words to the terminal |
//! | message | [`compose`] [`prepare`] | standard input made canonical, rewritten, completed |
//! | machine | [`config`] [`identity`] | configuration files and users |
//! | ways out | [`relay`] [`submit`] [`queue`] | the relayhost; the message to the agent or there; what is asked about the queue |
//! | modes | [`listing`] [`verify`] [`aliases`] | `mailq`, `-q`; `-bv`, `-bt`; `newaliases` |

pub mod aliases;
pub mod compose;
pub mod config;
pub mod flags;
pub mod identity;
pub mod listing;
pub mod mode;
pub mod plan;
pub mod prepare;
pub mod queue;
pub mod relay;
pub mod submit;
pub mod terminal;
pub mod verify;

use std::process::ExitCode;

use config::places;
use flags::parse::Warning;
use mail::masked::Typed;
use mode::{Mode, Program};
use plan::Plan;
use submit::report::Report;
use system::sysexits::Exit;
use terminal::{CommandError, complain, say};

/// The program, under any of its names.
pub fn main() -> ExitCode {
    let mut words = words();
    let program = Program::of(&words.next().unwrap_or_default());
    match program {
        // A link that an older installation left behind: its words are no recipients.
        Program::Admin => end(Report::fault(Exit::Usage, mode::NO_COMMANDS.to_owned())),
        _ => sendmail(program, words),
    }
    .into()
}

fn sendmail(program: Program, words: impl Iterator<Item = String>) -> Exit {
    let typed = match flags::parse::parse(Mode::from(program), words) {
        Ok(typed) => typed,
        Err(error) => {
            return end(Report::fault(
                Exit::Usage,
                format!("{error} (see sendmail --help)"),
            ));
        }
    };
    let told = |warning: &&Warning| typed.verbose || warning.unknown;
    let warnings: Vec<Warning> = typed.warnings.iter().filter(told).cloned().collect();
    let plan = Plan::of(typed);
    for Warning { text, unknown } in warnings {
        match (&plan, unknown) {
            // It says so itself.
            (Err(refusal), true) if refusal.text.contains(&text) => {}
            (_, true) => tell(&format!("{text} ignored (see sendmail --help)")),
            (_, false) => tell(&text),
        }
    }
    match plan {
        Ok(plan) => {
            carry_out(plan).unwrap_or_else(|error| end(Report::fault(error.exit, error.text)))
        }
        Err(refusal) => end(Report::fault(refusal.exit, refusal.text)),
    }
}

fn carry_out(plan: Plan) -> Result<Exit, CommandError> {
    match plan {
        Plan::Submit(submission) => Ok(end(submit::run::submit(submission))),
        Plan::Smtp { notes } => {
            for note in &notes {
                complain("sendmail", note);
            }
            Ok(end(submit::stdio::relay()))
        }
        Plan::ListQueue => listing::list(&reachable()?),
        Plan::CountQueue => listing::count(&reachable()?),
        Plan::Flush(selector) => listing::flush(&reachable()?, selector.as_ref()),
        Plan::Verify(recipients) => verify::words(&recipients),
        Plan::AddressTest => verify::lines(),
        Plan::CheckAliases => Ok(aliases::check(&places::load(None)?)),
        Plan::CheckConfig => {
            places::load(None)?
                .warnings()
                .iter()
                .for_each(|warning| complain("sendmail", warning));
            Ok(Exit::Ok)
        }
        Plan::Version => {
            say(format_args!("sendmail-shim {}", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Ok)
        }
        Plan::Help => {
            say(flags::help::text());
            Ok(Exit::Ok)
        }
        Plan::Nothing => Ok(Exit::Ok),
    }
}

/// Settings with which the agent is found, whatever else is wrong in the file.
fn reachable() -> Result<config::settings::Settings, CommandError> {
    let (settings, wrong) = places::load_anyway(None)?;
    if let Some(error) = wrong {
        complain("sendmail", error);
    }
    Ok(settings)
}

fn end(report: Report) -> Exit {
    report.lines.iter().for_each(|line| tell(line));
    report.exit
}

/// A line for standard error, without a secret that was typed.
fn tell(line: &str) {
    let words: Vec<_> = words().skip(1).collect();
    let typed = Typed::of(words.iter().map(String::as_str));
    complain("sendmail", typed.masked(line));
}

fn words() -> impl Iterator<Item = String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned())
}
