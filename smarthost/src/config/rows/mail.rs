//! Where the queue is, and which recipients there are.

use settings::rows::{array, list, path, quote};

use super::super::{SPOOL, STATE};
use super::written::{Row, alias_file, lmtp, maildir};

pub(super) const MAIL: &[Row] = &[
    Row::new(
        "spool",
        "path",
        "The queue's directory. What lies in an earlier one is moved here by the next start.",
        |c| Some(path(&c.spool)),
    )
    .place(SPOOL)
    .at_restart(),
    Row::new(
        "state",
        "path",
        "Directory for the counters, the generated key and the default Maildir.",
        |c| Some(path(&c.state)),
    )
    .place(STATE)
    .basis()
    .at_restart(),
    Row::new(
        "control",
        "path",
        "Socket where the daemon answers administrators.",
        |c| Some(path(&c.control)),
    )
    .otherwise("control.sock in state")
    .at_restart(),
    Row::new(
        "web",
        "address",
        "Where to serve the status page, /metrics and /health: \"127.0.0.1:8025\", another loopback address, or \"unix:/run/smarthost/web.sock\". Metrics and health are open to anybody who can connect. Everything else needs the token that `smarthost web token` prints. A change takes effect at the next restart. See STATUS PAGE in smarthost(8).",
        |c| c.web.as_ref().map(quote),
    )
    .otherwise("none")
    .at_restart(),
    Row::new(
        "aliases",
        "list of files",
        "Alias tables, each \"FILE\", or { file = \"FILE\", programs = \"TRANSPORT\" } to run the file's programs through that pipe transport. Without programs, they run only if nobody but root and the daemon can write to the file. If several tables have a name, the earlier one counts. Mail that an alias sends to several names the alias in X-Loop, and is returned as a loop if it comes to the alias again. See smarthost-tables(5).",
        |c| Some(array(c.aliases.iter().map(alias_file))),
    )
    .default("[\"/etc/aliases\"]"),
    Row::new(
        "virtual",
        "list of tables",
        "Tables that map recipients of every domain to one address, to several, or to those of another domain. If several tables have an entry, the earlier one counts. Loops of lists are found as with aliases. See smarthost-tables(5).",
        |c| Some(list(&c.virtual_aliases)),
    ),
    Row::new(
        "relay_recipients",
        "list of tables",
        "Tables of the recipients that exist in domains.relay: addresses, or @domain for all of a domain.",
        |c| Some(list(&c.relay_recipients)),
    )
    .otherwise("the next hop decides"),
    Row::new(
        "recipient_delimiter",
        "character",
        "The character between user and extension in a local part, as in user+extension; \"\" for none.",
        |c| Some(quote(c.recipient_delimiter.map(String::from).unwrap_or_default())),
    )
    .default("\"+\""),
    Row::new(
        "domains.local",
        "list of domains",
        "Domains that accept mail from anybody, and where it ends. The host name and localhost are always among them. In all lists of domains, \".example.org\" means all subdomains; the most specific name counts.",
        |c| Some(list(&c.domains.local)),
    )
    .otherwise("hostname and localhost"),
    Row::new(
        "domains.relay",
        "list of domains",
        "Domains for which mail is accepted from anybody and passed on.",
        |c| Some(list(&c.domains.relay)),
    ),
    Row::new(
        "domains.virtual",
        "list of domains",
        "Domains whose addresses only stand for others, according to the tables of virtual. An address without an entry is refused.",
        |c| Some(list(&c.domains.virtual_aliases)),
    ),
    Row::new(
        "maildir",
        "path",
        "The Maildir for mail to local domains that no alias sends elsewhere. \"none\": only aliases receive mail.",
        |c| maildir(c.local.as_ref()),
    )
    .otherwise("Maildir in state, or \"none\" with a relayhost"),
    Row::new(
        "lmtp",
        "text",
        "An LMTP server to use instead of a Maildir: \"unix:/run/dovecot/lmtp\", or \"host:port\".",
        |c| lmtp(c.local.as_ref()),
    ),
];
