//! Whom a reply is about, as a table: the first row that holds decides, and where none does, the
//! reply is about the mail.
//!
//! Contract: pure and total. A row names who has said it, at which stages, with which codes, status
//! and words, and where that is known from. Of strangers only what the session itself lacks counts,
//! and only until they have seen the message: they have no account, login or address of ours to
//! judge. The order:
//!
//! | rows | about |
//! |---|---|
//! | a login that cannot be verified now | nobody |
//! | AUTH, and passwords that are not taken any more | us |
//! | status that names content, size, an author's DNS, a priority | the mail |
//! | status that names a recipient, once there is one | the mail |
//! | words that name account, sender or address of whoever logs in | us |
//! | codes of logins beside words about the content | the mail |
//! | codes of logins and TLS | us |
//! | what is left: words about us, at the end only beside none about the content; then codes | us |
//!
//! A wrong "us" makes mail wait, which administrators are told, and which ends with its lifetime; a
//! wrong "the mail" returns it at once, whole while it is small. So a relayhost is believed to mean
//! us where an account is plausible, and a stranger the mail.

use mail::{
    outcome::{Failure, Stage},
    status::ReplyCode,
};

use super::{
    super::words::Words,
    phrases::{
        ACCOUNT, ACCOUNT_EARLY, ACCOUNT_FIRST, ADDRESS, ADDRESS_LATE, AUTHOR, CONTENT, ENROLL,
        LOGIN, LOGIN_EARLY, LOGIN_PASSING, MESSAGE, NO, NOT_ALONE, PASSWORDS, QUOTA, RECIPIENT,
        REFUSED, RELAY, RELAYING, REQUIRE_TLS, SENDER, SENDING, SESSION, SIZE, STOPPED,
        SURE_ADDRESS, SURE_QUOTA, SURE_RELAY, SURE_SENDER, TLS, YOUR_ACCOUNT,
    },
    remedy::Refusal,
};

use Refusal::{Account, Address, Key, Login, Passwords, Permission, Quota, Sender, Session, Tls};

type Phrases = &'static [&'static str];
/// From this to that.
type Codes = (u16, u16);
/// Subject, and details from this to that.
type Status = (u16, u16, u16);

/// One row; what is empty stands for anything.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// Where it is known from.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers, and the test that names a row")
    )]
    pub(super) source: &'static str,
    means: Option<Refusal>,
    /// Only where a next hop says it that the administrator named.
    ours: bool,
    from: Stage,
    to: Stage,
    codes: &'static [Codes],
    statuses: &'static [Status],
    /// One phrase at least of each of these.
    says: &'static [Phrases],
    /// None of these.
    without: &'static [Phrases],
}

/// All that a reply says.
pub(super) struct Said<'a> {
    failure: &'a Failure,
    code: u16,
    words: Words,
    named: bool,
}

impl<'a> Said<'a> {
    /// Nothing, where no reply came, or none that refuses anything but this connection.
    pub(super) fn of(failure: &'a Failure, named: bool) -> Option<Self> {
        let code = failure.reply.map(ReplyCode::value)?;
        let refuses = failure.stage != Stage::Greeting && code >= 400 && code != 421;
        refuses.then(|| Self {
            failure,
            code,
            words: Words::of(&failure.text),
            named,
        })
    }

    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        self.words.say(phrases)
    }

    /// The row that decides.
    pub(super) fn rule(&self) -> Option<&'static Rule> {
        RULES.iter().find(|rule| rule.holds(self))
    }
}

impl Rule {
    pub(super) const fn means(&self) -> Option<Refusal> {
        self.means
    }

    pub(super) fn holds(&self, said: &Said<'_>) -> bool {
        let status = said.failure.status;
        let (subject, detail) = (status.subject(), status.detail());
        let is_status = |(of, from, to): &Status| *of == subject && (*from..=*to).contains(&detail);
        let is_code = |(from, to): &Codes| (*from..=*to).contains(&said.code);
        (said.named || !self.ours)
            && (self.from..=self.to).contains(&said.failure.stage)
            && (self.codes.is_empty() || self.codes.iter().any(is_code))
            && (self.statuses.is_empty() || self.statuses.iter().any(is_status))
            && self.says.iter().all(|phrases| said.says(phrases))
            && !self.without.iter().any(|phrases| said.says(phrases))
    }

    const fn new(ours: bool, means: Option<Refusal>, source: &'static str) -> Self {
        Self {
            source,
            means,
            ours,
            from: Stage::Lookup,
            to: Stage::Local,
            codes: &[],
            statuses: &[],
            says: &[],
            without: &[],
        }
    }

