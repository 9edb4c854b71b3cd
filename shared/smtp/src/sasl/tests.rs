//! Our client against our server, and both against what others write.

use std::num::NonZeroU32;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use ring::{digest, hmac, pbkdf2};

use super::{
    Acceptor, Attempt, Credentials, Exchange, Logins, MECHANISMS, Progress, Proof, Verifier,
};

const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

fn logins() -> Logins {
    let verifier = Verifier::new("pencil", b"0123456789abcdef", ROUNDS);
    let logins = [
        ("user".to_owned(), verifier.clone()),
        ("a=b,c".to_owned(), verifier),
    ];
    Logins::new(logins.into(), b"secret")
}

fn scram(user: &str, password: &str) -> Exchange {
    let credentials = Credentials {
        user: user.into(),
        secret: super::Secret::Password(password.into()),
    };
    Exchange::choose(&["SCRAM-SHA-256".to_owned()], credentials, "abc").unwrap()
}

/// Our client against our server; whether it was let in, and whether the client believes it.
fn converse(mechanism: &str, user: &str, password: &str) -> (Result<bool, &'static str>, bool) {
    let (logins, credentials) = (
        logins(),
        Credentials {
            user: user.into(),
            secret: super::Secret::Password(password.into()),
        },
    );
    let mut client = Exchange::choose(&[mechanism.to_owned()], credentials, "abc").unwrap();
    let mut server = Acceptor::new(&mechanism.to_lowercase()).unwrap();
    let mut said = client.initial().unwrap();
    loop {
        match server.respond(&said, &logins, "xyz") {
            Ok(Progress::Challenge(challenge)) => match client.answer(&challenge) {
                Ok(answer) => said = answer,
                Err(why) => return (Err(why), false),
            },
            Ok(Progress::Attempt(attempt)) => {
                let right = logins.admits(&attempt);
                match server.last_words().filter(|_| right) {
                    None => return (Ok(right), client.may_succeed()),
                    Some(words) => match client.answer(&words) {
                        Ok(answer) => said = answer,
                        Err(why) => return (Err(why), false),
                    },
                }
            }
            Ok(Progress::Done(_)) => return (Ok(true), client.may_succeed()),
            Err(why) => return (Err(why), client.may_succeed()),
        }
    }
}

#[test]
fn our_client_logs_in_with_the_right_password_only() {
    for mechanism in MECHANISMS {
        assert_eq!(converse(mechanism, "user", "pencil"), (Ok(true), true));
        assert_eq!(converse(mechanism, "a=b,c", "pencil"), (Ok(true), true));
        for (user, password) in [
            ("user", "pencil "),
            ("User", "pencil"),
            ("nobody", "pencil"),
        ] {
            assert_eq!(converse(mechanism, user, password).0, Ok(false), "{user}");
        }
    }
    assert!(Acceptor::new("LOGIN").is_none());
}

/// The example of RFC 7677 §3, in the form that `PostgreSQL` writes.
#[test]
fn a_verifier_is_read_and_written_as_postgresql_does() {
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    let verifier: Verifier = text.parse().unwrap();
    assert_eq!(verifier.to_string(), text);
    let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    assert_eq!(verifier, Verifier::new("pencil", &salt, ROUNDS));
    let logins = Logins::new([("user".to_owned(), verifier)].into(), b"");
    let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
    let step = server.respond(
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        &logins,
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    );
    let first =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(step, Ok(Progress::Challenge(first.into())));
    let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let Ok(Progress::Attempt(attempt)) = server.respond(last, &logins, "") else {
        panic!("no end");
    };
    assert!(logins.admits(&attempt));
    let proof = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(server.last_words(), Some(proof.into()));
    assert_eq!(
        server.respond(b"", &logins, ""),
        Ok(Progress::Done("user".into()))
    );
}

#[test]
fn who_acts_for_another_binds_a_channel_or_mixes_exchanges_is_refused() {
    let refused = |mechanism: &str, response: &str| {
        let mut server = Acceptor::new(mechanism).unwrap();
        server.respond(response.as_bytes(), &logins(), "x").is_err()
    };
    for response in [
        "root\0user\0pencil",
        "\0user",
        "\0user\0",
        "\0\0pencil",
        "\0user\0a\0b",
        "",
    ] {
        assert!(refused("PLAIN", response), "{response:?}");
    }
    assert!(!refused("PLAIN", "user\0user\0pencil"));
    for response in [
        "p=tls-unique,,n=user,r=a",
        "n,a=root,n=user,r=a",
        "n,,m=x,n=user,r=a",
        "n,,n=us=er,r=a",
        "n,,n=,r=a",
        "n,,n=user,r=",
        "n,,n=user",
        "",
    ] {
        assert!(refused("SCRAM-SHA-256", response), "{response:?}");
    }
    for last in [
        "c=biws,r=other,p=AAAA",
        "r=ax,p=AAAA",
        "c=biws,r=ax",
        "c=biws,r=ax,p=!",
    ] {
        let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
        server.respond(b"n,,n=user,r=a", &logins(), "x").unwrap();
        assert!(
            server.respond(last.as_bytes(), &logins(), "").is_err(),
            "{last}"
        );
        assert!(
            server.respond(last.as_bytes(), &logins(), "").is_err(),
            "over"
        );
    }
}

