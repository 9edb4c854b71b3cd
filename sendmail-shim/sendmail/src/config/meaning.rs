//! What each setting means: one table for `sendmail-shim config --all` and for the manual.

/// Key and sentence, in the order of the manual.
#[rustfmt::skip]
const MEANINGS: &[(&str, &str)] = &[
    ("relayhost", "Where all mail goes, as \"host\", \"host:port\" or \"[address]:port\"; of several, the first that answers. MX records are never asked. Without it mail is queued."),
    ("domain", "Appended to names without a domain. Default: the first word of /etc/mailname, else the host name."),
    ("hostname", "This machine's FQDN. Default: the kernel's name, completed from /etc/hosts or with the domain."),
    ("pins", "Keys that the relayhost may have, as `sendmail-shim pin HOST` prints them: one that it has, and one that it will have. Without pins it needs a certificate for its name from an authority of the web."),
    ("admin", "Where mail for local names goes that no alias names."),
    ("tls", "Towards the relayhost: \"starttls\", \"wrapped\" (TLS from the first byte), or \"none\"."),
    ("auth.user", "User at the relayhost, if it wants one. Only under TLS, and only with what it offers: SCRAM-SHA-256, PLAIN or LOGIN."),
    ("auth.token", "Instead of a password an access token of OAuth 2.0, for XOAUTH2 or OAUTHBEARER: { command = [\"/usr/local/bin/token\", \"argument\"] } or { file = \"token\" }. The program runs as the agent's user, without a shell, for 30 seconds at most, and prints the token, or JSON with access_token and expires_in, until whose end it is kept; after a refusal it is asked once more. A file is as that of a password, and read each time."),
    ("auth.password_file", "Holds the password in its first line; of root or the agent's user, who alone may read it. Default: systemd's credential relay-password."),
    ("certificate", "Certificate in PEM with which this machine shows itself to the relayhost."),
    ("key", "Its key. Default: in the same file."),
    ("revaliases", "Table of senders; see sendmail-shim-tables(5). It need not exist."),
    ("aliases", "Table of recipients; see sendmail-shim-tables(5). It need not exist."),
    ("spool", "The queue's directory."),
    ("socket", "Where the agent takes mail."),
    ("control", "Where the agent answers mailq and administrators. Default: control.sock beside socket."),
    ("smarthost_control", "Where a smarthost on this machine answers administrators: root's mailq and `sendmail-shim trace` show its queue too."),
    ("from_override", "Whether programs may choose their own From; otherwise it is the caller's account, through revaliases."),
    ("message_size", "Largest message: bytes, or \"25MiB\"."),
    ("minimum_free", "New mail is refused while fewer bytes are free where the queue lies."),
    ("connections", "Connections to the relayhost at once, when many messages wait; 1 to 255."),
    ("retry.minimal", "Shortest wait between two attempts: \"5m\", \"1h\", \"1d12h\"."),
    ("retry.maximal", "Longest wait between two attempts; waits double up to it."),
    ("retry.lifetime", "Age at which mail is returned to its sender."),
    ("retry.warning", "Age at which the sender is told that his mail is late, and the administrator that the relayhost is away; \"0s\": never."),
    ("listen", "Loopback addresses where programs may speak SMTP, such as \"127.0.0.1:25\", \"[::1]:25\"; whose mail it is, the kernel says. Without it, there is no such port."),
    ("collapse.window", "How long the same automatic mail (cron's, or Auto-Submitted), numbers apart, is counted after the first, until one digest tells of all: \"10m\"; \"0s\": each is sent."),
    ("budget", "How many automatic mails (as above) may go in any such time: \"200/day\". What is beyond it waits in the queue, users in turn, and root is told once a day; an administrator may release it. Without it, there is no limit."),
    ("share.size", "Bytes of mail that one user other than root may have in the queue; more is refused until some of it has gone. Default: a quarter of what is free above minimum_free together with what he has."),
    ("share.recipients", "Recipients that may wait for his mail; a message to ten counts ten."),
];

/// The sentence for a key; empty for one that is none.
pub fn of(key: &str) -> &'static str {
    MEANINGS
        .iter()
        .find(|(known, _)| *known == key)
        .map_or("", |(_, sentence)| sentence)
}

#[cfg(test)]
mod tests {
    use crate::config::{effective, settings::Settings};

    #[test]
    fn every_setting_has_its_sentence_and_every_sentence_its_setting() {
        let rows = effective::rows(&Settings::parse(None, "").unwrap()).unwrap();
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let explained: Vec<_> = super::MEANINGS.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, explained);
    }
}
