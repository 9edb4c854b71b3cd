//! The command line of `smarthost`.
//!
//! | part | what |
//! |---|---|
//! | [`arguments`] | what can be typed, with its help |
//! | [`ask`] | asks the daemon |
//! | [`check`] | what the daemon would load, and what it needs of the world |
//! | [`transports`] | what transports need, as `check` sees it |
//! | [`dkim`] | keys that sign mail: made, and compared with DNS |
//! | [`drain`] | this server is emptied into another one |
//! | [`enroll`] | lines that let machines in |
//! | [`enrolled`] | what a check finds of them |
//! | [`eyes`] | whose eyes check sees with |
//! | [`failed`] | why a command was not carried out |
//! | [`expected`] | mail that must come |
//! | [`explain`] | what would be decided, and where mail goes |
//! | [`import`] | Postfix's configuration made into ours |
//! | [`init`] | a guided set-up |
//! | [`lists`] | whether block lists work, as check sees it |
//! | [`kept`] | what the daemon keeps in `state` |
//! | [`local`] | commands that need no daemon: config, provision |
//! | [`machines`] | who brings mail |
//! | [`owner`] | whose the files are that a command makes |
//! | [`report`] | what was refused |
//! | [`next_hops`] | whether the hosts are found that routes name |
//! | [`passwd`] | who may log in |
//! | [`pin`] | the key that clients pin |
//! | [`remote`] | commands that ask the daemon over its control socket: reload, queue, trace, test, limits, status |
//! | [`running`] | what check finds of the daemon itself |
//! | [`silent`] | what check makes of a daemon that does not answer |
//! | [`sockets`] | whether the daemon can make its sockets, as check sees it |
//! | [`tables`] | what check says of tables and of the domains that need them |
//! | [`print`] | answers as text |
//! | [`readable`] | what to do about a key that may not be read |
//! | [`typed`] | words that are what they should be |
//! | [`top`] | how it goes, anew each second |
//!
//! Exit status: 0 done, 1 not done (the reason is on standard error), 2 wrong arguments, 69 the
//! daemon does not run, 78 wrong configuration.

mod arguments;
mod ask;
mod check;
mod dkim;
mod drain;
mod enroll;
mod enrolled;
mod expected;
mod explain;
mod eyes;
mod failed;
mod import;
mod init;
mod kept;
mod lists;
mod local;
mod machines;
mod next_hops;
mod owner;
mod passwd;
mod pin;
mod policy;
mod print;
mod reach;
mod readable;
mod remote;
mod report;
mod running;
mod silent;
mod sockets;
mod surroundings;
mod tables;
mod top;
mod transports;
mod typed;

use std::process::ExitCode;

use clap::Parser as _;
use system::terminal::{complain, write};

use arguments::{Arguments, Command};
use failed::Failed;

/// All that can be typed, for the manual.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return console::refusal::tell(&error).into(),
    };
    system::log::init("smarthost");
    let config = &arguments.config;
    if !matches!(arguments.command, Command::Run) {
        // It ends whatever does not answer.
        system::scout::send_ahead();
    }
    let result = match arguments.command {
        Command::Check { json } => return check::run(config, json).unwrap_or_else(tell),
        Command::Run => crate::runtime::run(config)
            .map(|()| String::new())
            .map_err(Failed::from),
        Command::Explain(arguments) => explain::run(config, &arguments),
        Command::Clients(clients) => machines::run(config, &clients),
        Command::Report(report) => report::run(config, &report),
        Command::Reload => remote::reload(config),
        Command::Config(which) => local::config(config, which.all),
        Command::Pin => pin::run(config),
        Command::Dkim(dkim) => dkim::run(config, &dkim).map_err(Failed::from),
        Command::Passwd(order) => passwd::run(config, &order),
        Command::Pipe { transport } => local::pipe(config, &transport),
        Command::Import(request) => return with_exit(import::run(config, &request)),
        Command::Init(init) => return with_exit(init::run(config, &init)),
        Command::Provision(settings) => local::provision(config, &settings),
        Command::Enroll(order) => enroll::run(config, &order),
        Command::Drain(order) => return with_exit(drain::run(config, &order)),
        Command::Queue(queue) => match remote::queue(config, &queue) {
            Ok(exit) => return exit.into(),
            Err(failed) => Err(failed),
        },
        Command::Trace(trace) => match remote::trace(config, &trace) {
            Ok(exit) => return exit.into(),
            Err(failed) => Err(failed),
        },
        Command::Test { address } => match remote::test(config, address.as_ref()) {
            Ok(exit) => return exit.into(),
            Err(failed) => Err(failed),
        },
        Command::Limits(limits) => remote::limits(config, limits),
        Command::Web(arguments::Web::Token) => local::token(config),
        Command::Expected(order) => expected::run(config, order),
        Command::Status { json } => remote::status(config, json),
        Command::Top { once } => match top::run(config, once) {
            Ok(exit) => return exit,
            Err(failed) => Err(failed),
        },
    };
    match result {
        Ok(text) => say(&text),
        Err(failed) => tell(failed),
    }
}

/// What was said, and how it ends.
fn with_exit(done: Result<(String, ExitCode), Failed>) -> ExitCode {
    done.map_or_else(tell, |(text, exit)| {
        say(&text);
        exit
    })
}

fn tell(failed: Failed) -> ExitCode {
    let typed = console::refusal::typed();
    complain("smarthost", typed.masked(&failed.text));
    failed.exit
}

fn say(text: &str) -> ExitCode {
    let line_end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    write(&format!("{text}{line_end}"));
    ExitCode::SUCCESS
}
