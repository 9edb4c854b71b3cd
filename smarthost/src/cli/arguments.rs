//! What can be typed. The texts here are the help, and teach by example.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use mail::address::{Address, Domain};
use settings::Span;

use crate::{
    config::{Config, Selector},
    limits::ClientId,
};

#[derive(Parser, Debug)]
#[command(
    name = "smarthost",
    version,
    about = "A mail relay with daily limits per client and a durable queue",
    after_help = "Examples:\n  \
        smarthost check                                  test the configuration and what it needs\n  \
        smarthost explain --client 192.0.2.1 --to a@b.c  show each rule that decides about this mail\n  \
        smarthost queue list                             list queued mail with the reasons\n  \
        smarthost queue flush                            try everything now\n  \
        smarthost limits raise 10.0.0.7 500 --until 24h  let one client send more for a day"
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = Config::PATH)]
    pub(super) config: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run the daemon in the foreground (systemd does this)
    Run,
    /// Check the configuration, the files that it names, the relayhost, DNS and the disk; exit 0 if
    /// all works
    #[command(
        long_about = "Check the configuration, the files that it names, the relayhost, DNS and the disk. Each problem is printed with its remedy. \
        No mail is sent, and nothing counts toward a limit.\n\nRun by root, it tests with the permissions of the daemon's user. \
        Exit 0: everything works, though something may need attention; 1: something does not work; 78: the configuration is wrong."
    )]
    Check {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the daemon reload its configuration; exit 0 when it is in force
    #[command(
        long_about = "Make the daemon reload its configuration, the alias tables and the certificate.\n\n\
        Exit 0: they are in force. Each changed setting is printed here and in the log, with its old and new value. \
        Settings that take effect only at the next restart are named. \
        With any other exit status nothing has changed, and the reason is printed."
    )]
    Reload,
    /// Show what would be decided about a recipient and why, or where mail for an address goes;
    /// sends nothing
    Explain(super::explain::Arguments),
    /// List mail that was refused, and show how to let a sender pass
    #[command(subcommand)]
    Report(super::report::Report),
    /// Print the settings that differ from the default
    Config(console::config::Which),
    /// List queued mail, try it now, hold it, delete it or return it
    Queue(console::Queue),
    /// Move this server's queue to another one, and refuse new mail meanwhile
    #[command(
        long_about = "Move this server's queue to another smarthost, and refuse new mail with 421 meanwhile. Messages move as they are, \
        with age, id, client, hold and what their senders asked for.\n\n\
        Deliveries in progress end first. Exactly one of the two servers delivers each message, whatever fails meanwhile. \
        The daemon goes on when this command ends, and after a restart; the same command shows the progress. \
        Exit 0: nothing is left; 1: some messages stay, and the reasons are printed.",
        after_help = "Examples:\n  \
        smarthost drain --to mx2.example.org --pin sha256:…  empty this server\n  \
        smarthost drain --stop                               accept mail again"
    )]
    Drain(super::drain::Drain),
    /// Print a line that lets a machine in by a key of its own; list and revoke machines
    #[command(
        long_about = "Print a line that lets a machine in. On the machine, `sendmail-shim enroll LINE` makes a key and shows it to this relay. \
        From then on the machine is known by that key under this name, wherever it connects from, and may send mail anywhere within its own limits.\n\n\
        The line contains this relay, its key and a secret that is valid for one key. You can paste it into a shell as it is. \
        It is printed only once; the relay keeps only a hash of the secret. If somebody uses it again with another key, administrators are told.",
        after_help = "Examples:\n  \
        smarthost enroll vm7                        the line, alone on standard output\n  \
        smarthost enroll vm7 --relay 10.0.0.1:465   for a machine that reaches this relay there\n  \
        smarthost enroll list                       enrolled machines and unused lines\n  \
        smarthost enroll revoke vm7                 refuse its key from now on"
    )]
    Enroll(super::enroll::Enroll),
    /// List the machines that send mail through this relay: name, key, messages by day, last
    /// message, version of the agent
    #[command(after_help = "Examples:\n  \
        smarthost clients                   all of them\n  \
        smarthost clients --silent-for 3d   machines that have stopped sending\n  \
        smarthost clients --csv             with a column for each of the last 30 days")]
    Clients(super::machines::Clients),
    /// Show what clients have sent, raise a limit, or reset the counts
    #[command(subcommand)]
    Limits(Limits),
    /// List the mail that must come, declare more of it, or forget it
    #[command(subcommand)]
    Expected(super::expected::Order),
    /// Print the pins of this relay's key, to be pasted into the clients' configuration
    #[command(
        long_about = "Print the pins of this relay's key, to be pasted into the clients' configuration.\n\n\
        A pin is the SHA-256 of the public key. Clients that have it trust no other key, whatever name or date the certificate has. \
        If there is no key and certificate yet, this command makes them."
    )]
    Pin,
    /// Make keys that sign mail (DKIM), and check that DNS publishes them
    #[command(subcommand)]
    Dkim(Dkim),
    /// Add a login, change its password, or delete it; without a name: list the logins
    #[command(
        long_about = "Add a login, change its password, or delete it; without a name: list the logins.\n\n\
        The password is the first line of standard input. On a terminal, and with --generate, a new one is made and shown once. \
        Logins are in the file that auth.users names; the daemon reads a change after two seconds.",
        after_help = "Examples:\n  \
        smarthost passwd printer                     make a password, and show it\n  \
        pass show printer | smarthost passwd printer use that password\n  \
        smarthost passwd printer --delete            delete the login"
    )]
    Passwd(Passwd),
    /// Run the program of a pipe transport in a unit of its own; speaks LMTP on standard input
    /// (systemd does this)
    Pipe {
        #[arg(value_name = "TRANSPORT")]
        transport: String,
    },
    /// Set up a relay: asks what it cannot find out, shows and checks the file, and writes it if
    /// you say yes
    #[command(
        long_about = "Set up a relay: asks what it cannot find out, shows and checks the file, and writes it if you say yes.\n\n\
        It proposes the machine's own name and the private networks that the machine is in. If Postfix is set up, it offers to take over its configuration. \
        It asks before it replaces a file with your own settings, and keeps that file as config.toml.before-init.\n\n\
        At the end, if you say yes or with --test, the daemon loads the file, and you see what becomes of a test mail to the administrators.",
        after_help = "Examples:\n  \
        smarthost init                                                  in a terminal\n  \
        smarthost init --yes relayhost=[smtp.isp.example]:587 networks=  for a script"
    )]
    Init(super::init::arguments::Init),
    /// Convert Postfix's configuration: show it with a report on each parameter, or write it
    #[command(
        long_about = "Convert Postfix's configuration: main.cf, master.cf and the tables that they name.\n\n\
        The new configuration goes to standard output. Standard error reports what became of each parameter, service and -o: mapped, \
        default, ignored on purpose, NOT SUPPORTED (with what to do), or DECIDE. Postfix's files are only read. \
        Exit 0: everything was converted; 1: something was not, or needs a decision.",
        after_help = "Examples:\n  \
        smarthost import                             show what would become of /etc/postfix\n  \
        smarthost import --apply                     write it, with tables and the password beside it\n  \
        smarthost import /srv/old/postfix --json     convert another machine's, for a program"
    )]
    Import(Import),
    /// Write settings that come with the machine or with the package to a file of their own;
    /// config.toml overrides it
    #[command(
        long_about = "Write settings that come with the machine or with the package to a file of their own, \
        beside the configuration file, which overrides it. Only /etc/smarthost/config.toml has such a file beside it, so that --config is refused.\n\n\
        Settings that cannot be used are reported and change nothing."
    )]
    Provision(Provision),
    /// Print the token of the status page
    #[command(subcommand)]
    Web(Web),
    /// Show what happened to a message, from the machine that sent it to its end, or follow a
    /// client or destination live
    #[command(
        long_about = "Show what happened to a message: who sent it, each attempt with the next hop's reply, and how it ended for each recipient.\n\n\
        The journal and the queue of both programs, smarthost and sendmail-shim, are read. A message is followed to the next hop under its id there, \
        and so are its bounces, if the log of that host is read too.",
        after_help = "Examples:\n  \
        smarthost trace 0BCDFGHJKLMNP                          by queue id, of either program\n  \
        smarthost trace bob@example.org --since 2d             all mail from and to bob\n  \
        smarthost trace '<20261122.1@vm7.example.org>'         by Message-ID\n  \
        smarthost trace 10.0.0.7 --live                        what this client does, as it happens\n  \
        smarthost trace example.org --log /var/log/mail.log --log vm7.log.1.gz"
    )]
    Trace(console::trace::Trace),
    /// Send a test message, and follow it until a next hop has answered
    #[command(
        long_about = "Send a test message from this relay, and follow it until a next hop has answered. It shows where the message went and the reply there, \
        or why it waits.\n\nThe message counts toward no limit; its sender is postmaster at this host. Exit 0: a next hop has accepted it, or it is in a local mailbox; \
        75: it waits in the queue; 69: it was refused for good, or the daemon is not running.",
        after_help = "Examples:\n  \
        smarthost test                      to the administrators (admins)\n  \
        smarthost test bob@example.org      to somebody else"
    )]
    Test {
        /// The recipient; by default the administrators
        #[arg(value_name = "ADDRESS", value_parser = Address::parse)]
        address: Option<Address>,
    },
    /// Show the daemon's state in a terminal, refreshed every second: destinations, senders,
    /// clients, refusals and outside services; press ? for help
    #[command(
        long_about = "Show the daemon's state in a terminal, refreshed every second, one table at a time: destinations, senders, clients, refusals, \
        and the outside services that it asks.\n\n\
        Press Tab, or 1 to 5, for another table; left and right (or s) to choose the column it is sorted by; r to reverse the order; \
        up and down to scroll; ? for help; q to quit. If the output is a pipe, a file or a terminal that only prints (TERM=dumb), it prints once and ends."
    )]
    Top {
        /// Print once and end
        #[arg(long)]
        once: bool,
    },
    /// Show the queue, limits, refusals and outside services in numbers
    #[command(
        long_about = "Show the queue, limits, refusals and outside services in numbers: the mail that waits, by destination and by client, since when and why; \
        clients near a limit; mail that was refused; and the services that the daemon asks.\n\n\
        The list of services includes each relayhost, even a single one; if it fails, since when and why. Any other next hop of your own (a route, an LMTP server, \
        a Maildir) is listed while it takes no mail, until it takes some or is no longer tried. \
        Policy servers, milters and verification are shown as \"not asked yet\" before the first question. The status page and /health warn of the same problems."
    )]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(clap::Args, Debug)]