    const fn at(mut self, stage: Stage) -> Self {
        self.from = stage;
        self.to = stage;
        self
    }

    const fn from(mut self, stage: Stage) -> Self {
        self.from = stage;
        self
    }

    const fn to(mut self, stage: Stage) -> Self {
        self.to = stage;
        self
    }

    /// Nobody has looked at the message.
    const fn early(self) -> Self {
        self.to(Stage::Data)
    }

    /// The message was seen: it may be the reason.
    const fn late(self) -> Self {
        self.from(Stage::Body)
    }

    const fn codes(mut self, codes: &'static [Codes]) -> Self {
        self.codes = codes;
        self
    }

    const fn statuses(mut self, statuses: &'static [Status]) -> Self {
        self.statuses = statuses;
        self
    }

    const fn says(mut self, says: &'static [Phrases]) -> Self {
        self.says = says;
        self
    }

    const fn without(mut self, without: &'static [Phrases]) -> Self {
        self.without = without;
        self
    }
}

/// About the mail, whoever says it.
const fn mail(source: &'static str) -> Rule {
    Rule::new(false, None, source)
}

/// About this machine, if a next hop says it that the administrator named.
const fn us(means: Refusal, source: &'static str) -> Rule {
    Rule::new(true, Some(means), source)
}

/// About this machine, whoever says it.
const fn session(means: Refusal, source: &'static str) -> Rule {
    Rule::new(false, Some(means), source)
}

const NOT_NOW: &[Codes] = &[(400, 499)];
const LOGINS: &[Codes] = &[(530, 530), (534, 535), (538, 538)];
/// The same, and what RFC 4954 and old servers have beside them.
const LOGINS_AND_MORE: &[Codes] = &[(500, 504), (521, 525), (530, 530), (534, 535), (538, 538)];
/// Those, without what may be about mail as such (RFC 7504: 521) or a command.
const LOGINS_ALONE: &[Codes] = &[(523, 525), (530, 530), (534, 535), (538, 538)];
/// RFC 4954 §6.
const NEW_PASSWORD: &[Codes] = &[(432, 432), (524, 524)];
/// Neither of the login nor of a password.
const OTHERS: &[Codes] = &[
    (400, 431),
    (433, 522),
    (526, 529),
    (531, 533),
    (536, 537),
    (539, 599),
];
/// Of a login or its account (IANA's registry, RFC 4954).
const OF_LOGINS: &[Status] = &[(7, 4, 4), (7, 8, 11), (7, 13, 14)];
/// No status, or one of policy: words may mean anything.
const OPEN: &[Status] = &[(0, 0, 999), (7, 0, 999)];

/// A code says that this recipient, once named, is not there, is full or takes no mail of this
/// sender. Words do not change it.
pub(super) const RECIPIENTS: [Rule; 5] = [
    mail("RFC 3463 §3.2, §3.5; RFC 7505: 5.1.10")
        .statuses(&[(1, 1, 4), (1, 6, 6), (1, 10, 10), (4, 4, 4)])
        .from(Stage::Recipient),
    mail("RFC 3463 §3.3; not 5.2.252, SendAsDenied")
        .statuses(&[(2, 0, 251), (2, 253, 999)])
        .from(Stage::Recipient)
        .early(),
    mail("RFC 3463 §3.3; at the end the mailbox that sends may have sent too much")
        .statuses(&[(2, 0, 251), (2, 253, 999)])
        .without(&[QUOTA])
        .late(),
    mail("Microsoft 365: restrictions of mailboxes and groups")
        .statuses(&[
            (7, 12, 12),
            (7, 120, 139),
            (7, 193, 193),
            (7, 504, 505),
            (7, 507, 507),
        ])
        .codes(OTHERS)
        .from(Stage::Recipient),
    mail("RFC 7504: 556")
        .codes(&[(556, 556)])
        .from(Stage::Recipient),
];

