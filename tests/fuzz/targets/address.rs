//! Addresses and lists of addresses, as commands and header fields bring them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::address::{
    Address,
    list::{self, Target},
};

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = str::from_utf8(input)
        && let Ok(address) = Address::parse(text)
    {
        check(&address);
        assert_eq!(address.as_str(), text, "an address is kept as it was written");
        let name = address.local_name();
        // `""` can be written, but nobody can be named so.
        let rebuilt = Address::new(&name, address.domain());
        assert!(name.is_empty() || rebuilt.is_ok_and(|again| again.local_name() == name), "{text}");
    }
    let list = list::parse(input);
    for entry in &list.entries {
        assert!(input.get(entry.spec.clone()).is_some(), "the place is inside the field");
        match &entry.target {
            Target::Address(address) => check(address),
            Target::Local(name) => assert!(!name.is_empty() && !name.chars().any(char::is_control)),
        }
    }
});

fn check(address: &Address) {
    assert!(!address.as_str().chars().any(char::is_control));
    assert_eq!(Address::parse(address.as_str()).as_ref(), Ok(address));
    assert_eq!(format!("{}@{}", address.local_part(), address.domain()), address.as_str());
}
