//! Whom a refusal is about: this machine, or the mail.
//!
//! Contract: only what is about us is; everything else stays the mail's. Codes of RFC 4954 and RFC
//! 3207 (530, 534, 535, 538) speak of the session at any stage. What words and enhanced codes say
//! counts only from a next hop that the administrator named, and once the message was seen only
//! words about the login or the day's quota alone: a filter's `552 5.7.0` is about content, and
//! 5.7.30 without those words is REQUIRETLS (RFC 8689). Until then nobody has looked at the mail,
//! and a refusal that names relaying, a login, an account of the sender, or an address or name of
//! the client cannot be about the recipient. 5.7.26 and its kin (RFC 7372) are about the author at
//! every stage.
//! Wordings: those of Postfix, Exim, Sendmail, qmail, Exchange, Microsoft 365, Google, Amazon SES,
//! `SendGrid`, Zoho, Domino.

use mail::{
    outcome::{Blame, Failure, Outcome, Stage},
    status::EnhancedStatus,
};

use smtp::client::{Security, is_retraction};

use super::interface::{Host, Place, Sent};

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
    /// The key by which it knew this machine.
    Key,
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
                "it takes no passwords any more: set a token in auth (sendmail-shim) or relay_auth (smarthost), or have \
                 its administrator let this address in without one"
            }
            Self::Permission => {
                "it does not relay for this machine: have its administrator allow this address, login and sender"
            }
            Self::Address => {
                "it refuses this machine's address or name: see hostname, and ask its administrator"
            }
            Self::Key => {
                "it believes the key of this machine no more: have its administrator make a line by `smarthost enroll`, \
                 then here: sendmail-shim enroll --new-key LINE"
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
    "unauthenticated mail",
    "unauthenticated email",
    "unauthenticated e-mail",
    "unauthenticated message",
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

/// The failure with what is to be done about it, where it is a refusal of this machine; `named`:
/// the next hop is one that the administrator named. What strangers demand no setting of his can
/// meet.
pub fn with_remedy(failure: Failure, named: bool) -> Failure {
    let remedy = about_us(&failure, named).filter(|_| named);
    Failure {
        remedy: remedy.map(Refusal::remedy).or(failure.remedy),
        ..failure
    }
}

/// What a refusal says of this machine, if it is about it; `named`: the next hop is one that the
/// administrator named.
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
    if !named || is_about_authors(failure.status) {
        return None;
    }
    let alone = !says(NOT_ALONE);
    if failure.stage > Stage::Data {
        return [(LOGIN, Refusal::Login), (QUOTA, Refusal::Quota)]
            .into_iter()
            .find_map(|(words, refusal)| (alone && says(words)).then_some(refusal));
    }
    let found = [
        (text.contains("smarthost enroll"), Refusal::Key),
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

/// Whether a code says that a message cannot be known to come from whom it names (DKIM, SPF, DMARC,
/// ARC, a sender's null MX): RFC 7372, 7505, 8617. It is about the mail however early it is said
/// and whatever the words are: other senders' mail goes, and no login of ours would change it.
fn is_about_authors(status: EnhancedStatus) -> bool {
    status.subject() == 7 && matches!(status.detail(), 20..=24 | 26 | 27 | 29)
}

/// Whether words about relaying and a no stand beside each other. A name such as
/// `relay.example.org` is no such word.
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

/// Whether another address of ours might fare better: a refusal for reasons of policy, not of the
/// mailbox.
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

/// The end of the message was sent, and no answer came: another try elsewhere would make it two.
pub(super) fn is_taken_perhaps(failure: &Failure) -> bool {
    failure.stage == Stage::Message && failure.reply.is_none()
}

/// No answer came: the peer was silent, the connection ended, or what came is no answer.
pub(super) fn is_unanswered(outcome: &Outcome) -> bool {
    let Outcome::Deferred(failure) = outcome else {
        return false;
    };
    let is_no_smtp =
        || failure.blame == Blame::Peer && failure.status == EnhancedStatus::new(4, 5, 0);
    failure.reply.is_none() && (failure.blame == Blame::Network || is_no_smtp())
}

/// Whether a "not now" of a relayhost would meet any other mail, too: it goes away, is in trouble
/// itself (4.3.x), or says so before it has heard of any recipient; unless that is the sender's
/// address (4.1.x).
pub(super) fn speaks_of_host(failure: &Failure) -> bool {
    let Some(code) = failure.reply else {
        return false;
    };
    let subject = failure.status.subject();
    let is_early = failure.stage == Stage::Mail && subject != 1 && !is_retraction(failure);
    (400..500).contains(&code.value()) && (code.value() == 421 || subject == 3 || is_early)
}

pub(super) fn is_delivered(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Delivered(_))
}

/// How many recipients a peer takes at once that went away (421, the end) in the midst of a list.
pub(super) fn most_at_once(asked: usize, sent: &Sent) -> Option<usize> {
    let cut = |outcome: &Outcome| {
        matches!(outcome, Outcome::Deferred(failure)
            if failure.stage == Stage::Recipient && failure.reply.is_none_or(|code| code.value() == 421))
    };
    let within = !sent.open && (1..asked).contains(&sent.accepted);
    (within && sent.outcomes.iter().any(cut)).then_some(sent.accepted)
}

/// 452, or 552 in old words (RFC 5321 §4.5.3.1.10).
pub(super) fn is_too_many(failure: &Failure) -> bool {
    failure.status == EnhancedStatus::new(4, 5, 3)
        || failure.reply.is_some_and(|code| code.value() == 452)
}

/// Why mail is not given to an address that leads back to this host; if the administrator named
/// that, it is no fault of the sender's.
pub(super) fn loops(host: &Host, place: &Place) -> Failure {
    let place = match place {
        Place::Tcp(address) => address.ip().to_string(),
        Place::Unix(path) => path.display().to_string(),
    };
    let class = if host.named { 4 } else { 5 };
    Failure::new(
        Blame::Policy,
        Stage::Lookup,
        EnhancedStatus::new(class, 4, 6),
        &format!("mail for {}[{place}] loops back to myself", host.name),
    )
}

/// Whether a peer whose handshake failed is tried once more in clear text: where anybody is
/// believed (RFC 7435).
pub fn clear_text_goes_on(
    failure: &Failure,
    security: Security,
    clear_text_is_as_good: bool,
) -> bool {
    failure.stage == Stage::Tls && security == Security::Opportunistic && clear_text_is_as_good
}

#[cfg(test)]
mod tests;
