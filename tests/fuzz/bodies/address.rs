//! Addresses and lists of addresses, as commands and header fields bring them.
use mail::address::{Address, Domain, Mailbox, list, quote_local};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(address) = Address::parse(text) {
            assert_eq!(
                address.as_str(),
                text,
                "an address is kept as it was written"
            );
        }
        if let Ok(mailbox) = Mailbox::parse(text) {
            check(&mailbox);
        }
        if let Ok(domain) = Domain::parse(text) {
            assert_eq!(
                Domain::parse(domain.as_str()).as_ref(),
                Ok(&domain),
                "one spelling"
            );
        }
        if let Ok(mailbox) = list::one(text) {
            check(&mailbox);
        }
    }
    let list = list::parse(input);
    for entry in &list.entries {
        assert!(
            input.get(entry.spec.clone()).is_some(),
            "the place is inside the field"
        );
        check(&entry.target);
    }
}

/// It can be put on the wire as it stands, and means the same there.
fn check(mailbox: &Mailbox) {
    let written = mailbox.to_string();
    assert!(!written.chars().any(char::is_control), "{written:?}");
    let again = Mailbox::parse(&written);
    assert_eq!(again.as_ref(), Ok(mailbox), "{written}");
    assert_eq!(
        again.map(|again| again.key()),
        Ok(mailbox.key()),
        "{written}"
    );
    let Mailbox::Address(address) = mailbox else {
        return;
    };
    assert_eq!(
        format!("{}@{}", address.local_part(), address.written_domain()),
        written
    );
    // `""` can be written, but nobody can be named so.
    let name = address.local_name();
    let quoted = quote_local(&name).len() <= mail::limits::LOCAL_PART;
    if !name.is_empty() && quoted {
        let rebuilt = Address::new(&name, address.written_domain());
        assert_eq!(
            rebuilt.map(|again| again.local_name()),
            Ok(name),
            "{written}"
        );
    }
}
