//! The settings as rows: name, type, default, range, meaning, value; what `config`, `check`, the
//! manual and the example read (row D7). Those of one value are in [`super::forms`], for the parser
//! too.

use relay::relayhost;
use settings::{
    form::{MESSAGE_SIZE, Word as _},
    rows::{self, Difference, Setting, one_or_list, path, quote, span},
};

use super::{
    file::Tls,
    forms::{
        ALIASES, CONNECTIONS, DIGEST, FROM_OVERRIDE, LIFETIME, MAXIMAL, MINIMAL, MINIMUM_FREE,
        REVALIASES, SHARE_RECIPIENTS, SHARE_SIZE, TLS, WARNING, WINDOW,
    },
    settings::{SOCKET, SPOOL, Settings},
};

/// A setting of a machine.
type Row = rows::Row<Settings>;

/// In the order of the manual.
const ROWS: &[Row] = &[
    Row::new(
        "relayhost",
        "host, or list of them",
        "Where all mail goes, as \"host\", \"host:port\" or \"[address]:port\"; or what DNS names: \"srv:example.org\", the submission servers of a domain with their ports, by priority and weight, \"mx:example.org\", its mail exchangers. Otherwise DNS is asked for addresses alone. Of several, one that fails is left within seconds, and used again by itself. Without it mail is queued.",
        |s| (!s.relayhost.is_empty()).then(|| one_or_list(&s.relayhost)),
    ),
    Row::form(
        &relayhost::ORDER,
        "Of several relayhosts: \"listed\", the first takes all mail while it can; or \"spread\", each machine has an order of its own and keeps to it, so that many machines divide themselves evenly.",
        |s| Some(quote(s.relay_order.as_str())),
    ),
    Row::new(
        "resolver",
        "address",
        "The name server for \"srv:\" and \"mx:\": \"127.0.0.1\" or \"127.0.0.1:5353\".",
        |s| s.resolver.map(quote),
    )
    .otherwise("those of /etc/resolv.conf"),
    Row::new(
        "domain",
        "name",
        "Appended to names without a domain.",
        |s| Some(quote(&s.domain)),
    )
    .otherwise("the first word of /etc/mailname, else the host name"),
    Row::new(
        "hostname",
        "name",
        "This machine's FQDN.",
        |s| Some(quote(&s.hostname)),
    )
    .otherwise("the kernel's name, completed from /etc/hosts or with the domain"),
    Row::new(
        "pins",
        "pin, or list of them",
        "Keys that the relayhost may have, as `sendmail-shim pin HOST` prints them: one that it has, and one that it will have. Without pins it needs a certificate from an authority of the web: for its name, behind \"srv:\" and \"mx:\" for the domain that is written there.",
        |s| Some(one_or_list(&s.pins)),
    ),
    Row::new(
        "admin",
        "mail address",
        "Where mail for local names goes that no alias names.",
        |s| s.admin.as_ref().map(quote),
    ),
    Row::form(
        &TLS,
        "Towards the relayhost: \"starttls\", \"wrapped\" (TLS from the first byte), or \"none\".",
        |s| Some(quote(Tls::from(s.security).as_str())),
    ),
    Row::new(
        "auth.user",
        "text",
        "User at the relayhost, if it wants one. Only under TLS, and only with what it offers: SCRAM-SHA-256, PLAIN or LOGIN.",
        |s| Some(quote(&s.auth.as_ref()?.user)),
    ),
    Row::new(
        "auth.token",
        "table",
        "Instead of a password an access token of OAuth 2.0, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the agent's user, without a shell, for 30 seconds at most, and prints the token, or JSON with access_token and expires_in, until whose end it is kept; after a refusal it is asked once more. A file is as that of a password, and read each time.",
        |s| Some(s.auth.as_ref()?.token.as_ref()?.to_string()),
    ),
    Row::new(
        "auth.password_file",
        "path",
        "Holds the password in its first line; of root or the agent's user, who alone may read it.",
        |s| Some(path(s.auth.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("systemd's credential relay-password"),
    Row::new(
        "certificate",
        "path",
        "Certificate in PEM with which this machine shows itself to the relayhost.",
        |s| Some(path(&s.identity.as_ref()?.0)),
    ),
    Row::new(
        "key",
        "path",
        "Its key.",
        |s| Some(path(&s.identity.as_ref()?.1)),
    )
    .otherwise("in the same file"),
    Row::new(
        "revaliases",
        "path",
        "Table of senders; see sendmail-shim-tables(5). It need not exist.",
        |s| Some(path(&s.revaliases)),
    )
    .place(REVALIASES),
    Row::new(
        "aliases",
        "path",
        "Table of recipients; see sendmail-shim-tables(5). It need not exist.",
        |s| Some(path(&s.aliases)),
    )
    .place(ALIASES),
    Row::new(
        "spool",
        "path",
        "The queue's directory.",
        |s| Some(path(&s.spool)),
    )
    .place(SPOOL),
    Row::new(
        "socket",
        "path",
        "Where the agent takes mail.",
        |s| Some(path(&s.socket)),
    )
    .place(SOCKET),
    Row::new(
        "control",
        "path",
        "Where the agent answers mailq and administrators.",
        |s| Some(path(&s.control)),
    )
    .otherwise("control.sock beside socket"),
    Row::new(
        "smarthost_control",
        "path",
        "Where a smarthost on this machine answers administrators: root's mailq and `sendmail-shim trace` show its queue too.",
        |s| Some(path(&s.smarthost_control)),
    )
    .place(control::SMARTHOST),
    Row::form(
        &FROM_OVERRIDE,
        "Whether programs may choose their own From; otherwise it is the caller's account, through revaliases.",
        |s| Some(s.from_override.to_string()),
    ),
    Row::form(
        &MESSAGE_SIZE,
        "Largest message: bytes, or \"25MiB\".",
        |s| Some(s.message_size.to_string()),
    ),
    Row::form(
        &MINIMUM_FREE,
        "New mail is refused while fewer bytes are free where the queue lies.",
        |s| Some(s.minimum_free.to_string()),
    ),
    Row::form(
        &CONNECTIONS,
        "Connections to the relayhost at once, when many messages wait.",
        |s| Some(s.connections.to_string()),
    ),
    Row::form(
        &MINIMAL,
        "Shortest wait between two attempts: \"5m\", \"1h\", \"1d12h\".",
        |s| Some(span(s.retry.minimal)),
    ),
    Row::form(
        &MAXIMAL,
        "Longest wait between two attempts; waits double up to it.",
        |s| Some(span(s.retry.maximal)),
    ),
    Row::form(
        &LIFETIME,
        "Age at which mail is returned to its sender.",
        |s| Some(span(s.retry.lifetime)),
    ),
    Row::form(
        &WARNING,
        "Age at which the sender is told that his mail is late, and the administrator that the relayhost is away; \"0s\": never.",
        |s| Some(span(s.warning.unwrap_or_default())),
    ),
    Row::new(
        "listen",
        "address with port, or list of them",
        "Loopback addresses where programs may speak SMTP, such as \"127.0.0.1:25\", \"[::1]:25\"; whose mail it is, the kernel says. Without it, there is no such port.",
        |s| Some(one_or_list(&s.listen)),
    ),
    Row::form(
        &WINDOW,
        "How long the same automatic mail (cron's, or Auto-Submitted), numbers apart, is counted after the first, until one digest tells of all: \"10m\"; \"0s\": each is sent.",
        |s| Some(span(s.collapse.unwrap_or_default())),
    ),
    Row::new(
        "budget",
        "limit",
        "How many automatic mails (as above) may go in any such time: \"200/day\". What is beyond it waits in the queue, users in turn, and root is told once a day; an administrator may release it. Without it, there is no limit.",
        |s| s.budget.as_ref().map(quote),
    ),
    Row::new(
        "unchanged.senders",
        "text, or list of them",
        "Whose automatic reports (as above) wait for a digest when they say the same as the last one of the job, numbers apart: users by login name (\"root\"), senders by address (\"backup@*\"); * is anything. A number that was zero and is not, or the other way, is a change, as is any other text: that is sent at once. Without it, each is sent.",
        |s| Some(one_or_list(&s.unchanged.as_ref()?.senders)),
    ),
    Row::form(
        &DIGEST,
        "When the digest comes, counted from the first report that waits: one mail for each user and recipients, a line for each report, with the lines whose numbers differ.",
        |s| Some(span(s.unchanged.as_ref()?.digest)),
    ),
    Row::form(
        &SHARE_SIZE,
        "Bytes of mail that one user other than root may have in the queue; more is refused until some of it has gone.",
        |s| Some(s.share.size?.to_string()),
    )
    .otherwise("a quarter of what is free above minimum_free together with what he has"),
    Row::form(
        &SHARE_RECIPIENTS,
        "Recipients that may wait for his mail; a message to ten counts ten.",
        |s| Some(s.share.recipients.to_string()),
    ),
];

/// All rows, in the order of the manual.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter()
}

/// What is to be known of a setting; empty for a key that is none.
pub fn about(key: &str) -> String {
    let row = ROWS.iter().find(|row| row.covers(key));
    row.map_or_else(String::new, Row::about)
}

/// All settings, in the order of the manual.
pub fn all(settings: &Settings) -> Vec<Setting> {
    rows::settings(ROWS.iter(), settings)
}

/// All that is set, as a file would have it: read again, it gives the same settings.
pub fn text(settings: &Settings) -> String {
    let set = all(settings).into_iter().filter(|it| it.value.is_some());
    let lines: Vec<_> = set.map(|setting| setting.to_string()).collect();
    lines.join("\n")
}

/// Settings that are not the same: key, value of the one, value of the other.
pub fn differences(one: &Settings, other: &Settings) -> Vec<Difference> {
    let set = |settings| rows::set(all(settings)).collect::<Vec<_>>();
    rows::differences(&set(one), &set(other))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    /// Row D7.
    #[test]
    fn the_settings_are_told_in_a_form_that_can_be_pasted_back() {
        let written = "relayhost = [\"[192.0.2.1]:2525\", \"b.example\"]\nspool = \"/srv/q\"\n[retry]\nlifetime = \"36h\"\n";
        let settings = Settings::parse(Some(Path::new("/etc/sendmail-shim/config.toml")), written);
        let settings = settings.unwrap();
        let file = settings.files.first().map(PathBuf::as_path);
        assert_eq!(Settings::parse(file, &text(&settings)).unwrap(), settings);
        let defaults = Settings::parse(file, "").unwrap();
        let differing = differences(&settings, &defaults);
        let keys: Vec<_> = differing.iter().map(|(key, ..)| key.as_str()).collect();
        assert_eq!(keys, ["relayhost", "spool", "retry.lifetime"]);
    }

    /// Row D7.
    #[test]
    fn what_a_row_says_of_a_default_is_what_an_empty_configuration_gives() {
        // A table whose settings have defaults once there is something in it.
        let more = "unchanged = { senders = \"root\" }";
        let [empty, more] = ["", more].map(|text| Settings::parse(None, text).unwrap());
        for row in rows() {
            for (settings, is_empty) in [(&empty, true), (&more, false)] {
                let setting = row.settings(settings).remove(0);
                match (row.preset(), setting.value.as_deref()) {
                    (Some(told), Some(value)) => assert_eq!(value, told, "{}", row.key),
                    // Of a table that is not there.
                    (Some(_), None) => assert!(is_empty && row.key.contains('.'), "{}", row.key),
                    (None, Some(value)) => assert!(
                        row.depends() || value == "[]" || row.key == "unchanged.senders",
                        "{} = {value} is not told",
                        row.key
                    ),
                    (None, None) => {}
                }
            }
        }
    }
}