/// What proves the password of `user` in an exchange (RFC 5802 §3), by another hand than ours.
fn proof(exchange: &str) -> Vec<u8> {
    let mut salted = [0; 32];
    let (algorithm, salt) = (pbkdf2::PBKDF2_HMAC_SHA256, b"0123456789abcdef");
    pbkdf2::derive(algorithm, ROUNDS, salt, b"pencil", &mut salted);
    let signed = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
    };
    let client_key = signed(&salted, "Client Key");
    let stored = digest::digest(&digest::SHA256, client_key.as_ref());
    let signature = signed(stored.as_ref(), exchange);
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    pairs.map(|(key, signed)| key ^ signed).collect()
}

/// `y`: the client could bind, and believes that we cannot, which is so. `p=` asks for it.
#[test]
fn a_client_that_repeats_another_header_than_it_began_with_is_not_let_in() {
    for (header, repeated, is_in) in [
        ("n,,", "biws", true),
        ("y,,", "eSws", true),
        ("y,,", "biws", false),
        ("n,,", "eSws", false),
    ] {
        let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
        let first = format!("{header}n=user,r=a");
        let Ok(Progress::Challenge(challenge)) = server.respond(first.as_bytes(), &logins(), "x")
        else {
            panic!("{header}");
        };
        let challenge = String::from_utf8(challenge).unwrap();
        let without_proof = format!("c={repeated},r=ax");
        let proof = proof(&format!("n=user,r=a,{challenge},{without_proof}"));
        let last = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof));
        let Ok(Progress::Attempt(attempt)) = server.respond(last.as_bytes(), &logins(), "") else {
            panic!("{header} {repeated}: that is an attempt");
        };
        assert_eq!(logins().admits(&attempt), is_in, "{header} {repeated}");
    }
}

#[test]
fn a_login_that_does_not_exist_looks_like_one_that_does() {
    let first = |user: &str| {
        let mut server = Acceptor::new("SCRAM-SHA-256").unwrap();
        let said = format!("n,,n={user},r=a");
        match server.respond(said.as_bytes(), &logins(), "x") {
            Ok(Progress::Challenge(challenge)) => String::from_utf8(challenge).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first("nobody"), first("nobody"), "the salt stays");
    assert_ne!(first("nobody"), first("somebody"));
    assert_eq!(first("nobody").len(), first("user").len());
}

#[test]
fn names_and_passwords_are_the_same_composed_or_not_and_other_softwares_verifiers_count() {
    let (composed, decomposed) = ("b\u{e9}la", "be\u{301}la");
    let of = |verifier| Logins::new([(composed.to_owned(), verifier)].into(), b"");
    for (kept, typed) in [(composed, decomposed), (decomposed, composed)] {
        let logins = of(Verifier::new(kept, b"salt", ROUNDS));
        for name in [composed, decomposed] {
            let said = format!("\0{name}\0{typed}");
            let mut server = Acceptor::new("PLAIN").unwrap();
            let Ok(Progress::Attempt(attempt)) = server.respond(said.as_bytes(), &logins, "")
            else {
                panic!("no attempt");
            };
            assert_eq!(attempt.user, composed);
            assert!(logins.admits(&attempt), "{name:?} {typed:?}");
            let (mut client, mut server) =
                (scram(name, typed), Acceptor::new("SCRAM-SHA-256").unwrap());
            let mut said = client.initial().unwrap();
            while let Ok(Progress::Challenge(challenge)) = server.respond(&said, &logins, "xyz") {
                said = client.answer(&challenge).unwrap();
            }
            assert!(
                server
                    .last_words()
                    .is_some_and(|it| client.answer(&it).is_ok())
            );
        }
    }
    let raw = of(Verifier::of(decomposed, b"salt", ROUNDS));
    let attempt = |password: &str| Attempt {
        user: composed.to_owned(),
        proof: Proof::Password(password.to_owned()),
    };
    assert!(raw.admits(&attempt(decomposed)), "as it was written");
    assert!(!raw.admits(&attempt("bela")));
    for said in ["\0\u{7}\0x", "\0\u{ad}\0x"] {
        let mut server = Acceptor::new("PLAIN").unwrap();
        assert!(
            server.respond(said.as_bytes(), &raw, "").is_err(),
            "{said:?}"
        );
    }
}

#[test]
fn a_broken_verifier_is_an_error() {
    let right = Verifier::new("pencil", b"0123456789abcdef", ROUNDS).to_string();
    for wrong in [
        right.replace("4096", "4095"),
        right.replace("4096", "1000001"),
        right.replace("SHA-256", "SHA-1"),
        right.replace("$4096", ""),
        format!("{right}$"),
        right[..right.len() - 4].to_owned(),
        "pencil".into(),
        String::new(),
    ] {
        assert!(wrong.parse::<Verifier>().is_err(), "{wrong}");
    }
    assert_eq!(format!("{:?}", logins()), r#"{"a=b,c", "user"}"#);
}

proptest! {
    #[test]
    fn any_response_is_answered_or_refused(
        plain in proptest::bool::ANY,
        responses in proptest::collection::vec("[a-z,=npycrs\0]{0,20}", 1..4),
    ) {
        let mut server = Acceptor::new(MECHANISMS[usize::from(plain)]).unwrap();
        let logins = logins();
        for response in responses {
            if let Ok(Progress::Attempt(attempt)) = server.respond(response.as_bytes(), &logins, "x") {
                prop_assert!(attempt.proof != Proof::Scram(true));
            }
        }
    }
}
