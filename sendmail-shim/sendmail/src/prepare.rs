//! The one place where a submitted message is rewritten and completed: in the agent, or in
//! `sendmail` where no agent answers.
//!
//! Contract: pure. Bcc, Resent-Bcc and Return-Path are gone from the header; envelope and header
//! are rewritten by one policy ([`mail::message::rewrite`]); what a strict relay refuses is mended
//! ([`mail::message::conform`](mod@conform)); Date, Message-ID, From, To and Received are there;
//! header text is ASCII (RFC 2047) and no header line is over 998 bytes.
//! Failures: [`RewriteError`] (a bad address, a loop of aliases), [`TooManyHops`].
//! RFC 5322 §3.6, RFC 5321 §6.3.

use std::collections::HashSet;

use mail::{
    address::{Address, LocalPart, Mailbox, list, quote_local},
    clock::Timestamp,
    envelope::{Content, Envelope, Mail, Rcpt},
    limits,
    message::{
        Header,
        complete::{self, Facts},
        conform, encoded_words, long_lines, recipients,
        rewrite::{self, Caller, Change, RewriteError, Rules},
        trace::{self, Received},
    },
};

/// A message as it was submitted.
#[derive(Clone, Debug)]
pub struct Submitted<'a> {
    pub caller: &'a Caller,
    pub uid: u32,
    /// Queue id, or what stands for it.
    pub id: &'a str,
    pub now: Timestamp,
    pub mail: &'a Mail,
    pub recipients: &'a [Rcpt],
    pub content: Content,
    /// What the body's text is to be called, if it has 8 bits.
    pub charset: &'a str,
}

/// What becomes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    pub envelope: Envelope,
    pub header: Header,
    /// For `explain` and the log.
    pub changes: Vec<Change>,
}

/// Behind this the agent's answer says whose mail aliases refuse, while others get it.
pub const REFUSED: &str = "; refused: ";

impl Prepared {
    /// Whose mail aliases refuse, while others get it, and why.
    pub fn refused(&self) -> Option<String> {
        let told: Vec<_> = self.refusals().map(|it| it.after.as_str()).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// The same, for who cannot tell their sender: they are no recipients any more.
    pub fn without_refused(&mut self) -> Option<String> {
        let refused: HashSet<_> = self.refusals().map(|it| it.before.clone()).collect();
        let all = &mut self.envelope.recipients;
        all.retain(|it| !refused.contains(it.address.as_str()));
        self.refused()
    }

    fn refusals(&self) -> impl Iterator<Item = &Change> {
        let changes = self.changes.iter();
        changes.filter(|it| it.what == rewrite::REFUSED)
    }
}

/// Why a message cannot go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrepareError {
    Rewrite(RewriteError),
    /// It went round in a circle.
    Hops,
}

impl std::fmt::Display for PrepareError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rewrite(
                RewriteError::Sender(what)
                | RewriteError::Recipient(what)
                | RewriteError::Alias(what)
                | RewriteError::Refused(what),
            ) => f.write_str(what),
            Self::Hops => write!(f, "mail loop: more than {} Received fields", limits::HOPS),
        }
    }
}

/// Rewrites and completes.
pub fn prepare(
    submitted: &Submitted<'_>,
    mut header: Header,
    rules: &Rules,
) -> Result<Prepared, PrepareError> {
    if trace::hops(&header) > limits::HOPS {
        return Err(PrepareError::Hops);
    }
    recipients::withhold(&mut header);
    let own = submitted
        .mail
        .sender
        .as_ref()
        .map_or_else(|| quote_local(&submitted.caller.user), ToString::to_string);
    let mut changes = conform::conform(&mut header, &own, &|word| {
        is_somebody(word, submitted, rules)
    });
    let (mut envelope, rewritten) = rewrite::rewrite(
        submitted.mail,
        submitted.recipients,
        &mut header,
        submitted.caller,
        rules,
    )
    .map_err(PrepareError::Rewrite)?;
    changes.extend(rewritten);
    envelope.uid = Some(submitted.uid);
    let named = rewrite::account_named(submitted.mail, submitted.caller, rules);
    envelope.origin = origin(submitted, named.as_ref());
    complete_header(&mut header, submitted, &envelope, rules).map_err(PrepareError::Rewrite)?;
    encoded_words::repair(&mut header);
    long_lines::fold_header(&mut header);
    envelope.content = Content {
        eight_bit: submitted.content.eight_bit,
        utf8: envelope.content.utf8 || !header.to_bytes().is_ascii(),
    };
    Ok(Prepared {
        envelope,
        header,
        changes,
    })
}