pub(super) struct Import {
    /// Where main.cf and master.cf are
    #[arg(value_name = "DIRECTORY", default_value = "/etc/postfix")]
    pub(super) directory: PathBuf,
    /// It is another machine's, wherever it lies.
    #[arg(skip)]
    pub(super) of_another: bool,
    /// Write the files instead of showing them
    #[arg(long)]
    pub(super) apply: bool,
    /// Overwrite smarthost's files
    #[arg(long, requires = "apply")]
    pub(super) force: bool,
    /// Write restrictions, too, that let more pass than Postfix did (DECIDE)
    #[arg(long, requires = "apply")]
    pub(super) looser: bool,
    /// Print report and configuration as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct Passwd {
    /// The login: no blanks, and not an address
    #[arg(value_name = "LOGIN", value_parser = console::text)]
    pub(super) login: Option<String>,
    /// Make a password, and show it once
    #[arg(long, requires = "login")]
    pub(super) generate: bool,
    /// Delete the login
    #[arg(long, requires = "login", conflicts_with = "generate")]
    pub(super) delete: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct Provision {
    /// A file of settings as in config.toml; if it does not exist, nothing is done
    #[arg(long, value_name = "FILE", required_unless_present = "answers")]
    pub(super) credential: Option<PathBuf>,
    /// Settings one by one; a value of several words, separated by spaces or commas, is a list
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "credential", value_parser = console::answers::AnswerParser)]
    pub(super) answers: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Dkim {
    /// Make a key for a domain, and print its DNS record and what to write into config.toml
    #[command(
        long_about = "Make a key for a domain, and print its DNS record and what to write into config.toml.\n\n\
        If config.toml names a key file for this domain that does not exist yet, the key is made there. No key is ever replaced. \
        RSA keys are made by openssl. All receivers support rsa, and some support ed25519: a domain may have one of each.",
        after_help = "Examples:\n  \
        smarthost dkim new example.org                                     an RSA key of 2048 bits\n  \
        smarthost dkim new example.org --selector e1 --algorithm ed25519   beside it"
    )]
    New {
        #[arg(value_parser = Domain::setting)]
        domain: Domain,
        /// The key's name in DNS, in front of ._domainkey; by default the first of s1, s2, … that
        /// is free
        #[arg(long, value_parser = |typed: &str| Selector::try_from(typed.to_owned()))]
        selector: Option<Selector>,
        #[arg(long, value_parser = ["rsa", "ed25519"], default_value = "rsa")]
        algorithm: String,
    },
    /// Check that DNS publishes the keys of this relay; exit 0 if it has them all
    Check,
}

