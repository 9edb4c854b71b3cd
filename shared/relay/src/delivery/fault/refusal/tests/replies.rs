//! What real servers say, at which stages they say it, and whom it is about.

use Refusal::{Account, Address, Key, Login, Passwords, Permission, Quota, Sender, Session, Tls};

use super::{providers::PROVIDERS, *};
use crate::delivery::fault::refusal::rules::{RULES, Rule, Said};

/// Whose words; at `M`AIL, `R`CPT, `D`ATA or the `E`nd of the message; the reply; what it says of
/// this machine, or nothing: it is about the recipient, the sender or the message.
pub(super) type Row = (&'static str, &'static str, &'static str, Option<Refusal>);

/// Or waits, as its code says.
pub(super) const BOUNCES: Option<Refusal> = None;

#[rustfmt::skip]
const REPLIES: &[Row] = &[
    // Postfix.
    ("Postfix", "RDE", "550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in relay recipient table", BOUNCES),
    ("Postfix", "R", "550 <x@y.example>: Recipient address rejected: User unknown in relay recipient table", BOUNCES),
    ("Postfix", "R", "450 4.1.1 <x@y.example>: Recipient address rejected: User unknown in relay recipient table", BOUNCES),
    ("Postfix", "R", "550 5.1.1 <x@y.example>: Recipient address rejected: undeliverable address: host relay.y.example[192.0.2.1] said: 550 5.1.1 User unknown (in reply to RCPT TO command)", BOUNCES),
    ("Postfix", "R", "550 5.1.1 <x@y.example>: Recipient address rejected: undeliverable address: host gateway.y.example[192.0.2.1] said: 550 not here", BOUNCES),
    ("Postfix", "R", "450 4.1.1 <x@y.example>: Recipient address rejected: unverified address: connect to relay.y.example[192.0.2.1]:25: Connection refused, not now", BOUNCES),
    ("Postfix", "R", "450 4.1.2 <x@y.example>: Recipient address rejected: Domain not found", BOUNCES),
    ("Postfix", "R", "556 5.1.10 <x@y.example>: Recipient address rejected: Domain y.example does not accept mail (nullMX)", BOUNCES),
    ("Postfix", "R", "550 5.7.27 <a@b.example>: Sender address rejected: Domain b.example does not accept mail (nullMX)", BOUNCES),
    ("Postfix", "R", "554 5.7.1 <x@y.example>: Recipient address rejected: Access denied", BOUNCES),
    ("Postfix", "R", "554 5.7.1 <x@y.example>: Recipient address rejected: Please see https://relay.example/not-permitted", BOUNCES),
    ("Postfix", "R", "454 4.7.1 <x@y.example>: Relay access denied", Some(Permission)),
    ("Postfix", "RD", "554 5.7.1 <x@y.example>: Relay access denied", Some(Permission)),
    ("Postfix", "E", "554 5.7.1 <x@y.example>: Relay access denied", Some(Permission)),
    ("Postfix", "E", "550 5.7.1 Relay access denied", Some(Permission)),
    ("Postfix", "RE", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", Some(Address)),
    ("Postfix", "E", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example", Some(Address)),
    ("Postfix", "E", "553 5.7.1 <root@a.example>: Sender address rejected: not owned by user vm1", Some(Sender)),
    ("Postfix", "E", "554 5.7.1 Service unavailable; Message content rejected, client host [192.0.2.1]", BOUNCES),
    ("Postfix", "E", "550 5.7.1 message rejected", BOUNCES),
    ("Postfix", "E", "550 5.7.1 message content rejected", BOUNCES),
    ("Postfix", "MRDE", "503 5.5.1 Error: need AUTH command first", Some(Login)),
    ("Postfix", "MRDE", "503 5.5.4 Error: send AUTH command first.", Some(Login)),
    ("Postfix", "RE", "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", Some(Address)),
    ("Postfix", "R", "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", Some(Address)),
    ("Postfix", "R", "504 5.5.2 <vm1>: Helo command rejected: need fully-qualified hostname", Some(Address)),
    ("Postfix", "R", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example", Some(Address)),
    ("Postfix", "MR", "553 5.7.1 <root@a.example>: Sender address rejected: not owned by user vm1", Some(Sender)),
    ("Postfix", "R", "553 5.7.1 <root@a.example>: Sender address rejected: not logged in", Some(Login)),
    ("Postfix", "R", "553 5.1.8 <root@a.example>: Sender address rejected: Domain not found", BOUNCES),
    ("Postfix", "MRE", "530 5.7.0 Must issue a STARTTLS command first", Some(Tls)),
    ("Postfix", "M", "552 5.3.4 Message size exceeds fixed limit", BOUNCES),
    // Sendmail.
    ("Sendmail", "R", "550 5.7.1 <x@y.example>... Relaying denied. IP name lookup failed [192.0.2.1]", Some(Permission)),
    ("Sendmail", "R", "550 5.7.1 <x@y.example>... Relaying denied. Proper authentication required.", Some(Permission)),
    ("Sendmail", "R", "550 5.1.1 <x@y.example>... User unknown, relay=mail.example", BOUNCES),
    ("Sendmail", "M", "550 5.7.1 Access denied", BOUNCES),
    ("Sendmail", "R", "550 5.1.2 <x@y.example>... Host unknown (Name server: y.example: host not found)", BOUNCES),
    ("Sendmail", "MR", "530 5.7.0 Authentication required", Some(Login)),
    // RFC 4954, RFC 5248: codes of the login.
    ("RFC 4954", "MRDE", "504 5.7.4 Unrecognized authentication type", Some(Login)),
    ("RFC 4954", "MRDE", "523 5.7.10 Encryption Needed", Some(Tls)),
    ("RFC 4954", "MRDE", "523 no", Some(Tls)),
    ("RFC 4954", "MRDE", "524 5.7.12 A password transition is needed", Some(Login)),
    ("RFC 4954", "MRDE", "524 no", Some(Login)),
    ("RFC 4954", "MRDE", "524 5.7.11 Encryption required", Some(Tls)),
    ("RFC 4954", "MRDE", "525 5.7.13 User Account Disabled", Some(Account)),
    ("RFC 4954", "MRDE", "432 4.7.12 A password transition is needed", Some(Login)),
    ("RFC 4954", "MRDE", "454 4.7.0 Temporary authentication failure", BOUNCES),
    ("RFC 4954", "MRDE", "451 4.7.0 Temporary authentication failure", BOUNCES),
    ("RFC 3463", "E", "550 5.7.4 Security features not supported", BOUNCES),
    ("RFC 8689", "MRDE", "550 5.7.30 REQUIRETLS support required", BOUNCES),
    ("smarthost", "E", "550 5.7.13 Error: this key of vm1 is believed no more", Some(Account)),
    ("anybody", "E", "554 5.7.1 Your message was rejected by policy", BOUNCES),
    ("anybody", "E", "554 5.7.1 blocked by policy: relaying denied", BOUNCES),
    ("anybody", "E", "554 5.6.0 unable to relay this message", BOUNCES),
    ("anybody", "E", "554 5.4.6 too many hops, unable to relay", BOUNCES),
    ("anybody", "E", "554 5.7.1 no programs here: send as zip", BOUNCES),
    ("anybody", "E", "550 5.1.1 relay access denied", BOUNCES),
    ("anybody", "E", "552 5.3.4 too big to relay, not taken", BOUNCES),
    // Exim, cPanel.
    ("Exim", "E", "550 relay not permitted", Some(Permission)),
    ("Exim", "R", "550 relay not permitted", Some(Permission)),
    ("Exim", "R", "550-Verification failed for <a@b.example> 550-Unrouteable address 550 relay not permitted", Some(Permission)),
    ("Exim", "R", "550 5.1.2 unrouteable address: no relay for this domain known", BOUNCES),
    ("Exim", "R", "550 Unrouteable address: no relay for this domain", BOUNCES),
    ("Exim", "R", "550 Unknown user", BOUNCES),
    ("Exim", "R", "550 Administrative prohibition", BOUNCES),
    ("cPanel", "R", "550-No Such User Here 550 relay.example", BOUNCES),
    ("cPanel", "R", "550 No such relay user here", BOUNCES),
    ("cPanel", "R", "550-Please turn on SMTP Authentication in your mail client, 550 or login to the IMAP server first", Some(Login)),
    ("cPanel", "R", "550-Verification failed for <a@b.example> The account or domain may not exist, they may be blacklisted 550 Sender verify failed", BOUNCES),
    ("cPanel", "R", "550 SMTP AUTH is required for message submission on port 587", Some(Login)),
    // qmail.
    ("qmail", "R", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Some(Permission)),
    ("qmail", "R", "550 sorry, no mailbox here by that name. (#5.1.1)", BOUNCES),
    ("qmail", "ME", "503 AUTH first (#5.5.1)", Some(Login)),
    ("OVH", "R", "550 sorry, too many emails (#5.7.1)", Some(Quota)),
    // Exchange, Microsoft 365.
    ("Microsoft", "RE", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Some(Permission)),
    ("Microsoft", "RE", "550 5.7.1 Unable to relay for x@y.example", Some(Permission)),
    ("Microsoft", "RE", "550 5.7.64 TenantAttribution; Relay Access Denied [x.outlook.example]", Some(Permission)),
    ("Microsoft", "ME", "550 5.7.60 SMTP; Client does not have permissions to send as this sender", Some(Sender)),
    ("Microsoft", "E", "554 5.2.252 SendAsDenied; root@a.example not allowed to send as x@y.example", Some(Sender)),
    ("Microsoft", "ME", "530 5.7.57 Client not authenticated to send mail", Some(Login)),
    ("Microsoft", "MRE", "550 5.7.30 Basic authentication is not supported for Client Submission.", Some(Passwords)),
    ("Microsoft", "MRDE", "550 5.7.30 Basic auth not supported", Some(Passwords)),
    ("Microsoft", "ME", "550 5.1.8 Access denied, bad outbound sender AS(42003)", Some(Account)),
    ("Microsoft", "RE", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", Some(Address)),
    ("Microsoft", "MRE", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP", Some(Address)),
    ("Microsoft", "RE", "550 5.7.705 Access denied, tenant has exceeded threshold", Some(Quota)),
    ("Microsoft", "E", "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains", Some(Permission)),
    ("Microsoft", "RE", "550 5.7.507 Access denied, rejected by recipient", BOUNCES),
    ("Microsoft", "E", "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant", BOUNCES),
    ("Microsoft", "E", "550 5.7.501 Access denied, spam abuse detected", Some(Account)),
    ("Microsoft", "RE", "550 5.7.515 Access denied, sending domain a.example does not pass the required authentication level", BOUNCES),
    ("Microsoft", "RE", "550 5.7.509 Access denied, sending domain a.example does not pass DMARC verification", BOUNCES),
    ("Microsoft", "RE", "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group", BOUNCES),
    ("Microsoft", "RE", "550 5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required", BOUNCES),
    ("Microsoft", "RE", "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", BOUNCES),
    ("Microsoft", "RE", "550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized", BOUNCES),
    ("Microsoft", "RE", "550 5.7.12 SMTP; Unable to deliver: sender was not authenticated by organization", BOUNCES),
    ("Microsoft", "R", "550 5.7.124 Sender not allowed to send to this group", BOUNCES),
    ("Microsoft", "R", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", BOUNCES),
    ("Microsoft", "R", "550 5.4.1 Recipient address rejected: Access denied. [x.outlook.example]", BOUNCES),
    ("Microsoft", "R", "550 5.1.1 RESOLVER.ADR.ExRecipNotFound; not found", BOUNCES),
    ("Microsoft", "RE", "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", BOUNCES),
    ("Microsoft", "E", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; the sender's submission quota was exceeded", Some(Quota)),
    ("Microsoft", "R", "550 part of their network is on our block list (S3150)", Some(Address)),
    // Google.
    ("Google", "R", "550-5.1.1 The email account that you tried to reach does not exist. Please log in 550 5.1.1 x", BOUNCES),
    ("Google", "R", "550 5.2.1 The email account that you tried to reach is disabled, login required", BOUNCES),
    ("Google", "RE", "552 5.2.2 The email account that you tried to reach is over quota", BOUNCES),
    ("Google", "RE", "550 5.4.5 Daily user sending quota exceeded", Some(Quota)),
    ("Google", "RE", "550 5.4.5 Daily user sending limit exceeded. For more information on sending limits go to https://support.google.example", Some(Quota)),
    ("Google", "RE", "550 5.7.1 Daily SMTP relay limit exceeded for customer", Some(Quota)),
    ("Google", "MRE", "550 5.4.5 Daily SMTP relay limit exceeded for customer. For more information on SMTP relay sending limits please contact your administrator.", Some(Quota)),
    ("Google", "R", "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered", BOUNCES),
    ("Google", "R", "450 4.2.1 Peak SMTP relay limit exceeded for customer", BOUNCES),
    ("Google", "ME", "450 4.2.1 Peak SMTP relay limit exceeded for customer", Some(Quota)),
    ("Google", "E", "550-5.7.26 This mail has been blocked because the sender is unauthenticated. 550 5.7.26 all senders must authenticate with either SPF or DKIM.", BOUNCES),
    ("Google", "E", "552 5.7.0 This message was blocked because its content presents a potential security issue", BOUNCES),
    ("Google", "R", "550 5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered doesn't match", Some(Permission)),
    ("Google", "E", "550-5.7.25 The IP address sending this message does not have a PTR record setup 550 5.7.25 see https://support.google.example", Some(Address)),
    ("Google", "MR", "534 5.7.9 Please log in with your web browser and then try again", Some(Login)),
    // Yahoo, Orange, Ionos, GMX and other providers.
    ("Yahoo", "R", "554 delivery error: dd This user doesn't have a yahoo.example account (x@yahoo.example)", BOUNCES),
    ("Yahoo", "RE", "552 5.2.2 mailbox full; daily limit reached", BOUNCES),
    ("Yahoo", "M", "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", Some(Address)),
    ("Orange", "R", "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", BOUNCES),
    ("Orange", "R", "552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]", BOUNCES),
    ("Orange", "MR", "550 5.1.0 Authentification requise. Authentication Required. OFR_402 [402]", Some(Login)),
    ("Orange", "M", "550 Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102 [102]", Some(Address)),
    ("Ionos", "R", "550 Requested action not taken: mailbox unavailable", BOUNCES),
    ("Ionos", "M", "550 Sender address is not allowed.", Some(Sender)),
    ("Plesk", "E", "554 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing messages was exceeded. Try again later.", Some(Quota)),
    ("Prolateral", "R", "554 5.7.1 <x@y.example>: Recipient address rejected: You have exceeded your Outmail quota.", Some(Quota)),
    ("Mailu", "R", "450 4.7.1 <vm1>: SASL login name rejected: You are sending too many emails too fast.", Some(Quota)),
    ("NetEase", "R", "553 host denies relay.", Some(Permission)),
    ("Zoho", "RD", "550 5.4.6 Unusual sending activity detected. Please try after sometime", Some(Quota)),
    ("Amazon", "E", "554 Message rejected: Email address is not verified. The following identities failed the check in region X: root@a.example", Some(Sender)),
    ("Amazon", "RDE", "554 Access denied: User `x` is not authorized to perform `ses:SendRawEmail`", Some(Sender)),
    ("SendGrid", "RDE", "550 The from address does not match a verified Sender Identity.", Some(Sender)),
    // Filters.
    ("Cisco", "MR", "533 5.7.1 #5.7.1 Your access to submit messages to this e-mail system has been rejected.", Some(Permission)),
    ("Cisco", "R", "550 #5.1.0 Address rejected.", BOUNCES),
    ("Proofpoint", "R", "550 5.1.1 User Unknown", BOUNCES),
    ("Proofpoint", "E", "550 5.7.0 Message rejected due to content policy; relay not used", BOUNCES),
    ("Mimecast", "R", "550 Invalid Recipient - https://community.mimecast.example/docs/DOC-1369#550", BOUNCES),
    ("Mimecast", "R", "550 Rejected by header based manually Blocked Senders", BOUNCES),
    ("Spambrella", "R", "550 5.7.1 <x@y.example>: Relay Access denied", Some(Permission)),
    ("Amavis", "E", "554 5.7.0 Reject, id=12345-01 - spam", BOUNCES),
    ("Amavis", "E", "550 5.7.1 virus login-stealer found", BOUNCES),
    ("Rspamd", "E", "554 5.7.1 Spam message rejected", BOUNCES),
    ("a filter", "E", "554 5.7.1 rejected: relaying of .exe attachments denied", BOUNCES),
    ("a filter", "E", "550 5.7.1 Message rejected: looks like phishing for your account", BOUNCES),
    ("a filter", "E", "554 5.6.0 Message rejected: your account statement contains a forbidden attachment", BOUNCES),
    ("a filter", "E", "550 5.7.1 Spam in outgoing messages", BOUNCES),
    // Mailboxes and lists.
    ("Dovecot", "RE", "552 5.2.2 <x@y.example> Quota exceeded (mailbox for user is full)", BOUNCES),
    ("Dovecot", "R", "550 5.1.1 <x@y.example> User doesn't exist: x@y.example", BOUNCES),
    ("a mailbox", "R", "550 5.2.1 This account has been disabled or discontinued", BOUNCES),
    ("a mailbox", "R", "550 This account has been disabled", BOUNCES),
    ("a mailbox", "R", "552 5.2.2 This account is over quota", BOUNCES),
    ("a mailbox", "R", "550 5.1.1 membership is closed, no such member", BOUNCES),
    ("a mailbox", "R", "550 membership is closed", BOUNCES),
    ("a mailbox", "R", "550 5.1.6 ownership is unknown, user has moved", BOUNCES),
    ("a mailbox", "R", "550 5.4.4 relay host for y.example not found", BOUNCES),
    ("a mailbox", "R", "550 5.1.2 relay recipient host unknown", BOUNCES),
    ("a list", "R", "550 5.7.1 You are not allowed to send mail to this mailing list", BOUNCES),
    ("a list", "R", "550 5.7.1 <x@y.example>: Recipient address rejected: not authorized to send to this list", BOUNCES),
    ("a list", "RE", "550 5.7.2 only members are permitted to send to the list", BOUNCES),
    ("anybody", "R", "550 5.5.3 too many recipients", BOUNCES),
    ("anybody", "R", "550 5.7.1 too many recipients per hour", Some(Quota)),
    ("anybody", "R", "556 no mail", BOUNCES),
    ("anybody", "RE", "530 5.7.1 message refused", BOUNCES),
    ("anybody", "M", "554 5.7.1 Please verify your account first", Some(Account)),
    ("anybody", "MRD", "554 no SMTP service here", Some(Session)),
    ("anybody", "MRD", "554 5.3.2 no", Some(Session)),
    ("anybody", "MRD", "502 5.5.1 not implemented", Some(Session)),
    ("anybody", "MRD", "521 no", Some(Session)),
    ("anybody", "MRD", "504 5.7.4 no such mechanism", Some(Login)),
    ("anybody", "MRE", "550 5.7.25 no", Some(Address)),
    ("anybody", "MRE", "525 no", Some(Account)),
    ("smarthost", "R", "554 5.7.1 <b@example.net>: Relay access denied; this key is not known here: smarthost enroll NAME makes a line for it", Some(Key)),
    ("smarthost", "M", "550 5.7.13 Error: this key of vm1 is believed no more: have `smarthost enroll` make a line", Some(Key)),
    ("Microsoft", "MR", "451 4.7.500 Server busy. Please try again later from [192.0.2.1].", Some(Address)),
    ("anybody", "M", "554 5.7.1 This account has been suspended", Some(Account)),
    ("anybody", "R", "550 5.7.1 You are not permitted to send to external domains", Some(Permission)),
];

/// Wherever they say it, each row has its meaning, and a row of rules decides.
#[test]
fn what_real_servers_say_is_about_this_machine_or_about_the_mail_as_the_table_has_it() {
    let mut wrong = Vec::new();
    let rows = REPLIES.iter().chain(PROVIDERS);
    for (who, letter, text, meaning) in rows.flat_map(letters) {
        let stage = stage(letter);
        let found = said(stage, text, true);
        if found != meaning {
            wrong.push(format!("{who} at {stage:?}: {text}: {found:?}"));
        }
        // Of a stranger's server only what the session lacks counts, until it has seen the mail.
        let code = text.get(..3).unwrap();
        let session = matches!(code, "530" | "534" | "535" | "538") && meaning.is_some();
        let waits = session && stage < Stage::Message;
        assert_eq!(said(stage, text, false).is_some(), waits, "{who}: {text}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn letters(
    row: &'static Row,
) -> impl Iterator<Item = (&'static str, char, &'static str, Option<Refusal>)> {
    let (who, stages, text, meaning) = row;
    stages.chars().map(|letter| (*who, letter, *text, *meaning))
}

pub(super) fn stage(letter: char) -> Stage {
    match letter {
        'M' => Stage::Mail,
        'R' => Stage::Recipient,
        'D' => Stage::Data,
        _ => Stage::Message,
    }
}

/// A row that decides nothing here is dead, or nobody knows what it is for.
#[test]
fn each_row_of_rules_decides_a_reply_of_the_table() {
    let mut deciding: Vec<*const Rule> = Vec::new();
    let rows = REPLIES.iter().chain(PROVIDERS).chain(LOGINS);
    for (_, letter, text, _) in rows.flat_map(letters) {
        for named in [true, false] {
            let stage = if letter == 'A' {
                Stage::Auth
            } else {
                stage(letter)
            };
            let failure = failed(stage, text);
            let rule = Said::of(&failure, named).and_then(|said| said.rule());
            deciding.extend(rule.map(std::ptr::from_ref));
        }
    }
    let dead = RULES
        .iter()
        .filter(|rule| !deciding.contains(&std::ptr::from_ref(*rule)));
    let dead: Vec<&str> = dead.map(|rule| rule.source).collect();
    assert!(dead.is_empty(), "{dead:#?}");
}

/// In answer to AUTH.
const LOGINS: &[Row] = &[
    (
        "RFC 4954",
        "A",
        "432 4.7.12 A password transition is needed",
        Some(Login),
    ),
    (
        "RFC 5248",
        "A",
        "422 4.7.12 A password transition is needed",
        Some(Login),
    ),
    (
        "RFC 4954",
        "A",
        "454 4.7.0 Temporary authentication failure",
        BOUNCES,
    ),
    (
        "SendGrid",
        "A",
        "451 Authentication failed: Maximum credits exceeded",
        BOUNCES,
    ),
    (
        "Google",
        "A",
        "454 4.7.0 Too many login attempts, please try again later.",
        BOUNCES,
    ),
    (
        "RFC 4954",
        "A",
        "538 5.7.11 Encryption required for requested authentication mechanism",
        Some(Tls),
    ),
    (
        "RFC 4954",
        "A",
        "534 5.7.9 Authentication mechanism is too weak",
        Some(Login),
    ),
    (
        "Microsoft",
        "A",
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        Some(Login),
    ),
    (
        "Microsoft",
        "A",
        "535 5.7.3 Authentication unsuccessful",
        Some(Login),
    ),
    (
        "Microsoft",
        "A",
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        Some(Passwords),
    ),
    ("Microsoft", "A", "550 5.7.30 No more", Some(Passwords)),
    (
        "Yandex",
        "A",
        "535 5.7.8 Error: authentication failed: This user does not have access rights to this service",
        Some(Login),
    ),
    (
        "Brevo",
        "A",
        "525 5.7.1 Unauthorized IP address",
        Some(Login),
    ),
    (
        "OVH",
        "A",
        "535 5.7.1 Authentication failed: account blocked for spam",
        Some(Login),
    ),
];

#[test]
fn what_is_said_of_a_login_is_about_the_login_whoever_says_it() {
    for (who, _, text, meaning) in LOGINS {
        for named in [true, false] {
            assert_eq!(said(Stage::Auth, text, named), *meaning, "{who}: {text}");
        }
    }
}

/// A word more or less, an address or a name in the text changes nothing.
#[test]
fn codes_of_recipients_decide_whatever_the_words_beside_them_are() {
    let words: Vec<&str> = REPLIES
        .iter()
        .map(|(_, _, text, _)| text.get(10..).unwrap_or_default())
        .collect();
    for status in [
        "5.1.1", "5.1.2", "5.1.6", "5.1.10", "5.2.0", "5.2.1", "5.2.2", "5.4.4",
    ] {
        for words in &words {
            let text = format!("550 {status} {words}");
            let about = said(Stage::Recipient, &text, true);
            assert!(about.is_none_or(|it| it == Passwords), "{text}: {about:?}");
        }
    }
}
