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
        smarthost check                                  is the configuration right?\n  \
        smarthost explain --client 192.0.2.1 --to a@b.c  what is decided, rule by rule\n  \
        smarthost queue list                             what waits, and why\n  \
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
    /// Check the configuration, all files that it names, the relayhost, DNS and the disk; exit 0 if
    /// all is right
    #[command(
        long_about = "Check the configuration, all files that it names, the relayhost, DNS and the disk, each with a remedy. \
        Sends no mail, and costs nothing of a limit.\n\nAs root it looks with the eyes of the user that the daemon runs as. \
        Exit 0: works, though something may want attention; 1: something does not work; 78: the configuration is wrong."
    )]
    Check {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let the daemon read the configuration anew; exit 0 when it is in force
    #[command(
        long_about = "Let the daemon read the configuration, the alias tables and the certificate anew.\n\n\
        Exit 0: they are in force. What changed is told setting by setting, with both values, here and in the log; settings that take effect at the next \
        restart only are named. \
        Otherwise what was in force stays in force, and the reason is told."
    )]
    Reload,
    /// Tell what would be decided about a recipient and why, or where mail for an address goes;
    /// sends nothing
    Explain(super::explain::Arguments),
    /// Look back: mail that was refused, and how to let a sender pass
    #[command(subcommand)]
    Report(super::report::Report),
    /// Print the settings that differ from the default
    Config(console::config::Which),
    /// Look at the mail that waits, try it now, hold it, delete it or return it
    Queue(console::Queue),
    /// Empty this server into another one: new mail is refused for now, queued mail moves as it is
    #[command(
        long_about = "Empty this server into another smarthost: new mail is refused with 421, and what is queued moves as it is, \
        with its age, id, client, recipients' wishes and hold.\n\n\
        What is in delivery ends first. Each message is delivered by one of the two servers alone, whatever fails meanwhile. \
        The daemon goes on also where this command ends, and after a restart; the same command shows how far it is. \
        Exit 0: nothing is left; 1: what is left stays, with the reasons.",
        after_help = "Examples:\n  \
        smarthost drain --to mx2.example.org --pin sha256:…  empty this server\n  \
        smarthost drain --stop                               take mail again"
    )]
    Drain(super::drain::Drain),
    /// Make a line that lets a machine in by a key of its own; list and revoke machines
    #[command(
        long_about = "Make a line that lets a machine in: `sendmail-shim enroll LINE` there makes a key, and from then on the machine \
        is known by it under this name, wherever it comes from, and may send mail to anywhere within the limits of its own.\n\n\
        The line has this relay, its key and a secret that is good for one key, once; it can be pasted into a shell as it is. \
        It is told here once, and only its hash is kept. Where it is used again with another key, administrators are told.",
        after_help = "Examples:\n  \
        smarthost enroll vm7                        the line, alone on standard output\n  \
        smarthost enroll vm7 --relay 10.0.0.1:465   for a machine that finds this relay there\n  \
        smarthost enroll list                       who is in, and which lines are open\n  \
        smarthost enroll revoke vm7                 its key is believed no more"
    )]
    Enroll(super::enroll::Enroll),
    /// List the machines that bring mail: names, keys, counts by day, last message, version of the
    /// agent
    #[command(after_help = "Examples:\n  \
        smarthost clients                   all of them\n  \
        smarthost clients --silent-for 3d   who used to write, and does not any more\n  \
        smarthost clients --csv             with a column for each of the last 30 days")]
    Clients(super::machines::Clients),
    /// Look at what clients have sent, raise a limit, or forget what was counted
    #[command(subcommand)]
    Limits(Limits),
    /// Mail that must come: list it, declare more of it, or forget it
    #[command(subcommand)]
    Expected(super::expected::Order),
    /// Print the pins of our certificate, ready to be pasted into the clients' configuration
    #[command(
        long_about = "Print the pins of our certificate, ready to be pasted into the clients' configuration.\n\n\
        A pin is the SHA-256 of our public key: clients that know it believe no other key, whatever name or date the certificate has. \
        The key and its certificate are made here if there are none yet."
    )]
    Pin,
    /// Make keys that sign mail (DKIM), and see whether DNS publishes them
    #[command(subcommand)]
    Dkim(Dkim),
    /// Let somebody log in, with another password or no more; without a name: list who may
    #[command(
        long_about = "Let somebody log in, with another password or no more; without a name: list who may.\n\n\
        The password is the first line of standard input; on a terminal, and with --generate, one is made and shown once. \
        The file is the one that auth.users names; the daemon takes it two seconds later.",
        after_help = "Examples:\n  \
        smarthost passwd printer                     make a password, and show it\n  \
        pass show printer | smarthost passwd printer take that one\n  \
        smarthost passwd printer --delete            no more"
    )]
    Passwd(Passwd),
    /// Run the programs of a pipe transport in a unit of their own: speaks LMTP on standard input
    /// (systemd does this)
    Pipe {
        #[arg(value_name = "TRANSPORT")]
        transport: String,
    },
    /// Set a relay up: asks what it cannot find out, shows and checks the file, and writes it after
    /// a yes
    #[command(
        long_about = "Set a relay up: asks what it cannot find out, shows and checks the file, and writes it after a yes.\n\n\
        Proposed are the machine's own name and the private networks that it is in. Where Postfix is set up, its configuration is offered \
        to be taken over. A file with settings of yours is not replaced without asking, and kept as config.toml.before-init.\n\n\
        In the end, after a yes or with --test, the daemon takes the file, and a mail to the administrators is followed to its end.",
        after_help = "Examples:\n  \
        smarthost init                                                  in a terminal\n  \
        smarthost init --yes relayhost=[smtp.isp.example]:587 networks=  for a script"
    )]
    Init(super::init::arguments::Init),
    /// Make Postfix's configuration ours: show it with a report of each parameter, or write it
    #[command(
        long_about = "Make Postfix's configuration ours: main.cf, master.cf and the tables that they name.\n\n\
        The configuration is shown on standard output; standard error says of each parameter, service and -o what became of it: mapped, \
        default, ignored on purpose, NOT SUPPORTED (with what to do), or DECIDE. Postfix's files are only read. \
        Exit 0: taken over as it was; 1: something is not, or needs a decision.",
        after_help = "Examples:\n  \
        smarthost import                             show what would become of /etc/postfix\n  \
        smarthost import --apply                     write it; tables and the password beside it\n  \
        smarthost import /srv/old/postfix --json     that of another machine, for a program"
    )]
    Import(Import),
    /// Write settings that come with the machine or with the package into a file of their own; what
    /// config.toml says counts more
    #[command(
        long_about = "Write settings that come with the machine or with the package into a file of their own, \
        beside the configuration file, which counts more.\n\nWhat cannot be used is told, and changes nothing."
    )]
    Provision(Provision),
    /// The status page: its token
    #[command(subcommand)]
    Web(Web),
    /// Tell the whole way of a message, from the machine that sent it to its end, or follow a
    /// client or destination live
    #[command(
        long_about = "Tell the whole way of a message: who brought it, each attempt with the next hop's words, and the end of each recipient.\n\n\
        The journal is read for both programs, smarthost and sendmail-shim, and so is the queue. What a message is called at the next hop, \
        and its bounces, are followed, where their log is read too.",
        after_help = "Examples:\n  \
        smarthost trace 0BCDFGHJKLMNP                          by queue id, of either program\n  \
        smarthost trace bob@example.org --since 2d             all mail from and to bob\n  \
        smarthost trace '<20261122.1@vm7.example.org>'         by Message-ID\n  \
        smarthost trace 10.0.0.7 --live                        what this client does, as it does it\n  \
        smarthost trace example.org --log /var/log/mail.log --log vm7.log.1.gz"
    )]
    Trace(console::trace::Trace),
    /// Send a test message, and follow it until a next hop has answered
    #[command(
        long_about = "Send a test message from this relay, and follow it until a next hop has answered: where it went and what was said there, \
        or why it waits.\n\nNo limit counts it; its sender is postmaster at this host. Exit 0: a next hop has it, or it lies in its mailbox; \
        75: it waits in the queue; 69: it was refused for good, or the daemon does not run.",
        after_help = "Examples:\n  \
        smarthost test                      to the administrators (admins)\n  \
        smarthost test bob@example.org      to somebody else"
    )]
    Test {
        /// Whom to; default: the administrators
        #[arg(value_name = "ADDRESS", value_parser = Address::parse)]
        address: Option<Address>,
    },
    /// How it goes, anew each second, in a terminal: destinations, senders, clients, refusals, and
    /// who is asked; ? tells the keys
    #[command(
        long_about = "How it goes, anew each second, in a terminal: destinations, senders, clients, refusals, and who is asked.\n\n\
        Keys: Tab or 1 to 5 for another table, left and right (or s) for the column that it is sorted by, r for the other order, \
        up and down to scroll, ? for help, q to quit. Into a pipe or a file, or on a terminal that only prints (TERM=dumb), it prints once and ends."
    )]
    Top {
        /// Print once and end
        #[arg(long)]
        once: bool,
    },
    /// The daemon in numbers
    #[command(
        long_about = "The daemon in numbers: what waits, by destination and by client, since when and why; who is near a limit; what was refused; \
        what the daemon asks.\n\n\
        Each relayhost stands in that list, also one alone, with why and since when it fails; so does any other next hop of your own (a route, an LMTP server, \
        a Maildir) that takes no mail, until it takes some or is not tried any more; \"not asked yet\" is said of policy servers, milters and verification \
        before the first question. The status page and /health warn of the same."
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
    /// Write the files instead of showing them
    #[arg(long)]
    pub(super) apply: bool,
    /// Overwrite our files
    #[arg(long, requires = "apply")]
    pub(super) force: bool,
    /// The report and the configuration as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct Passwd {
    /// Who: no blanks, and no address
    #[arg(value_name = "LOGIN", value_parser = console::text)]
    pub(super) login: Option<String>,
    /// Make a password, and show it once
    #[arg(long, requires = "login")]
    pub(super) generate: bool,
    /// Let it log in no more
    #[arg(long, requires = "login", conflicts_with = "generate")]
    pub(super) delete: bool,
}