#[derive(Subcommand, Debug)]
pub(super) enum Web {
    /// Print the token that the status page asks for
    #[command(
        long_about = "Print the token that the status page asks for. Type it there, or send it as Authorization: Bearer TOKEN.\n\n\
        The daemon makes it and keeps it in web.token in the state directory. If you delete that file, the old token and all logins made with it become invalid."
    )]
    Token,
}

#[derive(Subcommand, Debug)]
pub(super) enum Limits {
    /// List all clients with what they have sent, most first, and addresses whose logins are
    /// refused
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one client, and the number of its failed logins
    Show {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
    },
    /// Reset a client: its counts, a raised limit, and its failed logins
    Reset {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
    },
    /// Stop waiting for a smarthost that shared the budget and is gone for good
    ForgetNode {
        /// Its name: its budget.node, or its host name
        #[arg(value_parser = console::text)]
        node: String,
    },
    /// Give one client another limit for a while, in place of its longest one, or of two as long
    /// that of messages (0: it may send nothing)
    #[command(after_help = "Examples:\n  \
        smarthost limits raise 10.0.0.7 500                    until this time tomorrow\n  \
        smarthost limits raise 2001:db8::/64 2000 --until 7d   a whole network, for a week")]
    Raise {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
        /// Messages, or recipients if that is what its longest limit counts
        limit: u32,
        /// When it ends: `tomorrow` (in 24 hours), or after a time such as 12h or 7d
        #[arg(long, value_name = "WHEN", default_value = "tomorrow", value_parser = until)]
        until: Duration,
    },
}

