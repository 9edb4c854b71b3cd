//! The command line of `sendmail-shim`.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use console::Daemon;
use mail::address::Address;
use sendmail::listing::REMEDY;
use settings::Span;
use system::sysexits::Exit;

use super::{
    check, effective, enroll, explain, import, init, pin, provision, running, status, takeover,
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
    after_help = "The configuration file is that of --config, else that of the environment variable SENDMAIL_SHIM_CONFIG, else\n\
                  /etc/sendmail-shim/config.toml, else ~/.config/sendmail-shim/config.toml. The smallest useful one:\n\n    \
                  relayhost = \"mail.example.org\"\n    \
                  domain = \"example.org\"\n    \
                  pins = [\"sha256:...\"]            # printed by: sendmail-shim pin mail.example.org\n    \
                  admin = \"admins@example.org\"\n\n\
                  Exit status: 0 done, 1 not done, 2 wrong arguments, 69 the agent is not running, 78 wrong configuration."
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
    /// Run the agent: accept mail, queue it, deliver it. Started by systemd.
    Agent {
        /// If systemd holds the sockets: end after this long without a connection and without
        /// queued mail.
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
        idle: Span,
    },
    /// Check the configuration, alias files, spool and agent, and connect to each relayhost and
    /// check its key.
    ///
    /// Exit status, for monitoring: 0 all good, 1 works but needs attention, 2 does not work, 78
    /// the configuration cannot be read.
    Check {
        /// One JSON object instead of the table.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings that differ from the default.
    Config(console::config::Which),
    /// Enroll this machine at its smarthost with a key of its own, using the line that
    /// `smarthost enroll NAME` printed there; or make another key.
    ///
    /// The key is made here and never leaves the machine; only root and the agent's user can read
    /// it. Relayhost, pin and key are written to enrolled.toml beside it, in the spool; the
    /// configuration overrides that file. From then on the smarthost knows the machine by the key,
    /// wherever it connects from. With several relays, give the line of each. Without a line, the
    /// key is printed. Exit status 1: refused, or not in use, and the reason is printed; 75: the
    /// relay does not answer, or not now; run the same command again to continue.
    Enroll(enroll::Options),
    /// Show how the message on standard input would be changed: envelope and header, before and
    /// after, and why. Sends nothing.
    Explain(explain::Options),
    /// Convert another program's configuration (ssmtp, nullmailer, dma, msmtp, Postfix as null
    /// client, Debian's Exim), or take over its queue.
    ///
    /// It shows what it would write, and on standard error what becomes of each key. Exit status 1:
    /// something needs a decision, such as a relay whose certificate nobody checked; 2: a file that
    /// it would write is there already, and --force is missing, nothing is changed; 66: there is no
    /// configuration that could be read.
    ///
    /// With --queue, it lists the mail that waits in nullmailer, dma, Postfix or Exim. With --apply
    /// as well, it hands that mail to the agent and moves each file to taken-over/ in the old
    /// spool; nothing is deleted. Mail goes to the recipients of the envelope that have not got it
    /// yet; the header is not changed. The old program must be stopped. Exit status 1: some mail
    /// was left, and is named; 75: the agent does not answer, run it again.
    Import(import::Options),
    /// Set up a machine: asks for the relayhost, its key, the domain and the administrators, shows
    /// and tries the configuration, and writes it if you say yes.
    ///
    /// If another program is configured, it offers to take over its configuration. It asks before
    /// it replaces a file with your own settings, and keeps that file as config.toml.before-init.
    /// At the end, if you say yes or with --test, the agent loads the file, and you see what
    /// becomes of a test mail to the administrators.
    Init(init::Options),
    /// Print the pins of a host's key and certificate, to be pasted into the configuration.
    Pin(pin::Options),
    /// Write settings that come with the machine or with the package to a file of their own;
    /// config.toml overrides it.
    ///
    /// Settings that cannot be used are reported and change nothing.
    Provision(provision::Options),
    /// List queued mail, try it now, hold it, delete it or return it; without privileges, only your
    /// own
    Queue(console::Queue),
    /// Show what happened to a message, from the program that sent it to its end, or follow a user
    /// or destination live
    ///
    /// The journal and the queue of both programs, sendmail-shim and smarthost, are read. A message
    /// is followed to the next hop under its id there, and so are its bounces, if the log of that
    /// host is read too. WHAT is needed, except with `--live`. Exit status 1: nothing was found.
    Trace(console::trace::Trace),
    /// Show the queue by destination and by user, with reasons, the relayhost and the disk; without
    /// privileges, only your own mail
    ///
    /// Messages accepted since the start are counted by user and by systemd unit, both as the
    /// kernel reports them for the connected program: most first, with at most 20 separate units
    /// for each user.
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a test message as any program would, and follow it until the relayhost has accepted it.
    /// A smarthost does not count a few such messages a day (a tenth of the machine's limit). Exit
    /// status 69: refused for good, or the agent cannot be asked; 75: it waits, or was not taken.
    Test {
        /// The recipient; by default root, which aliases and admin= redirect.
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
            complain(
                "sendmail-shim",
                console::refusal::typed().masked(&error.text),
            );
            error.exit
        }
    }
}

fn run(cli: Cli) -> Result<Exit, CommandError> {
    let file = cli.config.as_deref();
    let settings = || places::load(file);
    if !matches!(cli.command, Command::Agent { .. }) {
        // It ends whatever does not answer.
        system::scout::send_ahead();
    }
    match cli.command {
        // It queues, whatever the configuration says.
        Command::Agent { idle } => agent::run::run(file, idle.0)
            .map(|()| Exit::Ok)
            .map_err(|text| CommandError::new(Exit::TempFail, text)),
        Command::Check { json } => check::run(&settings()?, json),
        Command::Config(which) => effective::print(&settings()?, which.all),
        Command::Enroll(request) => enroll::run(file, &request),
        Command::Explain(request) => explain::run(&in_force(file)?, &request),
        Command::Import(request) if request.queue => takeover::run(&settings()?, &request),
        // There may be no configuration of ours yet.
        Command::Import(request) => import::run(&request),
        Command::Init(request) => init::run(file, &request),
        Command::Provision(request) => provision::run(file, &request),
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

/// What the agent has, which is not what wrong files say; without an agent, what the files say.
fn in_force(file: Option<&Path>) -> Result<Settings, CommandError> {
    let (settings, wrong) = places::load_anyway(file)?;
    let Ok(running) = running::settings(&settings) else {
        return wrong.map_or(Ok(settings), |error| Err(error.into()));
    };
    if let Some(error) = wrong {
        complain("sendmail-shim", error);
    }
    Ok(running)
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