#[derive(clap::Args, Debug)]
pub(super) struct Provision {
    /// Settings as in config.toml; without the file nothing is done
    #[arg(long, value_name = "FILE", required_unless_present = "answers")]
    pub(super) credential: Option<PathBuf>,
    /// Settings one by one; several words in a value, between spaces or commas, are a list
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "credential", value_parser = console::answers::AnswerParser)]
    pub(super) answers: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Dkim {
    /// Make a key for a domain, and print its DNS record and what to write into config.toml
    #[command(
        long_about = "Make a key for a domain, and print its DNS record and what to write into config.toml.\n\n\
        Where config.toml names a file for this domain that is not there yet, the key is made there; no key is ever replaced. \
        RSA keys are made by openssl. Receivers all know rsa, and some know ed25519: a domain may have one of each.",
        after_help = "Examples:\n  \
        smarthost dkim new example.org                                     an RSA key of 2048 bits\n  \
        smarthost dkim new example.org --selector e1 --algorithm ed25519   beside it"
    )]
    New {
        #[arg(value_parser = Domain::setting)]
        domain: Domain,
        /// The key's name in DNS, in front of ._domainkey. Default: the first of s1, s2, … that is
        /// free
        #[arg(long, value_parser = |typed: &str| Selector::try_from(typed.to_owned()))]
        selector: Option<Selector>,
        #[arg(long, value_parser = ["rsa", "ed25519"], default_value = "rsa")]
        algorithm: String,
    },
    /// Ask DNS whether it publishes our keys; exit 0 if all are there
    Check,
}

