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
        "Where all mail goes: \"host\", \"host:port\" or \"[address]:port\"; or what DNS names: \"srv:example.org\", the submission servers of a domain with their ports, by priority and weight; \"mx:example.org\", its mail exchangers. For a host, DNS is asked only for addresses. If you list several, one that fails is passed over within seconds, and used again by itself. Without a relayhost, mail is queued.",
        |s| (!s.relayhost.is_empty()).then(|| one_or_list(&s.relayhost)),
    ),
    Row::form(
        &relayhost::ORDER,
        "The order of several relayhosts. \"listed\": the first takes all mail while it can. \"spread\": each machine has an order of its own and keeps to it, so that many machines divide themselves evenly.",
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
        "Keys that the relayhost may have, as `sendmail-shim pin HOST` prints them: the one that it has, and one that it will have. Without pins, it needs a certificate from a public certificate authority: for its name, or with \"srv:\" and \"mx:\" for the domain that is written there.",
        |s| Some(one_or_list(&s.pins)),
    ),
    Row::new(
        "admin",
        "mail address",
        "Where mail for local names goes if no alias names them.",
        |s| s.admin.as_ref().map(quote),
    ),
    Row::form(
        &TLS,
        "TLS towards the relayhost: \"starttls\", \"wrapped\" (TLS from the first byte), or \"none\".",
        |s| Some(quote(Tls::from(s.security).as_str())),
    ),
    Row::new(
        "auth.user",
        "text",
        "User name at the relayhost, if it wants a login. The machine logs in only under TLS, and only with what the relayhost offers: SCRAM-SHA-256, PLAIN or LOGIN.",
        |s| Some(quote(&s.auth.as_ref()?.user)),
    ),
    Row::new(
        "auth.token",
        "table",
        "An OAuth 2.0 access token instead of a password, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the agent's user, without a shell, for 30 seconds at most. It prints the token, or JSON with access_token and expires_in. A token is kept until shortly before it expires, or for five minutes if the program does not say when. If the relayhost refuses it, the program is asked once more. A token file needs the same owner and mode as a password file, and is read each time.",
        |s| Some(s.auth.as_ref()?.token.as_ref()?.to_string()),
    ),
    Row::new(
        "auth.password_file",
        "path",
        "File with the password in its first line. It must belong to root or the agent's user, and nobody else may read it.",
        |s| Some(path(s.auth.as_ref()?.password_file.as_deref()?)),
    )
    .otherwise("systemd's credential relay-password"),
    Row::new(
        "certificate",
        "path",
        "PEM file with the certificate that this machine shows the relayhost.",
        |s| Some(path(&s.identity.as_ref()?.0)),
    ),
    Row::new(
        "key",
        "path",
        "PEM file with the certificate's key.",
        |s| Some(path(&s.identity.as_ref()?.1)),
    )
    .otherwise("in the same file"),
    Row::new(
        "revaliases",
        "path",
        "Table that rewrites senders; see sendmail-shim-tables(5). It need not exist.",
        |s| Some(path(&s.revaliases)),
    )
    .place(REVALIASES),
    Row::new(
        "aliases",
        "path",
        "Table that rewrites recipients; see sendmail-shim-tables(5). It need not exist.",
        |s| Some(path(&s.aliases)),
    )
    .place(ALIASES),
    Row::new(
        "spool",
        "path",
        "The queue's directory. What lies in an earlier one is moved here by the next start.",
        |s| Some(path(&s.spool)),
    )
    .place(SPOOL),
    Row::new(
        "socket",
        "path",
        "Socket where the agent takes mail.",
        |s| Some(path(&s.socket)),
    )
    .place(SOCKET),
    Row::new(
        "control",
        "path",
        "Socket where the agent answers mailq and administrators.",
        |s| Some(path(&s.control)),
    )
    .otherwise("control.sock beside socket"),
    Row::new(
        "smarthost_control",
        "path",
        "Socket where a smarthost on this machine answers administrators, so that root's mailq and `sendmail-shim trace` show its queue too.",
        |s| Some(path(&s.smarthost_control)),
    )
    .place(control::SMARTHOST),
    Row::form(
        &FROM_OVERRIDE,
        "Whether programs may choose their own From. Otherwise From is the caller's account, rewritten by revaliases.",
        |s| Some(s.from_override.to_string()),
    ),
    Row::form(
        &MESSAGE_SIZE,
        "Largest message: bytes, or \"25MiB\".",
        |s| Some(s.message_size.to_string()),
    ),
    Row::form(
        &MINIMUM_FREE,
        "New mail is refused while fewer bytes than this are free on the queue's disk.",
        |s| Some(s.minimum_free.to_string()),
    ),
    Row::form(
        &CONNECTIONS,
        "Simultaneous connections to the relayhost when many messages wait. If you set it, there are never more; otherwise connections whose relayhost is silent do not count, up to three times as many.",
        |s| s.limits_connections.then(|| s.connections.to_string()),
    )
    .implied(),
    Row::form(
        &MINIMAL,
        "Shortest wait between two attempts: \"5m\", \"1h\", \"1d12h\".",
        |s| Some(span(s.retry.minimal)),
    ),
    Row::form(
        &MAXIMAL,
        "Longest wait between two attempts, give or take a fifth; waits double up to it.",
        |s| Some(span(s.retry.maximal)),
    ),
    Row::form(
        &LIFETIME,
        "Age at which mail is returned to its sender.",
        |s| Some(span(s.retry.lifetime)),
    ),
    Row::form(
        &WARNING,
        "Age at which the sender is told that the mail is late, and the administrator that the relayhost does not take it; \"0s\": never.",
        |s| Some(span(s.warning.unwrap_or_default())),
    ),
    Row::new(
        "listen",
        "address with port, or list of them",
        "Loopback addresses where programs may speak SMTP, such as \"127.0.0.1:25\" or \"[::1]:25\". The kernel says whose mail it is. Without this setting, there is no such port.",
        |s| Some(one_or_list(&s.listen)),
    ),
    Row::form(
        &WINDOW,
        "How long to count repeats of the same automatic mail (from cron, or with Auto-Submitted; numbers may differ) after the first one, until one digest reports them all, such as \"10m\". \"0s\": each is sent.",
        |s| Some(span(s.collapse.unwrap_or_default())),
    ),
    Row::new(
        "budget",
        "limit",
        "How many automatic mails (as above) may go in any such time: \"200/day\". A user has at most half of it, and a quarter is for root alone. What exceeds that waits in the queue, where users take turns, and root is told once a day. An administrator may release it. Without this setting, there is no limit.",
        |s| s.budget.as_ref().map(quote),
    ),
    Row::new(
        "unchanged.senders",
        "text, or list of them",
        "Whose automatic reports (as above) wait for a digest if they say the same as the last one of the job: users by login name (\"root\"), senders by address (\"backup@*\"); * is anything. Numbers may differ, but a number that becomes zero or is no longer zero is a change, as is any other text. A changed report is sent at once. Without this setting, each report is sent.",
        |s| Some(one_or_list(&s.unchanged.as_ref()?.senders)),
    ),
    Row::form(
        &DIGEST,
        "When the digest comes, counted from the first report that waits. It is one mail for each user and recipients, with a line for each report and the lines whose numbers differ.",
        |s| Some(span(s.unchanged.as_ref()?.digest)),
    ),
    Row::form(
        &SHARE_SIZE,
        "Bytes of mail that one user other than root may have in the queue. More is refused until some of it has gone.",
        |s| Some(s.share.size?.to_string()),
    )
    .otherwise("a quarter of the space that is free above minimum_free or already the user's"),
    Row::form(
        &SHARE_RECIPIENTS,
        "Recipients that may wait in one user's queued mail. A message to ten recipients counts ten.",
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
