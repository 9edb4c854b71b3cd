//! Whom a refusal is about: this machine, or the mail.
//!
//! Contract: only what is surely about us is; everything else stays the mail's. Codes of RFC 4954 and RFC 3207 (530, 534, 535, 538)
//! speak of the session at any stage. What words say counts only from a next hop that the administrator named, and once the
//! message was seen only words about the login alone: a filter's `552 5.7.0` or `5.7.26` is about content, and 5.7.30 without
//! those words is REQUIRETLS (RFC 8689).

use mail::outcome::{Failure, Stage};

/// What is to be done about a refusal of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// TLS first.
    Tls,
    /// No login, or not this one.
    Login,
    /// Passwords are not taken any more.
    Passwords,
    /// No permission to relay, or to use this sender.
    Permission,
    /// This machine's address or name.
    Address,
}

impl Refusal {
    /// For log, `mailq` and `check`.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Tls => {
                "it wants TLS first: allow STARTTLS in tls (sendmail-shim) or relay_tls (smarthost)"
            }
            Self::Login => {
                "it wants a login, or refuses this one: see auth (sendmail-shim) or relay_auth (smarthost)"
            }
            Self::Passwords => {
                "it takes no passwords any more: have its administrator let this address in without one, \
                 or set another relayhost"
            }
            Self::Permission => {
                "it does not relay for this machine: have its administrator allow this address, login and sender"
            }
            Self::Address => {
                "it refuses this machine's address or name: see hostname, and ask its administrator"
            }
        }
    }
}

const TLS: &[&str] = &[
    "starttls",
    "must use tls",
    "requires tls",
    "tls required",
    "encryption required",
];
const PASSWORDS: &[&str] = &[
    "basic authentication is not supported",
    "basic authentication is disabled",
];
const LOGIN: &[&str] = &[
    "authentication required",
    "authentication is required",
    "authentication first",
    "requires authentication",
    "authentication needed",
    "authentication credentials",
    "authentication failed",
    "authentication unsuccessful",
    "must authenticate",
    "please authenticate",
    "not authenticated",
    "not been authenticated",
    "smtp auth",
    "auth required",
    "login required",
    "not logged in",
    "please log in",
    "must log in",
    "username and password not accepted",
];
/// With one of these words a refusal is about more than the login.
const NOT_ALONE: &[&str] = &[
    "spf",
    "dkim",
    "dmarc",
    "arc-",
    "domain",
    "spam",
    "virus",
    "malware",
    "phish",
    "content",
    "attachment",
    "policy",
    "signature",
    "signed",
    "reputation",
    "blocked",
    "bulk",
    "header",
    "from:",
];
const PERMISSION: &[&str] = &[
    "relay access denied",
    "relaying denied",
    "relay denied",
    "relaying is denied",
    "relay not permitted",
    "relaying not permitted",
    "not permitted to relay",
    "not allowed to relay",
    "unable to relay",
    "cannot relay",
    "we do not relay",
    "relaying not allowed",
    "relay not allowed",
    "relaying prohibited",
    "relay prohibited",
    "not a relay host",
    "no relaying",
    "allowed rcpthosts",
    "not owned by user",
    "not permitted to send as",
    "permissions to send as",
    "sendasdenied",
];
const ADDRESS: &[&str] = &[
    "client host rejected",
    "client host [",
    "helo command rejected",
];

/// What a refusal says of this machine, if it is about it; `named`: the next hop is one that the administrator named.
pub(super) fn about_us(failure: &Failure, named: bool) -> Option<Refusal> {
    let code = failure.reply?.value();
    if failure.stage == Stage::Greeting || code < 400 || code == 421 {
        return None;
    }
    let text = failure.text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(PASSWORDS) && (named || failure.stage == Stage::Auth) {
        return Some(Refusal::Passwords);
    }
    if matches!(code, 530 | 534 | 535 | 538) || failure.stage == Stage::Auth {
        return Some(if says(TLS) {
            Refusal::Tls
        } else {
            Refusal::Login
        });
    }
    if !named {
        return None;
    }
    let login = says(LOGIN) && !says(NOT_ALONE);
    if failure.stage > Stage::Data {
        return login.then_some(Refusal::Login);
    }
    let found = [
        (says(PERMISSION), Refusal::Permission),
        (says(ADDRESS), Refusal::Address),
        (login, Refusal::Login),
        (says(TLS), Refusal::Tls),
    ];
    found
        .iter()
        .find(|(says, _)| *says)
        .map(|(_, refusal)| *refusal)
}

