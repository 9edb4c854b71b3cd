//! `sendmail`, `mailq`, `newaliases` and `sendmail-shim`: one binary.
//!
//! Layers, lowest first; a module uses its own layer or lower ones, and a test enforces it:
//!
//! | layer | modules | what |
//! |---|---|---|
//! | command line | [`mode`] [`flags`] [`plan`] | which program, what was typed, what is meant; pure |
//! | migration | [`import`] | other programs' configurations made into ours, and their queues read; pure |
//! | message | [`compose`] [`prepare`] [`deposit`] [`queue`] | standard input made canonical, rewritten, completed; what is said about the queue |
//! | machine | [`config`] [`identity`] | configuration files and users |
//! | ways out | [`relay`] [`submit`] [`agent`] | the relayhost; `sendmail` to the agent or there; the agent itself |
//! | commands | [`admin`] | the administrator's |

pub mod admin;
pub mod agent;
pub mod compose;
pub mod config;
pub mod deposit;
pub mod flags;
pub mod identity;
pub mod import;
pub mod mode;
pub mod plan;
pub mod prepare;
pub mod queue;
pub mod relay;
pub mod submit;

use std::process::ExitCode;

use admin::terminal::{Trouble, complain, say};
use config::places;
use mode::{Mode, Program};
use plan::Plan;
use submit::report::Report;
use system::sysexits::Exit;

/// The program, under any of its names.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = Program::of(&words.next().unwrap_or_default());
    match program {
        Program::Admin => admin::cli::main(words.collect()),
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
    if typed.verbose {
        typed
            .warnings
            .iter()
            .for_each(|warning| complain("sendmail", warning));
    }
    match Plan::of(typed) {
        Ok(plan) => {
            carry_out(plan).unwrap_or_else(|trouble| end(Report::fault(trouble.exit, trouble.text)))
        }
        Err(refusal) => end(Report::fault(refusal.exit, refusal.text)),
    }
}

fn carry_out(plan: Plan) -> Result<Exit, Trouble> {
    match plan {
        Plan::Submit(submission) => Ok(end(submit::run::submit(submission))),
        Plan::Smtp => Ok(end(submit::stdio::relay())),
        Plan::ListQueue => admin::queue::list(&places::load(None)?),
        Plan::CountQueue => admin::queue::count(&places::load(None)?),
        Plan::Flush(None) => admin::queue::flush(&places::load(None)?, None),
        Plan::Flush(Some(selector)) => {
            admin::queue::flush_selected(&places::load(None)?, &selector)
        }
        Plan::Verify(recipients) => admin::verify::words(&places::load(None)?, &recipients),
        Plan::AddressTest => admin::verify::lines(&places::load(None)?),
        Plan::CheckAliases => Ok(admin::aliases::check(&places::load(None)?)),
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

fn end(report: Report) -> Exit {
    report
        .lines
        .iter()
        .for_each(|line| complain("sendmail", line));
    report.exit
}
