use super::*;

/// The key of RFC 8463 appendix A.2.
fn rfc_key() -> Key {
    let seed = BASE64_STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=");
    let der = [
        &b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..],
        &seed.unwrap(),
    ];
    let der = BASE64_STANDARD.encode(der.concat());
    Key::read(&format!(
        "-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n"
    ))
    .unwrap()
}

fn hashed(message: &str) -> Hashed {
    let mut hashing = Hashing::default();
    for piece in message.as_bytes().chunks(7) {
        hashing.feed(piece).unwrap();
    }
    hashing.finish()
}

const RFC: &str = "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

#[test]
fn the_signature_of_rfc_8463_comes_out() {
    let hashed = hashed(RFC);
    let body = BASE64_STANDARD.encode(hashed.body);
    assert_eq!(body, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let own = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
               q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
               bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    let names = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "from",
        "subject",
        "date",
    ];
    let signature = rfc_key().sign(&hashed.signed(&names, own)).unwrap();
    assert_eq!(
        BASE64_STANDARD.encode(signature),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn bodies_with_blanks_at_their_ends_have_the_hash_that_others_compute() {
    for (body, expected) in [
        (
            "Backup done.\r\n     \r\n\r\n",
            "jNVMe7KBJyMZenp7WkKTSSbE5wd553dSbvT7HlzPxco=",
        ),
        (
            "Line one \t two  \r\n \r\nend\t\r\n",
            "4TXFGmn+DlWL5Y3h4CQ8dZWhk6gT094mYMLhkBPZUss=",
        ),
        ("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ] {
        let hashed = hashed(&format!("A: b\r\n\r\n{body}"));
        assert_eq!(BASE64_STANDARD.encode(hashed.body), expected, "{body:?}");
    }
}

fn signer(domains: &[&str]) -> Signer {
    let key = |domain: &&str| SigningKey {
        domain: Domain::name(domain).unwrap(),
        selector: "s1".to_owned(),
        key: rfc_key(),
    };
    Signer(domains.iter().map(key).collect())
}

#[test]
fn a_key_signs_for_its_own_domain_where_one_address_says_so() {
    let signer = signer(&[
        "example.org",
        "other.example",
        "example.org",
        "xn--bcher-kva.example",
    ]);
    for (from, keys) in [
        ("From: <a@example.org>", Some(2)),
        ("FROM : \"A, B\" <a@EXAMPLE.org> (x)", Some(2)),
        ("From:\r\n\tA\r\n <a@other.example>", Some(1)),
        ("From: a@bücher.example", Some(1)),
        ("From: <a@sub.example.org>", Some(0)),
        ("From: <a@aexample.org>", Some(0)),
        ("From: <a@elsewhere.example>, b@sub.example.org", Some(0)),
        ("From: root", Some(0)),
        ("Sender: <a@example.org>", Some(0)),
        ("X: y", Some(0)),
        ("From: <a@example.org>, <b@example.org>", None),
        ("From: <a@elsewhere.example>, <b@example.org>", None),
        ("From: <a@example.org>\r\nFrom: <x@elsewhere.example>", None),
        ("From: g: a@example.org, b@c.example;", None),
    ] {
        let found = signer.keys(&Header::parse(format!("{from}\r\n").as_bytes()));
        assert_eq!(found.ok().map(|keys| keys.len()), keys, "{from}");
    }
}

#[test]
fn each_sealed_field_is_named_once_more_than_there_are_and_no_line_is_long() {
    let signer = signer(&["example.org"]);
    let message = "Received: x\r\nFrom: a@example.org\r\nSubject: one\r\nsubject: two\r\nComments: x\r\nList-Id: <l>\r\n\r\nbody\r\n";
    let field = hashed(message).signature(&signer.0[0], Timestamp::from_secs(1_795_000_000));
    let text = String::from_utf8(field.unwrap()).unwrap();
    assert!(
        text.ends_with("\r\n") && text.lines().all(|line| line.len() < 79),
        "{text}"
    );
    let header = Header::parse(text.as_bytes());
    assert_eq!(header.fields().len(), 1);
    let value = String::from_utf8(header.fields()[0].value()).unwrap();
    let tag = |name: &str| {
        let mut tags = value.split(';').filter_map(|it| it.trim().split_once('='));
        let found = tags.find(|(known, _)| *known == name).unwrap();
        found.1.split_whitespace().collect::<String>()
    };
    let named: Vec<String> = tag("h").split(':').map(str::to_owned).collect();
    let count = |name: &str| named.iter().filter(|it| *it == name).count();
    let counts = [
        ("from", 2),
        ("subject", 3),
        ("cc", 1),
        ("list-id", 1),
        ("comments", 0),
        ("received", 0),
        ("sender", 0),
    ];
    for (name, expected) in counts {
        assert_eq!(count(name), expected, "{name}: {named:?}");
    }
    assert_eq!(
        (tag("d"), tag("t")),
        ("example.org".to_owned(), "1795000000".to_owned())
    );
    let many = format!(
        "From: a@example.org\r\n{}\r\n",
        "To: b@c.example\r\n".repeat(300)
    );
    assert!(
        hashed(&many)
            .signature(&signer.0[0], Timestamp::from_secs(1))
            .is_err()
    );
}