/// Whether another address of ours might fare better: a refusal for reasons of policy, not of the mailbox.
pub(super) fn about_address(failure: &Failure) -> bool {
    let text = failure.text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let names_address = says(&[
        "ipv6",
        "ptr",
        "reverse",
        "client host",
        "ip address",
        "relay",
    ]);
    match failure.stage {
        Stage::Recipient | Stage::Data => failure.status.subject() == 7 || names_address,
        Stage::Body | Stage::Message => says(&["ipv6", " ptr", "reverse dns", "rdns"]),
        Stage::Local => false,
        _ => failure.reply.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use mail::status::{EnhancedStatus, ReplyCode};

    use super::*;

    fn said(stage: Stage, text: &str, named: bool) -> Option<Refusal> {
        let code = ReplyCode::new(text.get(..3).unwrap().parse().unwrap()).unwrap();
        let status = text.split(' ').nth(1).and_then(EnhancedStatus::parse);
        about_us(&Failure::replied(stage, code, status, text), named)
    }

    #[test]
    fn what_a_relayhost_says_of_this_machine_bounces_no_mail() {
        use Refusal::{Address, Login, Passwords, Permission, Tls};
        for (stage, text, expected) in [
            (Stage::Mail, "530 5.7.0 Authentication Required", Login),
            (
                Stage::Mail,
                "530 5.7.0 Must issue a STARTTLS command first",
                Tls,
            ),
            (Stage::Recipient, "538 5.7.11 Encryption required", Tls),
            (Stage::Data, "535 5.7.8 bad credentials", Login),
            (
                Stage::Message,
                "530 5.7.57 Client not authenticated to send mail",
                Login,
            ),
            (
                Stage::Message,
                "550 5.7.1 Client was not authenticated",
                Login,
            ),
            (
                Stage::Message,
                "554 Please authenticate before sending",
                Login,
            ),
            (
                Stage::Recipient,
                "554 5.7.1 <x@y.example>: Relay access denied",
                Permission,
            ),
            (Stage::Recipient, "550 relay not permitted", Permission),
            (Stage::Recipient, "550 5.7.1 Unable to relay", Permission),
            (
                Stage::Recipient,
                "550 5.7.64 TenantAttribution; Relay Access Denied",
                Permission,
            ),
            (
                Stage::Recipient,
                "553 sorry, that domain isn't in my list of allowed rcpthosts",
                Permission,
            ),
            (
                Stage::Recipient,
                "553 5.7.1 <a@b.example>: Sender address rejected: not owned by user c",
                Permission,
            ),
            (
                Stage::Recipient,
                "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using x.example",
                Address,
            ),
            (
                Stage::Mail,
                "550 5.7.30 Basic authentication is not supported for Client Submission.",
                Passwords,
            ),
            (
                Stage::Message,
                "550 5.7.30 Basic authentication is not supported for Client Submission.",
                Passwords,
            ),
        ] {
            assert_eq!(said(stage, text, true), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_about_the_mail_stays_the_mails() {
        for (stage, text) in [
            (
                Stage::Message,
                "552 5.7.0 This message was blocked because its content presents a risk",
            ),
            (
                Stage::Message,
                "550 5.7.26 Unauthenticated email from a.example is not accepted: DMARC policy",
            ),
            (Stage::Message, "550 5.7.1 SPF authentication failed"),
            (
                Stage::Message,
                "554 5.7.1 Message not authenticated by DKIM",
            ),
            (
                Stage::Message,
                "554 5.7.1 <x@y.example>: Relay access denied",
            ),
            (Stage::Message, "550 5.7.30 REQUIRETLS support required"),
            (Stage::Mail, "550 5.7.30 REQUIRETLS support required"),
            (Stage::Recipient, "550 5.1.1 no such user"),
            (Stage::Recipient, "550 5.7.1 not accepted by policy"),
            (
                Stage::Recipient,
                "550 5.1.8 Sender address rejected: Domain not found",
            ),
            (Stage::Message, "554 5.6.0 bad content"),
            (Stage::Mail, "552 5.3.4 too big"),
        ] {
            assert_eq!(said(stage, text, true), None, "{text}");
        }
        let denied = "554 5.7.1 <x@y.example>: Relay access denied";
        assert_eq!(
            said(Stage::Recipient, denied, false),
            None,
            "a stranger's server"
        );
    }
}
