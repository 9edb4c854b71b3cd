//! Policy delegation: what a server is told, and what it answers. Pure.
//!
//! Contract: no value can end its line; an answer is bounded.
//! Postfix's `SMTPD_POLICY_README`.

use super::{
    Answer, Query, access,
    action::Action,
    endpoint::Endpoint,
    rule::Subject,
    view::{Opinion, View},
};

/// Longest answer, bytes.
pub const ANSWER: usize = 16 * 1024;

/// What the server says of this recipient.
pub(super) fn check(see: &View<'_>, endpoint: &Endpoint) -> Opinion {
    // Servers go by the client's name.
    let name = match see.client_name() {
        Ok(name) => name,
        Err(query) => return Opinion::Ask(vec![query]),
    };
    let names = (
        name.confirmed().unwrap_or("unknown"),
        name.reverse().unwrap_or("unknown"),
    );
    let query = Query::Service(endpoint.clone(), request(see, names));
    let action = match see.answer(&query) {
        None => return Opinion::Ask(vec![query]),
        Some(Answer::Service(Some(answer))) => Action::parse(answer).ok(),
        Some(_) => None,
    };
    if let Some(action) = action {
        return access::carry_out(see, Subject::Recipient, action);
    }
    let text = "Server configuration problem";
    Opinion::Refuse(see.rejection(Subject::Recipient, 451, (4, 3, 5), text))
}

/// All attributes that Postfix knows, in its order.
fn request(see: &View<'_>, (client, reverse): (&str, &str)) -> String {
    let (session, transaction) = (&see.facts.session, &see.facts.transaction);
    let (protocol, cipher, bits) = session.tls.as_deref().map_or(("", "", "0"), encryption);
    let (address, port) = (session.address.to_string(), session.port.to_string());
    let (server, server_port) = session.server.map_or_else(Default::default, |server| {
        (
            server.ip().to_canonical().to_string(),
            server.port().to_string(),
        )
    });
    let size = transaction.size.unwrap_or_default().to_string();
    let (sender, recipient) = (see.shown(Subject::Sender), see.shown(Subject::Recipient));
    let method = session.method;
    let attributes = [
        ("request", "smtpd_access_policy"),
        ("protocol_state", "RCPT"),
        ("protocol_name", session.protocol),
        ("client_address", &address),
        ("client_name", client),
        ("client_port", &port),
        ("reverse_client_name", reverse),
        ("server_address", &server),
        ("server_port", &server_port),
        ("helo_name", session.helo.as_deref().unwrap_or_default()),
        ("sender", &sender),
        ("recipient", &recipient),
        ("recipient_count", "0"),
        ("queue_id", ""),
        ("instance", &transaction.instance),
        ("size", &size),
        ("etrn_domain", ""),
        ("stress", ""),
        ("sasl_method", method),
        (
            "sasl_username",
            session.login.as_deref().unwrap_or_default(),
        ),
        ("sasl_sender", ""),
        (
            "ccert_subject",
            session.pinned.as_deref().unwrap_or_default(),
        ),
        ("ccert_issuer", ""),
        ("ccert_fingerprint", ""),
        ("ccert_pubkey_fingerprint", ""),
        ("encryption_protocol", protocol),
        ("encryption_cipher", cipher),
        ("encryption_keysize", bits),
        ("tls_sni", ""),
        ("policy_context", ""),
        ("compatibility_level", "3.12"),
        ("mail_version", "3.12"),
    ];
    let mut text = String::new();
    for (name, value) in attributes {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        text.push_str(name);
        text.push('=');
        text.push_str(&value);
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Protocol, cipher and bits of `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 key-exchange X25519`;
/// the bits are those of the cipher's name.
pub(crate) fn encryption(summary: &str) -> (&str, &str, &str) {
    let (protocol, rest) = summary.split_once(' ').unwrap_or((summary, ""));
    let cipher = rest.strip_prefix("with cipher ").unwrap_or_default();
    let cipher = cipher.split(' ').next().unwrap_or_default();
    let bits = match cipher {
        "" => "0",
        cipher if cipher.contains("AES_128") => "128",
        _ => "256",
    };
    (protocol, cipher, bits)
}

/// The action of a whole answer; `None` while it is not whole. The error is what is wrong with it.
pub fn answer(received: &[u8]) -> Result<Option<String>, &'static str> {
    if received.len() > ANSWER {
        return Err("its answer is too long");
    }
    let text = String::from_utf8_lossy(received);
    let mut action = None;
    let mut rest = &*text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return match action {
                Some(_) if !after.is_empty() => Err("it says more than it was asked"),
                Some(action) => Ok(Some(action)),
                None => Err("its answer has no action"),
            };
        }
        match line.split_once('=') {
            Some(("action", value)) => action = Some(value.to_owned()),
            Some(_) => {}
            None => return Err("its answer is no list of NAME=VALUE lines"),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_place_is_read_and_what_is_none_is_refused() {
        for good in [
            "inet:127.0.0.1:10023",
            "inet:[::1]:10023",
            "inet:policy.example:1",
            "inet:192.0.2.1:1",
            "unix:/run/p",
            "unix:private/p",
        ] {
            assert_eq!(Endpoint::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "127.0.0.1:10023",
            "inet:127.0.0.1",
            "inet::1",
            "inet:a:0",
            "inet:a:70000",
            "unix:",
            "tcp:a:1",
        ] {
            assert!(
                Endpoint::parse(bad)
                    .unwrap_err()
                    .contains("inet:127.0.0.1:10023"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_login_before_a_servers_place_is_no_place_and_shown_to_nobody() {
        for bad in [
            "inet:u:s3cret@h:1",
            "inet:s3cret@h:1",
            "inet:h:1:u:s3cret",
            "u:s3cret@h:1",
            "inet:u:s3cr@et@h:1",
        ] {
            let why = Endpoint::parse(bad).unwrap_err();
            assert!(why.contains("***") && !why.contains("s3cr"), "{bad}: {why}");
        }
    }

    #[test]
    fn an_answer_counts_when_it_is_whole_and_nothing_else_is_one() {
        assert_eq!(answer(b"action=DUNNO\n\n"), Ok(Some("DUNNO".to_owned())));
        assert_eq!(
            answer(b"x=y\r\naction=450 later = much\r\n\r\n"),
            Ok(Some("450 later = much".to_owned()))
        );
        for piece in [&b""[..], b"act", b"action=OK", b"action=OK\n"] {
            assert_eq!(answer(piece), Ok(None));
        }
        for bad in [
            &b"\n"[..],
            b"x=y\n\n",
            b"hello\n",
            b"action=OK\n\naction=OK\n\n",
            "x".repeat(ANSWER + 1).as_bytes(),
        ] {
            assert!(answer(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_session_is_summarised_as_postfix_does() {
        for (cipher, bits) in [
            ("TLS_AES_256_GCM_SHA384", "256"),
            ("TLS_AES_128_GCM_SHA256", "128"),
            ("TLS_CHACHA20_POLY1305_SHA256", "256"),
        ] {
            for rest in [
                " key-exchange X25519",
                " (256/256 bits)",
                "",
                " key-exchange X25519, resumed",
            ] {
                let summary = format!("TLSv1.3 with cipher {cipher}{rest}");
                assert_eq!(encryption(&summary), ("TLSv1.3", cipher, bits));
            }
        }
        assert_eq!(encryption("TLSv1.2"), ("TLSv1.2", "", "0"));
    }
}