#[rustfmt::skip]
pub(super) static RULES: &[Rule] = &[
    // A login that cannot be verified now, unless another password is wanted.
    session(Login, "RFC 4954 §6: 432, 524").codes(NEW_PASSWORD).at(Stage::Auth),
    session(Login, "RFC 5248: 4.7.12").statuses(&[(7, 12, 12)]).at(Stage::Auth),
    mail("RFC 4954 §6").codes(NOT_NOW).at(Stage::Auth),
    us(Login, "RFC 4954 §6: 432; with another status it is Exchange's for a mailbox").codes(&[(432, 432)]).statuses(OPEN),
    mail("RFC 4954 §6, by servers that look later").codes(NOT_NOW).says(&[LOGIN_PASSING]),
    // Passwords.
    session(Passwords, "Microsoft 365, password logins end").says(&[PASSWORDS]).at(Stage::Auth),
    session(Passwords, "Microsoft 365: 5.7.30").statuses(&[(7, 30, 30)]).at(Stage::Auth),
    us(Passwords, "Microsoft 365, password logins end").says(&[PASSWORDS]),
    mail("RFC 8689: 5.7.30; Google has it for DKIM").statuses(&[(7, 30, 30)]).says(&[REQUIRE_TLS]),
    mail("Google: 5.7.30 for DKIM").statuses(&[(7, 30, 30)]).says(&[CONTENT]),
    us(Passwords, "Microsoft 365: 5.7.30").statuses(&[(7, 30, 30)]),
    // AUTH.
    session(Tls, "RFC 4954 §6: 538").says(&[TLS]).at(Stage::Auth),
    session(Login, "RFC 4954 §6").at(Stage::Auth),
    // Whatever the words are: of content, size, an author.
    mail("RFC 7372, 7505, 8617: DKIM, SPF, DMARC, ARC, a sender's null MX").statuses(&[(7, 20, 24), (7, 26, 27), (7, 29, 29), (7, 32, 32)]),
    mail("Microsoft 365: DMARC, a From that is none, forwarding that is not allowed").statuses(&[(7, 509, 509), (7, 512, 512), (7, 515, 515), (7, 520, 520)]),
    mail("Microsoft 365: what the next server said; a recipient that one's own organisation blocks").statuses(&[(7, 350, 350), (7, 703, 703)]),
    mail("RFC 3463 §3.7: content").statuses(&[(6, 0, 999)]),
    mail("RFC 3463 §3.4, §3.3: too big").statuses(&[(3, 4, 4), (2, 3, 3)]),
    mail("RFC 3463 §3.2: a sender that is none, or a host that is none").statuses(&[(1, 7, 7), (1, 9, 9)]),
    mail("RFC 3463 §3.8: cryptography of the message").statuses(&[(7, 5, 7)]),
    mail("RFC 6710, 7293: priority, a mailbox's owner").statuses(&[(7, 15, 19)]),
    // Once a recipient is named.
    RECIPIENTS[0], RECIPIENTS[1], RECIPIENTS[2], RECIPIENTS[3], RECIPIENTS[4],
    // Whatever else is said: the account, the sender or the address of whoever logs in.
    us(Account, "Microsoft 365 5.1.8, Amazon SES, Brevo, Mailgun, Google, cPanel, Resend").says(&[ACCOUNT]),
    us(Account, "OVH, Mailjet, MailChannels: your account is suspended").says(&[YOUR_ACCOUNT, STOPPED]),
    us(Permission, "Google's relay, Cisco").says(&[SURE_RELAY]),
    us(Sender, "Amazon SES, SendGrid, Postmark, SparkPost, Fastmail, iCloud, GMX").says(&[SURE_SENDER]).without(&[RECIPIENT]),
    us(Quota, "cPanel, SendGrid, Postmark").says(&[SURE_QUOTA]),
    us(Address, "Outlook.com S3140, Yahoo TSS11, Free, GoDaddy, Spamhaus").says(&[SURE_ADDRESS]),
    // Codes of logins that servers have for content, too.
    mail("filters").codes(LOGINS_AND_MORE).says(&[CONTENT]).from(Stage::Mail),
    mail("sizes").codes(LOGINS_AND_MORE).says(&[SIZE]).from(Stage::Mail),
    mail("filters in few words").codes(LOGINS_ALONE).says(&[MESSAGE, REFUSED]).without(&[LOGIN, LOGIN_EARLY, TLS]).from(Stage::Mail),
    mail("filters").statuses(OF_LOGINS).says(&[CONTENT]).from(Stage::Mail),
    mail("Yahoo 5.7.9: not accepted for policy reasons").statuses(OF_LOGINS).says(&[MESSAGE, REFUSED]).without(&[LOGIN, LOGIN_EARLY]).from(Stage::Mail),
    // The session lacks something, whatever the stage; strangers may mean the mail that they saw.
    us(Tls, "RFC 3207 §4, RFC 4954 §6").codes(LOGINS).says(&[TLS]),
    us(Login, "RFC 4954 §6").codes(LOGINS),
    session(Tls, "RFC 3207 §4, RFC 4954 §6").codes(LOGINS).says(&[TLS]).early(),
    session(Login, "RFC 4954 §6").codes(LOGINS).early(),
    // The message was seen.
    us(Login, "servers that look late").says(&[LOGIN]).without(&[CONTENT, RECIPIENT, NOT_ALONE]).late(),
    us(Quota, "Google 5.4.5, Zoho 5.4.6, Plesk").says(&[QUOTA]).without(&[CONTENT, RECIPIENT, NOT_ALONE]).late(),
    us(Permission, "Postfix, Exim, Zoho").statuses(OPEN).says(&[RELAYING, NO]).without(&[CONTENT, RECIPIENT, NOT_ALONE]).late(),
    us(Address, "Postfix, Google").statuses(OPEN).says(&[ADDRESS_LATE]).without(&[CONTENT, RECIPIENT]).late(),
    // Nobody has looked at the message.
    mail("Exim: the sender's address is verified").says(&[AUTHOR]).early(),
    us(Key, "smarthost").says(&[ENROLL]).early(),
    us(Permission, "relaying denied, whatever is said of the recipient beside it").says(&[RELAYING, NO]).early().from(Stage::Recipient),
    mail("nobody like this recipient, or one who does not take mail from everybody").says(&[RECIPIENT]).early().from(Stage::Recipient),
    us(Quota, "Google 5.4.5, Zoho 5.4.6, OVH").says(&[QUOTA]).early(),
    us(Permission, "Postfix, Exim, Sendmail, Exchange").says(&[RELAYING, NO]).early(),
    us(Permission, "Domino, NetEase, Google").says(&[RELAY, NO]).without(&[CONTENT]).early(),
    us(Permission, "providers").says(&[SENDING]).without(&[CONTENT]).early(),
    us(Sender, "Postfix, Microsoft 365").says(&[SENDER]).without(&[CONTENT]).early(),
    us(Account, "providers").says(&[ACCOUNT_EARLY]).early(),
    us(Account, "providers: no recipient was named yet").says(&[ACCOUNT_FIRST]).early().to(Stage::Mail),
    us(Login, "Sendmail, cPanel, qmail, Exchange").says(&[LOGIN]).without(&[CONTENT, NOT_ALONE]).early(),
    us(Login, "the same in other words").says(&[LOGIN_EARLY]).without(&[CONTENT, NOT_ALONE]).early(),
    us(Tls, "Mimecast, Postfix").says(&[TLS]).early(),
    us(Address, "Postfix, cPanel, Google: client host, HELO, DNS, block lists").says(&[ADDRESS]).early(),
    us(Session, "Sendmail, Exchange").says(&[SESSION]).early(),
    // Codes.
    us(Login, "RFC 4954 §6: 5.7.4").statuses(&[(7, 4, 4)]).early(),
    us(Login, "IANA's registry: 5.7.9, 5.7.14").statuses(&[(7, 9, 9), (7, 14, 14)]).early(),
    us(Account, "Microsoft 365: 5.7.501 to 503, spam from this account").statuses(&[(7, 501, 503)]),
    us(Address, "Microsoft 365").statuses(&[(7, 506, 506), (7, 508, 508), (7, 511, 511), (7, 606, 649), (7, 708, 708)]),
    us(Address, "Microsoft 365: 5.7.5xx and 5.7.6xx").statuses(&[(7, 500, 699)]).early(),
    us(Session, "RFC 3463 §3.4: 5.3.2").statuses(&[(3, 2, 2)]).early(),
    us(Session, "RFC 5321 §4.2.4: what every server knows, in an order that every server takes").codes(&[(500, 500), (502, 503), (521, 521)]).early(),
    us(Tls, "RFC 4954 §6, RFC 5248: 5.7.10, 5.7.11").statuses(&[(7, 10, 11)]),
    us(Account, "RFC 5248: 5.7.13").statuses(&[(7, 13, 13)]),
    us(Login, "RFC 4954 §6: 5.7.8; Exchange: 5.7.57").statuses(&[(7, 8, 8), (7, 57, 57)]),
    us(Address, "RFC 7372: 5.7.25").statuses(&[(7, 25, 25)]),
    us(Quota, "IANA's registry: 5.7.28, a flood; Microsoft 365: tenants' limits").statuses(&[(7, 28, 28), (7, 232, 233), (7, 700, 702), (7, 704, 749), (7, 751, 799)]),
    us(Permission, "Exchange, Microsoft 365").statuses(&[(7, 54, 54), (7, 60, 60), (7, 64, 64), (7, 367, 367), (7, 750, 750)]),
    us(Login, "RFC 4954 §4: a mechanism that is not known").statuses(&[(7, 4, 4)]).codes(&[(504, 504)]),
    us(Login, "RFC 4954 §6: another password is wanted").codes(&[(524, 524)]),
    us(Tls, "RFC 2554, draft: 523").codes(&[(523, 523)]),
    us(Account, "RFC 5248: 525").codes(&[(525, 525)]),
];
