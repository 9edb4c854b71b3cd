//! Whom a refusal is about: this machine, or the mail.
//!
//! Contract: only what is about us is; everything else stays the mail's. Codes of RFC 4954 and RFC
//! 3207 (530, 534, 535, 538) speak of the session at any stage. What words and enhanced codes say
//! counts only from a next hop that the administrator named, in this order:
//!
//! | what is said | about |
//! |---|---|
//! | a code of the author's: DKIM, SPF, DMARC, ARC, a null MX | the mail, at every stage |
//! | a code of the recipient's, from RCPT on: 5.1.1, 5.2.2, 5.7.124 ... | the mail |
//! | that we send too much, that the account that sends is bad | us, at every stage |
//! | nobody like the recipient, a list or group that is not open to all | the mail |
//! | relaying, a login, a sender that is not ours, an address of ours | us, up to DATA |
//! | the same in words or codes that leave no doubt, and nothing of content | us, at the end of the message |
//!
//! Until the message was seen nobody has looked at it; then a filter's `552 5.7.0` is about
//! content. 5.7.30 is about passwords, unless it speaks of REQUIRETLS (RFC 8689). A login that
//! cannot be verified now (4yz) is a host in trouble, and no refusal.
//! Words are compared as words ([`Words`]); the table of what real servers say, and what each
//! means, is the test.

use mail::{
    outcome::{Failure, Stage},
    status::{EnhancedStatus, ReplyCode},
};

mod phrases;

use self::phrases::{
    ACCOUNT, ACCOUNT_EARLY, ACCOUNT_FIRST, ADDRESS, ADDRESS_LATE, AUTHOR, CONTENT, LOGIN,
    LOGIN_EARLY, LOGIN_PASSING, NO, NOT_ALONE, PASSWORDS, QUOTA, RECIPIENT, RELAY, RELAYING,
    REQUIRE_TLS, SENDER, SENDER_LATE, SESSION, TLS,
};
use super::words::Words;

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
    /// Whether it would meet any other sender, too.
    pub(in crate::delivery) const fn is_of_any_mail(self) -> bool {
        matches!(self, Self::Key)
    }

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
pub(in crate::delivery) fn about_us(failure: &Failure, named: bool) -> Option<Refusal> {
    let code = failure.reply?.value();
    if failure.stage == Stage::Greeting || code < 400 || code == 421 {
        return None;
    }
    let words = Words::of(&failure.text);
    if is_passing(failure, code, &words) {
        return None;
    }
    if speaks_of_passwords(failure.status, &words) && (named || failure.stage == Stage::Auth) {
        return Some(Refusal::Passwords);
    }
    if matches!(code, 530 | 534 | 535 | 538) || failure.stage == Stage::Auth {
        return Some(if words.say(TLS) {
            Refusal::Tls
        } else {
            Refusal::Login
        });
    }
    if !named || is_about_author(failure.status) || is_about_recipient(failure) {
        return None;
    }
    if failure.stage > Stage::Data {
        late(&words, code, failure.status)
    } else {
        early(&words, failure)
    }
}

/// Whether a login cannot be verified now: "454 4.7.0 Temporary authentication failure" (RFC 4954
/// §6). 432 wants another password.
fn is_passing(failure: &Failure, code: u16, words: &Words) -> bool {
    let wants_another = code == 432 || failure.status.says(7, 12);
    let of_login = failure.stage == Stage::Auth || words.say(LOGIN_PASSING);
    code < 500 && of_login && !wants_another
}

fn speaks_of_passwords(status: EnhancedStatus, words: &Words) -> bool {
    words.say(PASSWORDS) || status.says(7, 30) && !words.say(REQUIRE_TLS)
}

/// The message was seen: it may be the reason.
fn late(words: &Words, code: u16, status: EnhancedStatus) -> Option<Refusal> {
    let clean = !words.say(CONTENT) && !words.say(RECIPIENT);
    let alone = clean && !words.say(NOT_ALONE);
    // A status of the system, of routing or of content means what it says.
    let open = matches!(status.subject(), 0 | 7);
    let found = [
        (words.say(ACCOUNT), Refusal::Account),
        (alone && words.say(LOGIN), Refusal::Login),
        (alone && words.say(QUOTA), Refusal::Quota),
        (
            open && alone && words.say(RELAYING) && words.say(NO),
            Refusal::Permission,
        ),
        (clean && words.say(SENDER_LATE), Refusal::Permission),
        (open && clean && words.say(ADDRESS_LATE), Refusal::Address),
    ];
    let found = found.into_iter().find_map(|(says, of)| says.then_some(of));
    found.or_else(|| by_late_code(code, status))
}

