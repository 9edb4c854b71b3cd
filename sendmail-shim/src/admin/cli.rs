//! The command line of `sendmail-shim`.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use console::Daemon;
use mail::address::Address;
use sendmail::listing::REMEDY;
use settings::Span;
use system::sysexits::Exit;

use super::{
    check, effective, enroll, explain, import, init, pin, provision, status, takeover,
    terminal::{CommandError, complain},
    test,
};
use crate::{
    agent,
    config::{places, settings::Settings},
};

/// The sendmail of this machine: queues mail and pushes it to a relayhost.
///
/// Programs call it as /usr/sbin/sendmail; see `sendmail --help`.
#[derive(Debug, Parser)]
#[command(
    name = "sendmail-shim",
    version,
    after_help = "The configuration is FILE of --config, else the file that SENDMAIL_SHIM_CONFIG names, else\n\
                  /etc/sendmail-shim/config.toml, else ~/.config/sendmail-shim/config.toml. The smallest useful one:\n\n    \
                  relayhost = \"mail.example.org\"\n    \
                  domain = \"example.org\"\n    \
                  pins = [\"sha256:...\"]            # printed by: sendmail-shim pin mail.example.org\n    \
                  admin = \"admins@example.org\"\n\n\
                  Exit status: 0 done, 1 not done, 2 wrong arguments, 69 the agent does not run, 78 wrong configuration."
)]
struct Cli {
    /// Configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent: take mail, keep it, deliver it. Started by systemd.
    Agent {
        /// Where systemd holds the sockets: end after so long without anybody connected or any mail
        /// queued.
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
        idle: Span,
    },
    /// Check configuration, alias files, spool, agent, and the way to each relayhost with its key.
    ///
    /// Exit status, for monitoring: 0 all good, 1 works but wants attention, 2 does not work, 78
    /// the configuration cannot be read.
    Check {
        /// One JSON object instead of the table.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings that differ from the default.
    Config(console::config::Which),
    /// Make this machine known to its smarthost by a key of its own, with the line that
    /// `smarthost enroll NAME` printed there; or make another key.
    ///
    /// The key is made here and never leaves the machine; the agent's user and root alone can read
    /// it. Relayhost, pin and key are written to enrolled.toml beside it, in the spool; what the
    /// configuration says counts more. From then on the machine is known by the key, wherever it
    /// comes from. With several relays, give the line of each. Without a line: print the key.
    /// Exit status: 1: refused, or not in use, with the reason; 75: the relay does not answer, or
    /// not now, and the same command goes on where it ended.
    Enroll(enroll::Options),
    /// Show what would become of the message on standard input: envelope and header, before and
    /// after, and why. Sends nothing.
    Explain(explain::Options),
    /// Make another program's configuration (ssmtp, nullmailer, dma, msmtp, Postfix as null client,
    /// Debian's Exim) into ours, or take its queue.
    ///
    /// Shows what it would write, and on standard error what becomes of each key. Exit status 1:
    /// something needs a decision, such as a relay whose certificate nobody checked.
    ///
    /// With --queue, the mail that waits in nullmailer, dma, Postfix or Exim is listed, and with
    /// --apply handed to the agent; its file is then moved into taken-over/ in the old spool, never
    /// deleted. Recipients are those of the envelope who have not been served; the header stays as
    /// it is. The old program must be stopped. Exit status 1: something was left, and is named; 75:
    /// the agent does not answer, run it again.
    Import(import::Options),
    /// Set a machine up: asks for the relayhost, its key, the domain and the administrators, shows
    /// and tries it, and writes it after a yes.
    ///
    /// Another program's configuration that is there is offered to be taken over. A file with
    /// settings of yours is not replaced without asking, and kept as config.toml.before-init. In
    /// the end, after a yes or with --test, the agent takes the file, and a mail to the
    /// administrators is followed to its end.
    Init(init::Options),
    /// Print the pins of a host's key and certificate, ready to be pasted.
    Pin(pin::Options),
    /// Write settings that come with the machine or with the package into a file of their own; what
    /// config.toml says counts more.
    ///
    /// What cannot be used is told, and changes nothing.
    Provision(provision::Options),
    /// Look at the mail that waits, try it now, hold it, delete it or return it; without
    /// privileges, your own
    Queue(console::Queue),
    /// Tell the whole way of a message, from the program that sent it to its end, or follow a user
    /// or destination live
    ///
    /// The journal is read for both programs, sendmail-shim and smarthost, and so is the queue.
    /// What a message is called at the next hop, and its bounces, are followed, where their log is
    /// read too.
    Trace(console::trace::Trace),
    /// How the agent does: what waits, by destination and by user, since when and why, the
    /// relayhost, the disk; without privileges, your own mail
    ///
    /// Messages that were taken since the start are counted by user and by systemd unit, as the
    /// kernel tells both of whoever connected: most first, at most 20 units of one user apart.
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message as any program would, and follow it until the relayhost has taken it. A
    /// smarthost counts ten of them a day, say, against no limit.
    Test {
        /// To whom; without it, to root, whom aliases and admin= redirect.
        #[arg(value_parser = Address::parse)]
        address: Option<Address>,
    },
}

/// All that can be typed, for the manual.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Reads the words and does what they say.
pub fn main(words: impl IntoIterator<Item = std::ffi::OsString>) -> Exit {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        // Help and version come here too.
        Err(error) => return console::refusal::tell(&error),
    };
    match run(cli) {
        Ok(exit) => exit,
        Err(error) => {
            complain("sendmail-shim", &error.text);
            error.exit
        }
    }
}

fn run(cli: Cli) -> Result<Exit, CommandError> {
    let file = cli.config.as_deref();
    let settings = || places::load(file);
    match cli.command {
        // It queues, whatever the configuration says.
        Command::Agent { idle } => agent::run::run(file, idle.0)
            .map(|()| Exit::Ok)
            .map_err(|text| CommandError::new(Exit::TempFail, text)),
        Command::Check { json } => check::run(&settings()?, json),
        Command::Config(which) => effective::print(&settings()?, which.all),
        Command::Enroll(request) => enroll::run(file, &request),
        Command::Explain(request) => explain::run(&settings()?, &request),
        Command::Import(request) if request.queue => takeover::run(&settings()?, &request),
        // There may be no configuration of ours yet.
        Command::Import(request) => import::run(&request),
        Command::Init(request) => init::run(file, &request),
        Command::Provision(request) => provision::run(&request),
        Command::Pin(request) => pin::run(&settings()?, &request),
        Command::Queue(queue) => {
            let settings = anyway(file)?;
            Ok(console::run(
                &queue,
                &Daemon {
                    program: "sendmail-shim",
                    socket: &settings.control,
                    remedy: REMEDY,
                },
            ))
        }
        Command::Trace(trace) => {
            let settings = anyway(file)?;
            let daemon = |program, socket, remedy| Daemon {
                program,
                socket,
                remedy,
            };
            let own = daemon("sendmail-shim", settings.control.as_path(), REMEDY);
            let smarthost = daemon("smarthost", settings.smarthost_control.as_path(), "");
            Ok(console::trace::run(&trace, &[own, smarthost]))
        }
        Command::Status { json } => status::run(&anyway(file)?, json),
        Command::Test { address } => test::run(&settings()?, address),
    }
}

/// The agent is found whatever else is wrong in the file.
fn anyway(file: Option<&Path>) -> Result<Settings, CommandError> {
    let (settings, wrong) = places::load_anyway(file)?;
    if let Some(error) = wrong {
        complain("sendmail-shim", error);
    }
    Ok(settings)
}

fn time(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_says_what_it_does() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