/// Whether a word is a mailbox of this machine, as far as can be seen: mail goes to it, it is in a
/// table, or everybody knows it.
fn is_somebody(word: &str, submitted: &Submitted<'_>, rules: &Rules) -> bool {
    let is = |name: &str| name.eq_ignore_ascii_case(word);
    let is_recipient = |to: &Rcpt| matches!(&to.to, Mailbox::Local(name) if is(name.as_str()));
    submitted.recipients.iter().any(is_recipient)
        || is(&submitted.caller.user)
        || ["root", "postmaster"].into_iter().any(is)
        || rules.aliases.named(word).is_some()
        || rules.revaliases.named(word).is_some()
}

/// Between whoever submitted a message and the account in whose name he did.
const AS: &str = "), as ";

/// `uid 0 (root)`, `uid 0 (root), as daemon`.
fn origin(submitted: &Submitted<'_>, named: Option<&LocalPart>) -> String {
    let (uid, user) = (submitted.uid, &submitted.caller.user);
    match named {
        Some(named) => format!("uid {uid} ({user}{AS}{named}"),
        None => format!("uid {uid} ({user})"),
    }
}

/// The account in whose name a message was submitted, if it was not the submitter's own: as the
/// origin of its envelope says.
pub fn named_in(origin: &str) -> Option<&str> {
    origin.rsplit_once(AS).map(|(_, named)| named)
}

fn complete_header(
    header: &mut Header,
    submitted: &Submitted<'_>,
    envelope: &Envelope,
    rules: &Rules,
) -> Result<(), RewriteError> {
    let (caller, id, now) = (submitted.caller, submitted.id, submitted.now);
    let from = match envelope.sender.address().filter(|_| rules.from_override) {
        Some(address) => mailbox(&caller.full_name, address),
        None => rewrite::default_from(caller, rules)?,
    };
    let hostname = &rules.hostname;
    complete::complete(
        header,
        &Facts {
            now,
            hostname,
            id,
            from: &from,
            content: submitted.content,
            charset: submitted.charset,
        },
    );
    let for_ = match envelope.recipients.as_slice() {
        [one] => Some(one.address.to_string()),
        _ => None,
    };
    header.prepend(trace::received(&Received {
        from: &format!("(from {}, uid {})", caller.user, submitted.uid),
        by: &format!(
            "{hostname} ({} {})",
            trace::AGENT,
            env!("CARGO_PKG_VERSION")
        ),
        with: "local",
        id,
        for_: for_.as_deref(),
        date: &now.rfc5322(),
        tls: None,
    }));
    Ok(())
}

