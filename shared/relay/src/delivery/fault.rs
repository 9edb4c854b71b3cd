//! Whom a refusal is about: this machine, or the mail.
//!
//! Contract: only what is about us is; everything else stays the mail's. Codes of RFC 4954 and RFC 3207 (530, 534, 535, 538)
//! speak of the session at any stage. What words and enhanced codes say counts only from a next hop that the administrator named,
//! and once the message was seen only words about the login or the day's quota alone: a filter's `552 5.7.0` or `5.7.26` is about
//! content, and 5.7.30 without those words is REQUIRETLS (RFC 8689). Until then nobody has looked at the mail, and a refusal that
//! names relaying, a login, an account of the sender, or an address or name of the client cannot be about the recipient.
//! Wordings: those of Postfix, Exim, Sendmail, qmail, Exchange, Microsoft 365, Google, Amazon SES, `SendGrid`, Zoho, Domino.

use mail::{
    outcome::{Failure, Stage},
    status::EnhancedStatus,
};

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
    /// The account that logs in.
    Account,
    /// So much was sent that no more is taken for some time.
    Quota,
    /// It takes no mail now, or does not understand what it must.
    Session,
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
            Self::Account => {
                "it refuses the account of auth (sendmail-shim) or relay_auth (smarthost): ask its administrator"
            }
            Self::Quota => {
                "it takes no more for some time: ask its administrator for a higher quota, or send less"
            }
            Self::Session => {
                "it does not take mail as a relay must: see whether relayhost and its port are right"
            }
        }
    }
}

const TLS: &[&str] = &[
    "starttls",
    "must use tls",
    "use tls",
    "requires tls",
    "tls required",
    "tls is required",
    "encryption required",
    "encryption needed",
    "requires encryption",
];
const PASSWORDS: &[&str] = &[
    "basic authentication is not supported",
    "basic authentication is disabled",
];
/// About the login, at whatever stage.
const LOGIN: &[&str] = &[
    "authentication required",
    "authentication is required",
    "authentication first",
    "authenticate first",
    "requires authentication",
    "authentication needed",
    "authentication credentials",
    "authentication failed",
    "authentication unsuccessful",
    "authentication not enabled",
    "must authenticate",
    "please authenticate",
    "not authenticated",
    "not been authenticated",
    "unauthenticated sender",
    "unauthenticated user",
    "unauthenticated client",
    "smtp auth",
    "auth required",
    "login required",
    "not logged in",
    "please log in",
    "must log in",
    "username and password not accepted",
];
/// About the login as long as nobody has seen the message.
const LOGIN_EARLY: &[&str] = &["authenticat", "log in first", "logon", "logged on"];
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
/// Words about relaying; with one of `NO` beside it nobody relays for us.
const RELAY: &[&str] = &[
    "relay",
    "relaying",
    "relayed",
    "relays",
    "gateway",
    "rcpthosts",
];
const NO: &[&str] = &[
    "no",
    "not",
    "don't",
    "doesn't",
    "isn't",
    "won't",
    "can't",
    "cannot",
    "unable",
    "denied",
    "deny",
    "prohibited",
    "disallowed",
    "rejected",
    "refused",
    "forbidden",
    "unauthorized",
    "invalid",
    "allowed",
    "disabled",
    "blocked",
    "permission",
    "only",
    "dont",
    "must",
];
/// About a sender that this machine or its login may not use.
const SENDER: &[&str] = &[
    "not owned by",
    "permitted to send",
    "permissions to send",
    "allowed to send",
    "authorized to send",
    "authorised to send",
    "not authorized to perform",
    "sendasdenied",
    "sender address is not allowed",
    "verified sender",
    "address is not verified",
    "sending suspended",
];
const ADDRESS: &[&str] = &[
    "client host",
    "client address",
    "helo command",
    "helo name",
    "ehlo name",
    "invalid helo",
    "ptr record",
    "reverse dns",
    "rdns",
    "reverse lookup",
    "banned send",
    "your ip",
    "sending ip",
    "ip address",
    "ip is ",
    "sending mta",
    "blocked using",
    "block list",
    "blocklist",
    "blacklist",
    "your server",
    "your host",
];
const ACCOUNT: &[&str] = &[
    "your account",
    "this account",
    "tenant has",
    "sender account",
];
const QUOTA: &[&str] = &[
    "sending quota",
    "sending limit",
    "sending activity",
    "sending rate",
    "sends per",
    "daily quota",
    "daily limit",
    "daily message",
    "messages sent today",
    "quota for today",
    "too many messages",
    "too many recipients",
    "hourly limit",
    "hourly quota",
    "exceeded threshold",
    "relay sending limit",
];
const SESSION: &[&str] = &[
    "no smtp service",
    "does not accept mail",
    "not accepting network messages",
    "system not accepting",
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
    let alone = !says(NOT_ALONE);
    if failure.stage > Stage::Data {
        return [(LOGIN, Refusal::Login), (QUOTA, Refusal::Quota)]
            .into_iter()
            .find_map(|(words, refusal)| (alone && says(words)).then_some(refusal));
    }
    let found = [
        (refuses_to_relay(&text) || says(SENDER), Refusal::Permission),
        (says(QUOTA), Refusal::Quota),
        (says(ACCOUNT), Refusal::Account),
        (alone && (says(LOGIN) || says(LOGIN_EARLY)), Refusal::Login),
        (says(TLS), Refusal::Tls),
        (says(ADDRESS), Refusal::Address),
        (says(SESSION), Refusal::Session),
    ];
    let found = found.into_iter().find_map(|(says, of)| says.then_some(of));
    found.or_else(|| by_code(code, failure.status))
}