fn until(text: &str) -> Result<Duration, String> {
    match text {
        "tomorrow" => Ok(Duration::from_hours(24)),
        span => match Span::try_from(span.to_owned())?.0 {
            Duration::ZERO => Err(
                "it would end at once; to end a raised limit: smarthost limits reset CLIENT"
                    .to_owned(),
            ),
            span => Ok(span),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn all_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_order_that_would_be_over_at_once_is_not_taken() {
        let raise = |until| {
            let line = [
                "smarthost",
                "limits",
                "raise",
                "10.0.0.7",
                "5",
                "--until",
                until,
            ];
            Arguments::try_parse_from(line)
        };
        for until in ["0s", "0d", "0m0s", "", "-1h", "yesterday"] {
            assert!(raise(until).is_err(), "{until}");
        }
        for until in ["1s", "tomorrow", "7d"] {
            assert!(raise(until).is_ok(), "{until}");
        }
    }

    /// With the word in the place of `%`.
    fn typed(line: &str, word: &str) -> Result<Arguments, clap::Error> {
        let words = line.split(' ').map(|it| if it == "%" { word } else { it });
        Arguments::try_parse_from(["smarthost"].into_iter().chain(words))
    }

    #[test]
    fn a_word_that_cannot_be_what_is_wanted_there_is_told_before_anything_is_done() {
        let any = ["", " "];
        let key = &format!("sha256:{}", "ab".repeat(32));
        let drain = &format!("drain --pin {key} --to %");
        for (line, right, wrong) in [
            ("explain %", "root", ["a b", "a@b@c"].as_slice()),
            ("explain %", "<a@b.example>", &["<>"]),
            (
                "explain --client 10.0.0.7 --to a@b.c --login %",
                "vm7",
                &["a b"],
            ),
            (
                "explain --client 10.0.0.7 --to a@b.c --pin %",
                key,
                &["a b"],
            ),
            (drain, "mx2:25", &["a b", "a:0"]),
            ("drain --to mx2 --pin %", key, &["sha256:", "zz"]),
            ("enroll vm7 --relay %", "10.0.0.1:465", &["a b", "a:99999"]),
            ("limits forget-node %", "mx1", &[]),
            ("dkim new example.org --selector %", "s1", &["a b"]),
            ("passwd --generate %", "vm7", &[]),
            (
                "provision --answers %",
                "admin=",
                &["=", "=x", ".=", "a..b=", "x"],
            ),
            ("report rejected --to %", "a", &[]),
            ("report rejected --from %", "<>", &[]),
            ("queue show %", "0BCDFGHJKLMNP", &[]),
            ("queue delete %", "ALL", &[]),
            ("queue list --client %", "vm7", &[]),
            ("trace %", "vm7", &[]),
        ] {
            let error = typed(line, right).err();
            assert!(error.is_none(), "{line} {right}: {error:?}");
            for word in any.iter().chain(wrong) {
                let error = typed(line, word).err();
                let error = error.unwrap_or_else(|| panic!("{line} {word:?}"));
                assert_eq!(error.exit_code(), 2, "{line} {word:?}");
            }
        }
    }

    #[test]
    fn the_configuration_can_be_named_before_and_after_the_command() {
        for line in [
            ["smarthost", "--config", "c", "run"],
            ["smarthost", "run", "--config", "c"],
        ] {
            assert_eq!(
                Arguments::try_parse_from(line).unwrap().config,
                PathBuf::from("c")
            );
        }
        assert_eq!(
            Arguments::try_parse_from(["smarthost", "run"])
                .unwrap()
                .config,
            PathBuf::from(Config::PATH)
        );
    }
}