/// `Full Name <user@domain>`
fn mailbox(full_name: &str, address: &Address) -> String {
    match list::display_name(full_name) {
        name if name.is_empty() => address.to_string(),
        name => format!("{name} <{address}>"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail::{
        address::{Domain, list},
        envelope::Notify,
        maps::Table,
    };

    use super::*;

    fn rules() -> Rules {
        let (aliases, problems) =
            Table::aliases("aliases".into(), "root: a@x.example, b@x.example\n");
        assert_eq!(problems, []);
        Rules {
            hostname: Domain::name("vm1.example.org").unwrap(),
            nodename: None,
            domain: Domain::name("example.org").unwrap(),
            admin: None,
            revaliases: Arc::default(),
            aliases: aliases.into(),
            from_override: true,
        }
    }

    fn prepared(
        header: &str,
        sender: Option<&str>,
        recipients: &[(&str, Notify)],
    ) -> Result<Prepared, PrepareError> {
        let caller = Caller {
            user: "www-data".into(),
            full_name: "Web \"Shop\"".into(),
        };
        let rcpt = |(text, notify): &(&str, Notify)| Rcpt {
            notify: *notify,
            ..Rcpt::from(list::one(text).unwrap())
        };
        let recipients: Vec<_> = recipients.iter().map(rcpt).collect();
        let submitted = Submitted {
            caller: &caller,
            uid: 33,
            id: "8yGavsVubFN",
            now: Timestamp::from_secs(1_795_349_985),
            mail: &crate::plan::sender(sender, None).unwrap(),
            recipients: &recipients,
            content: Content::default(),
            charset: "utf-8",
        };
        prepare(&submitted, Header::parse(header.as_bytes()), &rules())
    }

    #[test]
    fn what_must_not_leave_is_gone_and_what_must_be_there_is_there_once() {
        let header = "Bcc: secret@x.example\r\nResent-Bcc: s@x.example\r\nReturn-Path: <x@y.example>\r\nSubject: x\r\n";
        let prepared = prepared(header, None, &[("c@x.example", Notify::default())]).unwrap();
        let text = String::from_utf8(prepared.header.to_bytes()).unwrap();
        assert!(
            !text.contains("secret")
                && !text.contains("s@x.example")
                && !text.contains("Return-Path"),
            "{text}"
        );
        for name in ["Received", "Date", "Message-ID", "From", "To", "Subject"] {
            assert_eq!(
                prepared
                    .header
                    .fields()
                    .iter()
                    .filter(|f| f.is(name))
                    .count(),
                1,
                "{name}: {text}"
            );
        }
        assert!(
            text.starts_with("Received: (from www-data, uid 33)"),
            "{text}"
        );
        assert!(
            text.contains("\"Web \\\"Shop\\\"\" <www-data@example.org>"),
            "{text}"
        );
        assert_eq!(
            (prepared.envelope.uid, prepared.envelope.origin.as_str()),
            (Some(33), "uid 33 (www-data)")
        );
    }

    /// Whoever answers must reach who was meant, and nobody else.
    #[test]
    fn no_address_is_made_of_the_first_word_of_a_name_with_a_comma() {
        let header = "Reply-To: Kock, Arne <a@x.example>\r\n\
            Cc: Kock, Arne <a@x.example>, ops, Otto <o@x.example>, root, Ann <b@x.example>\r\n";
        let to = [
            ("ops", Notify::default()),
            ("a@x.example", Notify::default()),
        ];
        let prepared = prepared(header, None, &to).unwrap();
        let text = String::from_utf8(prepared.header.to_bytes()).unwrap();
        let text = text.replace("\r\n ", " ");
        for line in [
            "Reply-To: \"Kock, Arne\" <a@x.example>\r\n",
            "Cc: \"Kock, Arne\" <a@x.example>, ops@example.org, Otto <o@x.example>, root@example.org, Ann <b@x.example>\r\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn notification_wishes_follow_a_recipient_through_its_alias() {
        let wish = Notify {
            explicit: true,
            success: true,
            failure: false,
            delay: false,
        };
        let prepared = prepared(
            "",
            None,
            &[("root", wish), ("c@x.example", Notify::default())],
        )
        .unwrap();
        let wishes: Vec<_> = prepared
            .envelope
            .recipients
            .iter()
            .map(|r| (r.address.as_str(), r.notify == wish))
            .collect();
        assert_eq!(
            wishes,
            [
                ("a@x.example", true),
                ("b@x.example", true),
                ("c@x.example", false)
            ]
        );
    }

    #[test]
    fn the_null_sender_stays_null_and_the_from_field_is_the_callers() {
        let prepared = prepared("", Some(""), &[("c@x.example", Notify::default())]).unwrap();
        assert_eq!(prepared.envelope.sender.address(), None);
        let from = prepared.header.first("From").unwrap().value();
        assert!(
            from.ends_with(b"<www-data@example.org>"),
            "{}",
            String::from_utf8_lossy(&from)
        );
    }

    #[test]
    fn mail_that_goes_round_in_a_circle_is_refused() {
        let looping = "Received: by a\r\n".repeat(limits::HOPS + 1);
        assert_eq!(
            prepared(&looping, None, &[("c@x.example", Notify::default())]).unwrap_err(),
            PrepareError::Hops
        );
    }
}
