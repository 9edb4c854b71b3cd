//! Where the queue is, and which recipients there are.

use settings::rows::{array, list, path, quote};

use super::super::{SPOOL, STATE};
use super::written::{Row, alias_file, lmtp, maildir};

pub(super) const MAIL: &[Row] = &[
    Row::new(
        "spool",
        "path",
        "The queue's directory.",
        |c| Some(path(&c.spool)),
    )
    .place(SPOOL)
    .at_restart(),
    Row::new(
        "state",
        "path",
        "Directory of counters, generated key and default Maildir.",
        |c| Some(path(&c.state)),
    )
    .place(STATE)
    .basis()
    .at_restart(),
    Row::new(
        "control",
        "path",
        "Where the daemon answers administrators.",
        |c| Some(path(&c.control)),
    )
    .otherwise("control.sock in state")
    .at_restart(),
    Row::new(
        "web",
        "address",
        "Where the status page, /metrics and /health are: \"127.0.0.1:8025\", another address of loopback, or \"unix:/run/smarthost/web.sock\". Metrics and health are open to whoever reaches it; all else wants the token that `smarthost web token` prints. Takes effect at the next restart. See STATUS PAGE in smarthost(8).",
        |c| c.web.as_ref().map(quote),
    )
    .otherwise("none")
    .at_restart(),
    Row::new(
        "aliases",
        "list of files",
        "Alias tables; an earlier one wins: \"FILE\", or { file = \"FILE\", programs = \"TRANSPORT\" } for one whose programs are run by that pipe transport. Without it only those of a file are run that nobody but root and the daemon can write. See smarthost-tables(5).",
        |c| Some(array(c.aliases.iter().map(alias_file))),
    )
    .default("[\"/etc/aliases\"]"),
    Row::new(
        "virtual",
        "list of tables",
        "Tables that map recipients of every domain to others: one address, several, or those of another domain. An earlier one wins. See smarthost-tables(5).",
        |c| Some(list(&c.virtual_aliases)),
    ),
    Row::new(
        "relay_recipients",
        "list of tables",
        "Tables of the recipients that there are in domains.relay: addresses, or @domain for all of a domain.",
        |c| Some(list(&c.relay_recipients)),
    )
    .otherwise("the next hop decides"),
    Row::new(
        "recipient_delimiter",
        "character",
        "Separates user and extension in a local part, as in user+extension; \"\" for none.",
        |c| Some(quote(c.recipient_delimiter.map(String::from).unwrap_or_default())),
    )
    .default("\"+\""),
    Row::new(
        "domains.local",
        "list of domains",
        "Domains whose mail is taken from anybody and ends here; the host name and localhost always are. In each of these lists \".example.org\" means all subdomains; the nearest name counts.",
        |c| Some(list(&c.domains.local)),
    )
    .otherwise("hostname and localhost"),
    Row::new(
        "domains.relay",
        "list of domains",
        "Domains whose mail is taken from anybody and is passed on.",
        |c| Some(list(&c.domains.relay)),
    ),
    Row::new(
        "domains.virtual",
        "list of domains",
        "Domains whose addresses only stand for others, by the tables of virtual; an address without an entry is refused.",
        |c| Some(list(&c.domains.virtual_aliases)),
    ),
    Row::new(
        "maildir",
        "path",
        "Where mail for local domains ends that no alias sends elsewhere; \"none\": only aliases receive.",
        |c| maildir(c.local.as_ref()),
    )
    .otherwise("Maildir in state, or \"none\" with a relayhost"),
    Row::new(
        "lmtp",
        "text",
        "Instead of a Maildir, an LMTP server: \"unix:/run/dovecot/lmtp\", or \"host:port\".",
        |c| lmtp(c.local.as_ref()),
    ),
];
