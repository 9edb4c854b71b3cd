use mail::status::{EnhancedStatus, ReplyCode};

use super::*;

mod guesses;
mod providers;
mod replies;

fn failed(stage: Stage, text: &str) -> Failure {
    let code = ReplyCode::new(text.get(..3).unwrap().parse().unwrap()).unwrap();
    let status = text.get(4..).unwrap_or_default().split(' ').next();
    Failure::replied(stage, code, status.and_then(EnhancedStatus::parse), text)
}

fn said(stage: Stage, text: &str, named: bool) -> Option<Refusal> {
    about_us(&failed(stage, text), named)
}

#[test]
fn what_a_relayhost_says_of_this_machine_bounces_no_mail() {
    use Refusal::{Address, Login, Passwords, Permission, Sender, Tls};
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
            Sender,
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
        (Stage::Message, "550 5.7.30 REQUIRETLS support required"),
        (Stage::Mail, "550 5.7.30 REQUIRETLS support required"),
        (Stage::Recipient, "550 5.1.1 no such user"),
        (Stage::Recipient, "550 5.7.1 not accepted by policy"),
        (
            Stage::Recipient,
            "550 5.1.8 Sender address rejected: Domain not found",
        ),
        // Some know it before they have seen the message.
        (
            Stage::Recipient,
            "550 5.7.26 Unauthenticated email is not accepted",
        ),
        (
            Stage::Mail,
            "550 5.7.26 This sender is not authenticated; your IP address is not allowed to send for it",
        ),
        (
            Stage::Recipient,
            "550 5.7.23 The message was rejected: SPF, your IP is not permitted to send",
        ),
        (
            Stage::Recipient,
            "550 5.7.20 no passing authentication of the author",
        ),
        (Stage::Data, "550 5.7.1 Unauthenticated mail is prohibited"),
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

#[test]
fn a_login_that_cannot_be_verified_now_is_no_refusal_of_it() {
    let text =
        "454 4.7.0 Temporary authentication failure: Connection lost to authentication server";
    for stage in [
        Stage::Auth,
        Stage::Mail,
        Stage::Recipient,
        Stage::Data,
        Stage::Message,
    ] {
        assert_eq!(said(stage, text, true), None, "{stage:?}");
    }
    for text in [
        "451 4.3.0 internal error",
        "450 4.7.1 later",
        "454 4.7.8 later",
    ] {
        assert_eq!(said(Stage::Auth, text, true), None, "{text}");
    }
    for text in [
        "432 4.7.12 A password transition is needed",
        "535 5.7.8 Error: authentication failed",
        "501 5.5.2 cannot decode",
        "534 5.7.9 mechanism too weak",
    ] {
        assert_eq!(
            said(Stage::Auth, text, true),
            Some(Refusal::Login),
            "{text}"
        );
    }
}

#[test]
fn what_a_stranger_demands_has_no_remedy_in_our_settings_and_waits_all_the_same() {
    let code = ReplyCode::new(530).unwrap();
    let status = Some(EnhancedStatus::new(5, 7, 0));
    for text in [
        "530 5.7.0 Must issue STARTTLS first",
        "530 5.7.0 Authentication required",
    ] {
        let failure = Failure::replied(Stage::Mail, code, status, text);
        assert!(about_us(&failure, false).is_some());
        assert_eq!(with_remedy(failure.clone(), false).remedy, None);
        assert!(with_remedy(failure, true).remedy.is_some());
    }
}
