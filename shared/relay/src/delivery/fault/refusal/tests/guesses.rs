//! What servers might say in words of their own: no provider's, and a guess of each kind.

use proptest::prelude::*;

use super::{replies::stage, *};

/// At which stages; whether it is about this machine; the replies.
type Group = (&'static str, bool, &'static [&'static str]);

#[rustfmt::skip]
const GROUPS: &[Group] = &[
    // What is in the message.
    ("RE", false, &[
        "554 5.7.1 Message rejected: suspicious login page link",
        "550 5.7.1 Email contains a request for your password",
        "550 5.7.1 Your message looks like an account suspension scam",
        "554 Your mail was refused by our anti-spam system",
        "550 5.7.1 This message contains malware (account_statement.exe)",
        "552 5.7.0 attachment blocked: invoice.zip requires authentication to open",
        "550 5.7.1 rejected: body contains a forbidden URL",
        "554 5.7.1 The message failed our content policy",
        "550 5.7.0 Bayes score too high",
        "554 5.7.1 message looks like a phish for relay.example",
        "550 5.7.1 Mail with more than 100 links is not allowed",
        "554 5.6.0 Invalid header found",
        "550 5.6.2 conversion required and prohibited",
        "550 5.7.1 SPF: a.example is not allowed to send mail from 192.0.2.1",
        "550 5.7.1 DKIM signature invalid",
        "550 5.7.1 DMARC: alignment failed for a.example",
        "554 5.7.1 Rejected due to ARC chain",
        "530 5.7.1 Spam",
        "535 5.7.0 Virus found",
        "534 5.7.9 Message contains a virus",
        "538 5.7.11 attachment refused",
        "534 5.3.4 message too large for this server",
        "552 5.3.4 Error: message file too big",
        "523 5.7.10 message size exceeds the limit",
        "554 5.7.9 Your mail was rejected for policy reasons",
        "554 5.7.9 Message blocked",
        "550 5.7.8 Message refused: it contains a spam URL",
        "550 5.7.13 Message rejected, it contains malware",
        "554 5.7.14 message rejected, see our policy",
        "550 5.7.11 Message rejected because it is encrypted",
        "524 5.7.1 spam detected",
        "525 5.7.13 message blocked: phishing",
        "550 5.7.1 Content of type application/x-msdownload is not allowed",
        "550 5.7.1 Subject contains invalid characters",
        "550 5.7.1 From header is missing",
        "550 5.7.1 Messages without a Message-ID header are not accepted",
        "554 5.7.1 Denied: forbidden macro",
        "550 Message rejected. Message text matches a spam database",
        "550 5.4.6 mail loop detected",
        "554 5.7.1 BATV validation failed",
    ]),
    // The recipient.
    ("R", false, &[
        "550 5.1.1 no mailbox here, authentication required to ask more",
        "550 no such user",
        "550 unknown user account",
        "550 5.7.1 recipient does not accept mail from you",
        "550 5.7.1 You may not write to this user",
        "550 5.7.1 <x@y.example>: Recipient address rejected: sender must be a subscriber",
        "550 mailbox is inactive",
        "550 5.2.1 mailbox disabled for this recipient",
        "552 5.2.2 mailbox quota exceeded for this recipient",
        "452 4.2.2 mailbox full",
        "550 5.1.6 recipient has moved",
        "551 user not local; please try <z@y.example>",
        "550 User account is unavailable",
        "550 5.1.1 account has been suspended",
        "550 invalid recipient",
        "550 5.1.0 address rejected",
        "550 No such local user",
        "553 5.1.3 malformed address",
        "550 5.7.1 recipient refuses mail from your domain",
        "550 5.7.1 Delivery to this address is restricted",
        "550 5.1.2 bad destination host",
        "550 5.4.1 no answer from host",
        "550 5.4.310 DNS domain y.example does not exist",
        "550 mailing list is closed",
        "550 5.7.1 only members may post to this list",
        "550 The recipient has blocked you",
        "550 5.7.1 Your message is rejected by the recipient",
        "550 4.2.1 mailbox temporarily disabled",
        "554 delivery error: dd x@yahoo.example is no longer valid",
        "550 5.5.0 Le compte du destinataire n'existe pas",
        "550 Requested action not taken: mailbox unavailable",
        "550 5.1.1 User unknown; see https://login.example/auth",
        "501 5.1.3 Bad recipient address syntax",
        "450 4.1.1 unverified address",
        "450 4.2.0 Greylisted, try again later",
        "550 5.1.10 Null MX",
        "550 address unknown in virtual alias table",
        "550 5.7.1 rejected by recipient's policy",
        "550 5.7.129 not allowed",
        "550 5.7.193 AADB2B not allowed",
    ]),
    // Account and sender.
    ("MRE", true, &[
        "550 5.7.1 Your account has been disabled",
        "550 5.7.1 Your account is suspended, please contact support",
        "554 Your email account has been locked",
        "554 5.7.1 Your account was blocked for abuse",
        "550 Sender signature not confirmed",
        "550 5.7.1 Not authorized to send from this address",
        "550 sender address is not allowed for this login",
        "553 5.7.1 Sender address rejected: not owned by user foo@bar.example",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "550 From address must match the authenticated user",
        "550 5.7.0 sending domain not verified",
        "550 5.7.1 Unconfigured Sending Domain",
        "554 Email address is not verified",
        "554 5.7.1 Relaying disallowed as x@y.example",
        "550 5.7.1 Domain z.example is not allowed to send",
        "553 sender is not allowed to use this server",
        "550 5.7.1 SendAsDenied",
        "550 5.7.1 sender mismatch",
        "550 Sandbox subdomains are for test purposes only",
        "502 Your SMTP account is not activated",
        "550 5.7.1 Mail sending denied",
        "550 5.7.1 not one of your addresses",
        "550 outgoing mail from vm1 has been disabled",
        "550 5.1.8 bad outbound sender",
        "550 5.7.502 banned sender",
        "525 5.7.13 Account disabled",
        "554 Sending suspended for your account",
        "550 Your sending account is disabled",
        "550 5.7.1 Your SMTP account has been terminated",
        "550 unauthorized sender address",
    ]),
    // The login.
    ("MRE", true, &[
        "530 Authentication required",
        "530 5.7.0 Must issue a STARTTLS command first",
        "530 5.5.1 Authentication Required. Learn more at https://x.example",
        "535 5.7.8 bad credentials",
        "535 5.7.3 Authentication unsuccessful",
        "534 5.7.9 please log in with your web browser",
        "538 5.7.11 Encryption required",
        "550 5.7.1 Authentication required",
        "550 5.7.1 Client was not authenticated",
        "554 5.7.1 Please authenticate first",
        "550 SMTP AUTH is required",
        "503 5.5.1 need AUTH first",
        "550 Authentication is required for relay",
        "550 5.7.8 credentials expired",
        "550 5.7.57 Client not authenticated",
        "550 you are not authenticated",
        "550 must authenticate before sending",
        "550 5.7.1 Username and Password not accepted",
        "524 5.7.12 password transition needed",
        "523 5.7.10 encryption needed",
        "530 5.7.0 message rejected: authentication required",
        "530 5.7.1 Mail rejected, must issue STARTTLS first",
        "550 Unauthenticated senders not allowed",
        "535 authentication failed: message rejected",
        "550 5.7.30 Basic authentication is not supported",
    ]),
    // TLS.
    ("MR", true, &[
        "550 5.7.1 TLS required",
        "550 5.7.10 TLS is required",
        "554 encryption required for this connection",
        "550 Use STARTTLS",
        "550 5.7.4 Encryption required",
    ]),
    // Address and name, at any stage.
    ("MRE", true, &[
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example",
        "550 5.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]",
        "554 5.7.1 <vm1[192.0.2.1]>: Client host rejected: Access denied",
        "504 5.5.2 <vm1>: Helo command rejected: need fully-qualified hostname",
        "550 5.7.1 <vm1>: Helo command rejected: Host not found",
        "550 5.7.25 reverse DNS validation failed",
        "550 5.7.1 no PTR record for 192.0.2.1",
        "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
        "550 5.7.1 unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on our block list (S3150)",
        "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred",
        "550 Mail from IP 192.0.2.1 was rejected due to listing in Spamhaus",
        "550 Too many spams from your IP",
        "554 5.7.1 This IP has a poor reputation",
        "525 unauthorized IP address",
        "550 5.7.1 rDNS missing for your server",
    ]),
    // Address and name, before the message.
    ("MR", true, &[
        "550 your IP is on a blacklist",
        "550 5.7.1 IP address 192.0.2.1 is not allowed here",
        "550 reverse lookup failed",
        "501 5.5.4 Invalid EHLO argument",
        "550 Bad HELO",
        "550 5.7.1 your host is not welcome",
        "554 5.7.1 access from this sending MTA is blocked",
        "550 ehlo name is an address literal",
        "504 5.5.2 HELO needs a fully qualified name",
        "550 5.7.1 your server is blocklisted",
    ]),
    // Too much was sent.
    ("MRE", true, &[
        "550 5.4.5 Daily user sending limit exceeded",
        "550 5.7.1 Daily SMTP relay limit exceeded for customer",
        "550 5.4.6 Unusual sending activity detected",
        "554 Daily message quota exceeded",
        "550 you have exceeded your daily quota",
        "550 too many messages today",
        "550 5.7.232 tenant limit exceeded",
        "550 5.7.705 tenant has exceeded threshold",
        "452 4.5.3 hourly limit reached",
        "550 sending quota exceeded",
        "450 4.7.1 sending rate too high",
        "550 You are out of credits",
        "550 Domain a.example has exceeded the max emails per hour",
        "550 hourly quota exceeded for user",
        "550 5.7.28 mail flood detected",
    ]),
    // Relaying.
    ("MRE", true, &[
        "554 5.7.1 <x@y.example>: Relay access denied",
        "550 relay not permitted",
        "550 5.7.1 Unable to relay",
        "550 5.7.1 Relaying denied",
        "550 5.7.64 Relay Access Denied",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
        "553 we do not relay",
        "550 5.7.0 Mail relay denied",
        "551 relaying to y.example prohibited by administrator",
        "550 not permitted to relay through this server",
    ]),
];

#[test]
fn what_a_server_says_in_words_of_its_own_is_about_us_only_where_it_speaks_of_us() {
    let mut wrong = Vec::new();
    for (stages, about, texts) in GROUPS {
        for (letter, text) in stages
            .chars()
            .flat_map(|it| texts.iter().map(move |text| (it, text)))
        {
            let found = said(stage(letter), text, true);
            if found.is_some() != *about {
                wrong.push(format!("{letter}: {text}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest! {
    /// A stranger who has seen the message means it, and content is content, whatever else is said.
    #[test]
    fn no_words_make_a_strangers_late_refusal_or_one_of_content_ours(
        code in 400u16..600, subject in 0u16..9, detail in 0u16..999, words in "\\PC{0,80}",
        chosen in proptest::collection::vec(0usize..300, 0..4), late in any::<bool>(),
    ) {
        let all: Vec<&str> = GROUPS.iter().flat_map(|(_, _, texts)| texts.iter().copied()).collect();
        let chosen = chosen.iter().map(|at| all[at % all.len()]);
        let text = chosen.fold(words, |text, more| format!("{text} {more}"));
        let stage = if late { Stage::Message } else { Stage::Recipient };
        let code = ReplyCode::new(code).unwrap();
        let status = Some(EnhancedStatus::new(5, subject, detail));
        let failure = Failure::replied(stage, code, status, &text);
        let ours = about_us(&failure, true);
        if late {
            prop_assert_eq!(about_us(&failure, false), None);
        }
        if failure.status.subject() == 6 {
            prop_assert!(ours.is_none_or(|it| it == Refusal::Passwords || code.value() == 432));
        }
    }
}