/// Nobody has looked at the message.
fn early(words: &Words, failure: &Failure) -> Option<Refusal> {
    let is_named = failure.stage >= Stage::Recipient;
    if words.say(AUTHOR) || is_named && names_recipient(words) {
        return None;
    }
    let alone = !words.say(CONTENT) && !words.say(NOT_ALONE);
    let login = words.say(LOGIN) || words.say(LOGIN_EARLY);
    let account = words.say(ACCOUNT) || words.say(ACCOUNT_EARLY);
    let found = [
        (words.say(&["smarthost enroll"]), Refusal::Key),
        (words.say(QUOTA), Refusal::Quota),
        (
            refuses_to_relay(words) || words.say(SENDER),
            Refusal::Permission,
        ),
        (
            account || !is_named && words.say(ACCOUNT_FIRST),
            Refusal::Account,
        ),
        (alone && login, Refusal::Login),
        (words.say(TLS), Refusal::Tls),
        (words.say(ADDRESS), Refusal::Address),
        (words.say(SESSION), Refusal::Session),
    ];
    let found = found.into_iter().find_map(|(says, of)| says.then_some(of));
    let code = failure.reply.map_or(0, ReplyCode::value);
    found.or_else(|| by_code(code, failure.status))
}

fn refuses_to_relay(words: &Words) -> bool {
    words.say(RELAY) && words.say(NO)
}

/// "No such relay user here" is about the user, "relaying denied: user unknown" is not.
fn names_recipient(words: &Words) -> bool {
    words.say(RECIPIENT) && !(refuses_to_relay(words) && words.say(RELAYING))
}

/// Whether a reply speaks of this recipient, by its code or in words.
pub(in crate::delivery) fn speaks_of_recipient(failure: &Failure) -> bool {
    is_about_recipient(failure)
        || failure.stage >= Stage::Recipient && names_recipient(&Words::of(&failure.text))
}

/// Whether a code says that a message cannot be known to come from whom it names (DKIM, SPF, DMARC,
/// ARC, a sender's null MX): RFC 7372, 7505, 8617; Microsoft 365 has 5.7.509 and 5.7.515 for it,
/// and 5.7.512 for a From that is none. It is about the mail however early it is said and whatever
/// the words are: other senders' mail goes, and no login of ours would change it.
fn is_about_author(status: EnhancedStatus) -> bool {
    status.subject() == 7 && matches!(status.detail(), 20..=24 | 26 | 27 | 29 | 509 | 512 | 515)
}

/// Whether a code says that this recipient, once named, is not there, is full or takes no mail of
/// this sender: RFC 3463 §3.2 to §3.5, RFC 7504 (556), RFC 7505; Microsoft's 5.7.12, 5.7.12x,
/// 5.7.13x, 5.7.504, 505 and 507 are restrictions of mailboxes and groups. Words do not change it.
fn is_about_recipient(failure: &Failure) -> bool {
    if failure.stage < Stage::Recipient {
        return false;
    }
    let code = failure.reply.map_or(0, ReplyCode::value);
    match (failure.status.subject(), failure.status.detail()) {
        (1, 1..=4 | 6 | 10) | (4, 4) | (7, 120..=139 | 193 | 504 | 505 | 507) => true,
        // SendAsDenied: the login may not use this sender.
        (2, 252) => false,
        // At the end of the message it may be the mailbox that sends, and sends too much.
        (2, _) => failure.stage < Stage::Body || !Words::of(&failure.text).say(QUOTA),
        // 432 and 524 are the login's (RFC 4954).
        (7, 12) => !matches!(code, 432 | 524),
        _ => code == 556,
    }
}

/// Codes that are about this machine whatever the words are, before anybody saw the message.
fn by_code(code: u16, status: EnhancedStatus) -> Option<Refusal> {
    Some(match (status.subject(), status.detail()) {
        (7, 4) => Refusal::Login,
        (7, 500..=699) => Refusal::Address,
        (3, 2) => Refusal::Session,
        // Commands that every server knows, in an order that every server takes.
        _ if matches!(code, 500 | 502 | 503 | 521) => Refusal::Session,
        _ => return by_late_code(code, status),
    })
}

/// The same whoever has seen what: no message is the reason.
fn by_late_code(code: u16, status: EnhancedStatus) -> Option<Refusal> {
    Some(match (status.subject(), status.detail()) {
        // RFC 7372 and 4954, RFC 5248; Exchange and Microsoft 365 use 5.7.5xx to 5.7.7xx.
        (7, 10 | 11) => Refusal::Tls,
        (7, 13) => Refusal::Account,
        (7, 8 | 9 | 57) => Refusal::Login,
        (7, 25 | 506 | 508 | 606..=649 | 708) => Refusal::Address,
        (7, 54 | 60 | 64 | 367 | 750) => Refusal::Permission,
        (7, 232 | 233 | 700..=799) => Refusal::Quota,
        // A mechanism that is not known; another password is wanted.
        (7, 4) if code == 504 => Refusal::Login,
        _ if matches!(code, 432 | 524) => Refusal::Login,
        _ if code == 523 => Refusal::Tls,
        _ if code == 525 => Refusal::Account,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
