use proptest::prelude::*;

use super::*;

fn ours(secrets: &[&str]) -> Srs {
    let secrets: Vec<_> = secrets.iter().map(|&secret| secret.to_owned()).collect();
    Srs::new(Domain::name("example.com").unwrap(), &secrets)
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// 2020-01-01 00:01:00 UTC.
const THEN: Timestamp = Timestamp::from_secs(1_577_836_860);

fn days(days: u64) -> Timestamp {
    Timestamp::from_secs(THEN.as_secs() + days * DAY)
}

fn forwarded(srs: &Srs, sender: &Address) -> Option<Address> {
    srs.forward(sender, THEN).map(|it| it.address)
}

fn forward(sender: &str) -> Option<String> {
    let forwarded = forwarded(&ours(&["tops3cr3t"]), &address(sender));
    forwarded.map(|address| address.to_string())
}

#[test]
fn addresses_are_those_of_other_implementations_with_the_same_secret() {
    for (sender, forwarded) in [
        (
            "test@otherdomain.com",
            "SRS0=vmyz=2W=otherdomain.com=test@example.com",
        ),
        (
            "sender@otherdomain.com",
            "SRS0=9KJ-=2W=otherdomain.com=sender@example.com",
        ),
        (
            "SRS0=opaque+string@otherdomain.com",
            "SRS1=chaI=otherdomain.com==opaque+string@example.com",
        ),
    ] {
        assert_eq!(forward(sender).as_deref(), Some(forwarded));
        let back = ours(&["tops3cr3t"]).target(&address(forwarded));
        assert_eq!(back, Ok(address(sender)));
    }
    assert_eq!(forward("test@example.com"), None, "ours");
    let plus = address("SRS0=9KJ+=2W=otherdomain.com=sender@example.com");
    assert!(ours(&["tops3cr3t"]).target(&plus).is_ok());
}

#[test]
fn a_second_forwarder_sends_what_comes_back_to_the_first() {
    let (first, second) = (
        ours(&["one"]),
        Srs::new(Domain::name("b.example").unwrap(), &["two".into()]),
    );
    let third = Srs::new(Domain::name("c.example").unwrap(), &["three".into()]);
    let at_first = forwarded(&first, &address("Jane@ham.example")).unwrap();
    let at_second = forwarded(&second, &at_first).unwrap();
    let at_third = forwarded(&third, &at_second).unwrap();
    assert!(at_third.as_str().starts_with("SRS1="), "{at_third}");
    assert!(at_third.as_str().contains("=example.com=="), "{at_third}");
    assert_eq!(
        third.target(&at_third).as_ref(),
        Ok(&at_first),
        "the one between is left out"
    );
    assert_eq!(second.target(&at_second).as_ref(), Ok(&at_first));
    assert_eq!(first.target(&at_first), Ok(address("Jane@ham.example")));
    assert_eq!(
        third.check(&at_third, days(300)),
        Ok(()),
        "the first knows how old it is"
    );
    assert_eq!(first.check(&at_first, days(300)), Err(Wrong::Expired));
}

/// The clock of this server is behind: what is ours waits until it is right, and is not refused.
#[test]
fn what_was_made_on_a_day_that_is_still_to_come_is_refused_for_now_alone() {
    let srs = ours(&["one"]);
    let made = forwarded(&srs, &address("jane@ham.example")).unwrap();
    for behind in [2, 20, 400] {
        let wrong = srs.check(&made, Timestamp::from_secs(THEN.as_secs() - behind * DAY));
        assert_eq!(wrong, Err(Wrong::Early), "{behind} days");
    }
    assert!(Wrong::Early.is_temporary() && !Wrong::Expired.is_temporary());
    let forged = address("SRS0=abcd=ZZ=ham.example=jane@example.com");
    assert_eq!(srs.check(&forged, THEN), Err(Wrong::Forged));
}

/// Otherwise its mail would go to ourselves, and wait there for its lifetime.
#[test]
fn an_address_that_names_ourselves_as_the_first_forwarder_is_unwrapped_or_leads_nowhere() {
    let srs = ours(&["one"]);
    let key = &srs.secrets[0];
    let around = |rest: &str| {
        let hash = hash(key, &["example.com", rest]);
        address(&format!("SRS1={hash}=example.com={rest}@example.com"))
    };
    let made = forwarded(&srs, &address("jane@ham.example")).unwrap();
    let ours_again = around(&made.local_name()[4..]);
    assert_eq!(srs.target(&ours_again), Ok(address("jane@ham.example")));
    assert_eq!(srs.check(&ours_again, days(300)), Err(Wrong::Expired));
    let forged = around("=abcd=2W=ham.example=jane");
    assert_eq!(srs.target(&forged), Err(Wrong::Forged));
    assert_eq!(srs.check(&forged, THEN), Err(Wrong::Forged));
    // As it comes back to be forwarded once more.
    let back = |it: &Address| address(&format!("{}@far.example", it.local_part()));
    assert_eq!(forwarded(&srs, &back(&ours_again)), Some(made));
    let other = forwarded(&srs, &back(&forged)).unwrap();
    assert_eq!(srs.target(&other), Ok(back(&forged)), "whoever that is");
}

#[test]
fn what_was_folded_on_the_way_comes_home_and_what_was_forged_or_is_old_does_not() {
    let srs = ours(&["new", "old"]);
    let made = forwarded(&ours(&["old"]), &address("Jane@Ham.example")).unwrap();
    let folded = address(&made.as_str().to_lowercase());
    assert_eq!(srs.target(&folded), Ok(address("jane@ham.example")));
    for (age, taken) in [
        (0, true),
        (1, true),
        (21, true),
        (22, false),
        (60, false),
        (1000, false),
    ] {
        assert_eq!(srs.check(&folded, days(age)).is_ok(), taken, "{age}");
    }
    let yesterday = Timestamp::from_secs(THEN.as_secs() - DAY);
    assert_eq!(
        srs.check(&made, yesterday),
        Ok(()),
        "a clock that is behind"
    );
    let text = made.to_string();
    let start = "SRS0=".len();
    for (at, c) in text
        .char_indices()
        .take_while(|(_, c)| *c != '@')
        .skip(start)
    {
        let mut other = text.clone();
        let new = if c.eq_ignore_ascii_case(&'x') {
            "y"
        } else {
            "x"
        };
        other.replace_range(at..=at, new);
        let Ok(other) = Address::parse(&other) else {
            continue;
        };
        let forged = srs.target(&other);
        assert!(forged.is_err(), "{other}: {forged:?}");
    }
    assert!(ours(&["third"]).target(&made).is_err());
    assert!(ours(&[]).target(&made).is_err());
    assert_eq!(forwarded(&ours(&[]), &address("a@b.example")), None);
}

#[test]
fn only_tags_with_a_separator_in_our_domain_are_ours() {
    let srs = ours(&["x"]);
    for (text, is) in [
        ("SRS0=a@example.com", true),
        ("srs1-a@EXAMPLE.com", true),
        ("SRS0+a@example.com", true),
        ("SRS0a@example.com", false),
        ("SRS2=a@example.com", false),
        ("srs@example.com", false),
        ("SRS0=a@sub.example.com", false),
    ] {
        assert_eq!(srs.is_ours(&address(text)), is, "{text}");
    }
}

#[test]
fn odd_local_parts_come_back_as_they_were() {
    let srs = ours(&["x"]);
    for sender in [
        "\"a b\"@ham.example",
        "a=b=c@ham.example",
        "\"a@b\"@ham.example",
        "x+y@ham.example",
    ] {
        let forwarded = forwarded(&srs, &address(sender)).unwrap();
        assert_eq!(srs.target(&forwarded), Ok(address(sender)), "{forwarded}");
    }
}

#[test]
fn a_sender_whose_form_would_be_too_long_comes_back_by_a_token_for_as_long_as_others() {
    let srs = ours(&["x"]);
    let senders = [
        "bounce-123456789012345678901234567890-user@long-sub.example.net".to_owned(),
        format!("{}@ham.example", "a".repeat(64)),
        format!("SRS0=abcd=2W={}=x@first.example", "b".repeat(45)),
    ];
    for sender in senders.iter().map(|it| address(it)) {
        let first = srs.forward(&sender, THEN).unwrap();
        let made = &first.address;
        assert!(made.local_part().len() <= LONGEST, "{made}");
        assert!(made.as_str().starts_with("SRS0="), "{made}");
        assert!(first.by_token && srs.forward(&sender, THEN).as_ref() == Some(&first));
        for form in [made.clone(), address(&made.as_str().to_lowercase())] {
            assert_eq!(srs.target(&form), Ok(sender.clone()));
            assert_eq!(srs.check(&form, days(LIFETIME)), Ok(()));
            assert_eq!(srs.check(&form, days(LIFETIME + 1)), Err(Wrong::Expired));
        }
        // A server with the same secret that has not forwarded it, and one that has not.
        let elsewhere = ours(&["x"]);
        assert_eq!(elsewhere.check(made, THEN), Err(Wrong::Unknown));
        assert_eq!(elsewhere.check(made, days(60)), Err(Wrong::Expired));
        assert_eq!(ours(&["y"]).check(made, THEN), Err(Wrong::Forged));
        // As a second forwarder hands it on.
        let second = Srs::new(Domain::name("b.example").unwrap(), &["two".into()]);
        let there = forwarded(&second, made).unwrap();
        assert_eq!(second.target(&there).as_ref(), Ok(made));
    }
}

proptest! {
    #[test]
    fn no_bytes_of_strangers_lead_anywhere(local in "SRS[01][=+-][ -~]{0,50}") {
        let srs = ours(&["secret"]);
        if let Ok(address) = Address::new(&local, "example.com") {
            prop_assert!(srs.target(&address).is_err());
            prop_assert!(srs.check(&address, THEN).is_err());
        }
        if let Ok(sender) = Address::new(&local, "ham.example") {
            let made = forwarded(&srs, &sender);
            prop_assert!(made.is_some_and(|made| srs.target(&made).is_ok()));
        }
    }
}