/// Whether words about relaying and a no stand beside each other. A name such as `relay.example.org` is no such word.
fn refuses_to_relay(text: &str) -> bool {
    let words = |wanted: &[&str]| {
        text.split(|c: char| c.is_whitespace() || ",;:()<>[]\"/!?".contains(c))
            .map(|word| word.trim_matches('.'))
            .any(|word| wanted.contains(&word))
    };
    words(RELAY) && words(NO)
}

/// Codes that are about this machine whatever the words are, before anybody saw the message.
fn by_code(code: u16, status: EnhancedStatus) -> Option<Refusal> {
    Some(match (status.subject(), status.detail()) {
        // RFC 7372, 7505 and 4954, RFC 5248; Exchange and Microsoft 365 use 5.7.5xx to 5.7.7xx.
        (7, 10 | 11) => Refusal::Tls,
        (7, 13) => Refusal::Account,
        (7, 4 | 8 | 9 | 57) => Refusal::Login,
        (7, 25 | 500..=699) => Refusal::Address,
        (7, 54 | 60 | 64 | 367) => Refusal::Permission,
        (7, 232 | 233 | 700..=799) => Refusal::Quota,
        (3, 2) => Refusal::Session,
        // Commands that every server knows, in an order that every server takes.
        _ if matches!(code, 500 | 502 | 503 | 521) => Refusal::Session,
        _ => return None,
    })
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
    use mail::status::ReplyCode;

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
    fn vendors_words_about_this_machine_its_account_and_its_quota_bounce_no_mail() {
        for text in [
            "550 Relaying is not allowed",
            "550 5.7.1 mail relaying is prohibited",
            "551 we don't relay",
            "554 Relay rejected for policy reasons.",
            "553 Relaying disallowed as a@b.example",
            "550 5.7.1 Invalid credentials for relay [192.0.2.1].",
            "550 This system is not configured to relay mail from 192.0.2.1",
            "550 not a gateway",
            "550 5.7.1 Relaying temporarily denied",
            "550 5.7.25 The IP address sending this message does not have a PTR record",
            "550 5.7.1 This message does not meet IPv6 sending guidelines regarding PTR records",
            "550 5.7.1 an unusual rate of unsolicited mail originating from your IP address",
            "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
            "550 5.7.708 Service unavailable. Access denied, traffic not accepted",
            "550 Your IP 192.0.2.1 is blacklisted",
            "554 5.7.1 IP is listed on bl.spamcop.net",
            "550 part of their network is on our block list (S3150)",
            "550 sending MTA's poor reputation",
            "550 HELO name rejected",
            "550 Reverse DNS lookup failed for host 192.0.2.1",
            "554 5.7.0 Your account has been suspended",
            "525 5.7.13 User account disabled",
            "523 5.7.10 Encryption Needed",
            "504 5.7.4 Unrecognized authentication type",
            "550 Unauthenticated senders not allowed",
            "550 Authenticate first",
            "503 5.5.1 Error: authentication not enabled",
            "554 Sending suspended for this account",
            "554 Access denied: User `x` is not authorized to perform `ses:SendRawEmail`",
            "550 5.7.705 Access denied, tenant has exceeded threshold",
            "550 5.4.5 Daily user sending quota exceeded.",
            "550 5.4.6 Unusual sending activity detected. Please try after sometime",
            "550 Too many messages sent today",
            "550 5.5.3 too many recipients",
            "550 Sender address is not allowed.",
            "550 The from address does not match a verified Sender Identity.",
            "554 Message rejected: Email address is not verified.",
            "553 5.7.1 Sender address rejected: not owned by auth user.",
            "502 5.5.1 not implemented",
            "503 5.5.1 bad sequence of commands",
            "521 host does not accept mail",
            "554 5.3.2 system not accepting network messages",
            "554 no SMTP service here",
        ] {
            for stage in [Stage::Mail, Stage::Recipient, Stage::Data] {
                assert!(said(stage, text, true).is_some(), "{text}");
                let code = text.get(..3).unwrap();
                assert_eq!(
                    said(stage, text, false),
                    None,
                    "{code}: a stranger's server"
                );
            }
        }
    }

    #[test]
    fn a_host_that_is_called_relay_and_an_account_that_is_full_are_not_about_this_machine() {
        for text in [
            "550 5.1.1 <x@relay.example>: user unknown on relay.example, not here",
            "550 5.1.1 <no@gateway.example>: Recipient address rejected: User unknown",
            "552 5.2.2 the account is over quota",
            "550 5.2.1 The email account that you tried to reach is disabled",
            "550 5.1.1 mailbox does not exist",
            "501 5.1.7 bad sender address syntax",
            "555 5.5.4 parameters not recognized",
            "554 5.4.0 too many hops",
            "550 5.6.7 SMTPUTF8 is needed",
        ] {
            assert_eq!(said(Stage::Recipient, text, true), None, "{text}");
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