#[derive(Subcommand, Debug)]
pub(super) enum Web {
    /// Print the token that the status page wants
    #[command(
        long_about = "Print the token that the status page wants: to be typed there, or sent as Authorization: Bearer TOKEN.\n\n\
        It is in web.token in the state directory, made by the daemon. Delete the file, and all tokens and log-ins of before are worthless."
    )]
    Token,
}

#[derive(Subcommand, Debug)]
pub(super) enum Limits {
    /// List all clients with what they have sent, most first, and from where logins are refused
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one client, and how many logins failed from there
    Show {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
    },
    /// Forget what a client has sent, a limit that was raised, and logins that failed from there
    Reset {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
    },
    /// Wait no more for a smarthost that shared the budget and is gone for good
    ForgetNode {
        /// Its name: its budget.node, or its host name
        #[arg(value_parser = console::text)]
        node: String,
    },
    /// Give one client another limit for a while, in the longest window (0: nothing at all)
    #[command(after_help = "Examples:\n  \
        smarthost limits raise 10.0.0.7 500                    until this time tomorrow\n  \
        smarthost limits raise 2001:db8::/64 2000 --until 7d   a whole network, for a week")]
    Raise {
        /// An address, an IPv6 /64, or the name of a login or key
        client: ClientId,
        /// Messages
        limit: u32,
        /// `tomorrow` (in 24 hours), or after a time such as 12h or 7d
        #[arg(long, value_name = "WHEN", default_value = "tomorrow", value_parser = until)]
        until: Duration,
    },
}

fn until(text: &str) -> Result<Duration, String> {
    match text {
        "tomorrow" => Ok(Duration::from_hours(24)),
        span => match Span::try_from(span.to_owned())?.0 {
            Duration::ZERO => Err(
                "the order would end at once; to end one: smarthost limits reset CLIENT".to_owned(),
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
