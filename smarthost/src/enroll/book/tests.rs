use proptest::prelude::*;
use relay::enroll::Secret;

use super::{
    super::machine::{GRACE, REMEMBERED},
    *,
};

mod changes;

const DAY: Duration = Duration::from_hours(24);
const START: Timestamp = Timestamp::from_secs(1_795_333_912);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn key(number: u8) -> Pin {
    Pin::KeySha256([number; 32])
}

/// A book with an open line, and what the line's secret becomes.
fn invited(text: &str) -> (Book, Digest) {
    let mut book = Book::default();
    let digest = invite(&mut book, text);
    (book, digest)
}

fn invite(book: &mut Book, text: &str) -> Digest {
    let digest = Secret::made().unwrap().digest(&name(text));
    book.invite(&name(text), digest, DAY, START).unwrap();
    digest
}

/// As a restart reads what was written.
fn again(book: &Book) -> Book {
    Book::read(&serde_json::to_vec(book).unwrap()).unwrap()
}

#[test]
fn a_line_lets_one_key_in_for_a_day_and_that_key_again_however_late() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    let late = START.after(DAY);
    assert_eq!(
        book.clone().redeem(&vm7, digest, &key(1), "a", late),
        Redeemed::Expired
    );
    let other = Secret::made().unwrap().digest(&vm7);
    assert_eq!(
        book.redeem(&vm7, other, &key(1), "a", START),
        Redeemed::Wrong
    );
    let vm8 = name("vm8");
    assert_eq!(
        book.redeem(&vm8, digest, &key(1), "a", START),
        Redeemed::Wrong
    );
    let now = late.before(Duration::from_millis(1));
    for (at, offered) in [(now, Offered::Good), (late, Offered::Spent)] {
        assert_eq!(book.offered(&vm7, digest, &key(1), at), offered);
    }
    assert_eq!(
        book.redeem(&vm7, digest, &key(1), "a", now),
        Redeemed::Enrolled
    );
    for (number, offered) in [(1, Offered::Good), (2, Offered::Spent)] {
        assert_eq!(book.offered(&vm7, digest, &key(number), late), offered);
    }
    assert_eq!(book.offered(&vm8, digest, &key(1), now), Offered::Unknown);
    let mut book = again(&book);
    assert_eq!(book.standing(&key(1), now), Standing::Known(&vm7));
    let later = late.after(DAY * 100);
    assert_eq!(
        book.redeem(&vm7, digest, &key(1), "a", later),
        Redeemed::Again
    );
    assert_eq!(book.untold().count(), 0);
}

#[test]
fn another_key_with_the_same_line_is_not_let_in_and_told_once() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &key(1), "192.0.2.1", START);
    for count in 1..4u64 {
        let redeemed = book.redeem(&vm7, digest, &key(2), "192.0.2.66", START);
        assert_eq!(redeemed, Redeemed::UsedTwice(key(1)));
        book = again(&book);
        assert_eq!(book.untold().count(), usize::from(count == 1));
        book.told(&vm7);
        let doubled: Vec<_> = book.doubled(DAY, START).collect();
        assert_eq!((doubled[0].key, doubled[0].twice.count), (&key(1), count));
    }
    assert_eq!(book.standing(&key(2), START), Standing::Unknown);
    assert_eq!(book.standing(&key(1), START), Standing::Known(&vm7));
    assert_eq!(book.doubled(DAY, START.after(DAY)).count(), 0);
    assert_eq!(book.list(START)[0].twice.as_ref().unwrap().count, 3);
}

#[test]
fn a_revoked_machine_comes_back_with_a_new_line_and_a_new_key_alone() {
    let (mut book, first) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, first, &key(1), "a", START);
    book.revoke(&vm7, START).unwrap();
    let mut book = again(&book);
    assert_eq!(book.standing(&key(1), START), Standing::Ended(&vm7));
    assert_eq!(
        book.redeem(&vm7, first, &key(1), "a", START),
        Redeemed::Wrong
    );
    let second = invite(&mut book, "vm7");
    assert_eq!(
        book.redeem(&vm7, second, &key(1), "a", START),
        Redeemed::Revoked
    );
    assert_eq!(
        book.redeem(&vm7, second, &key(2), "a", START),
        Redeemed::Enrolled
    );
    assert_eq!(book.standing(&key(1), START), Standing::Ended(&vm7));
    assert_eq!(book.standing(&key(2), START), Standing::Known(&vm7));
    book.forget(&vm7).unwrap();
    assert_eq!(book.standing(&key(1), START), Standing::Unknown);
    assert!(!book.is_used() && book.forget(&vm7).is_err() && book.revoke(&vm7, START).is_err());
}

#[test]
fn a_line_that_was_not_used_is_revoked_too_and_a_new_one_ends_the_old_one() {
    let (mut book, first) = invited("vm7");
    let vm7 = name("vm7");
    let second = invite(&mut book, "vm7");
    assert_eq!(
        book.redeem(&vm7, first, &key(1), "a", START),
        Redeemed::Wrong
    );
    book.revoke(&vm7, START).unwrap();
    assert_eq!(
        book.redeem(&vm7, second, &key(1), "a", START),
        Redeemed::Wrong
    );
}

#[test]
fn a_new_line_of_a_machine_that_is_in_puts_another_key_in_its_place_once_that_is_used() {
    let (mut book, first) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, first, &key(1), "a", START);
    let second = Secret::made().unwrap().digest(&vm7);
    let before = book.invite(&vm7, second, DAY, START).unwrap();
    assert_eq!(before.unwrap().key, Some(key(1)));
    for redeemed in [Redeemed::Enrolled, Redeemed::Again] {
        assert_eq!(
            book.redeem(&vm7, second, &key(2), "b", START),
            redeemed,
            "the other relay of this machine may not know the new key yet"
        );
        book = again(&book);
        assert_eq!(book.standing(&key(1), START), Standing::Known(&vm7));
        assert_eq!(book.standing(&key(2), START), Standing::Known(&vm7));
    }
    assert_eq!(
        book.redeem(&vm7, second, &key(3), "c", START),
        Redeemed::UsedTwice(key(2)),
    );
    let mut used = book.clone();
    used.seen(&key(2), START);
    let later = START.after(GRACE);
    assert_eq!(used.standing(&key(1), later), Standing::Ended(&vm7));
    // The new line was in other hands: another one, which the machine uses with its own key.
    let third = invite(&mut book, "vm7");
    assert_eq!(
        book.redeem(&vm7, third, &key(1), "a", START),
        Redeemed::Enrolled
    );
    assert_eq!(book.standing(&key(1), START), Standing::Known(&vm7));
    assert_eq!(book.standing(&key(2), START), Standing::Ended(&vm7));
}

#[test]
fn a_key_is_one_machines_alone() {
    let (mut book, digest) = invited("vm7");
    book.redeem(&name("vm7"), digest, &key(1), "a", START);
    let digest = invite(&mut book, "vm8");
    assert_eq!(
        book.redeem(&name("vm8"), digest, &key(1), "a", START),
        Redeemed::Taken(name("vm7"))
    );
    assert_eq!(
        book.redeem(&name("vm8"), digest, &key(2), "a", START),
        Redeemed::Enrolled
    );
    assert_eq!(book.announce(&key(2), &key(1), START), Announced::Taken);
    assert_eq!(book.announce(&key(3), &key(4), START), Announced::Unknown);
}

#[test]
fn the_next_key_is_good_once_it_is_told_and_the_old_one_until_shortly_after_it_was_seen() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &key(1), "a", START);
    for next in [3, 2, 2] {
        assert_eq!(book.announce(&key(1), &key(next), START), Announced::Noted);
    }
    let mut book = again(&book);
    assert_eq!(
        book.standing(&key(3), START),
        Standing::Unknown,
        "another one was told since"
    );
    let mut now = START.after(DAY * 30);
    assert_eq!(book.standing(&key(1), now), Standing::Known(&vm7));
    assert!(book.is_next(&key(2)) && !book.is_next(&key(1)));
    book.seen(&key(2), now);
    assert!(!book.is_next(&key(2)));
    assert_eq!(book.standing(&key(1), now), Standing::Known(&vm7));
    now = now.after(GRACE);
    let mut book = again(&book);
    assert_eq!(book.standing(&key(1), now), Standing::Ended(&vm7));
    assert_eq!(book.standing(&key(2), now), Standing::Known(&vm7));
    assert_eq!(
        book.redeem(&vm7, digest, &key(2), "a", now),
        Redeemed::Again,
        "the line is this machine's, whichever key it has"
    );
    assert_eq!(
        book.announce(&key(2), &key(1), now),
        Announced::Taken,
        "no way back"
    );
    assert_eq!(
        book.announce(&key(1), &key(5), now),
        Announced::Unknown,
        "an old key tells nothing"
    );
    assert_eq!(book.announce(&key(2), &key(6), now), Announced::Noted);
    assert_eq!(
        book.announce(&key(6), &key(7), now),
        Announced::Noted,
        "whoever tells a next key under a key uses it"
    );
    let later = now.after(GRACE);
    assert_eq!(book.standing(&key(6), later), Standing::Known(&vm7));
    assert_eq!(book.standing(&key(2), later), Standing::Ended(&vm7));
}

#[test]
fn there_is_an_end_to_lines_and_to_what_is_remembered() {
    let mut book = Book::default();
    let digest = Secret::made().unwrap().digest(&name("x"));
    for number in 0..LINES {
        let name = name(&format!("vm{number}"));
        book.invite(&name, digest, DAY, START).unwrap();
    }
    assert!(book.invite(&name("more"), digest, DAY, START).is_err());
    assert!(book.invite(&name("vm1"), digest, DAY, START).is_ok());
    let later = START.after(DAY + REMEMBERED);
    assert!(book.invite(&name("more"), digest, DAY, later).is_ok());
    assert_eq!(
        book.list(later).len(),
        1,
        "those that expired long ago went"
    );
}

fn numbered(number: usize) -> Pin {
    let mut digits = [0xff; 32];
    digits[..8].copy_from_slice(&(number as u64).to_be_bytes());
    Pin::KeySha256(digits)
}

#[test]
fn no_number_of_revoked_keys_makes_one_of_them_forgotten_and_revoking_is_always_possible() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &key(1), "a", START);
    for number in 0..ENDED {
        let name = name(&format!("gone{number}"));
        let key = numbered(number);
        book.ended.push(Ended {
            key,
            name,
            at: START,
            revoked: true,
        });
    }
    let digest = Secret::made().unwrap().digest(&name("vm8"));
    let why = book.invite(&name("vm8"), digest, DAY, START).unwrap_err();
    assert!(why.contains("forget names"), "{why}");
    assert!(book.invite(&vm7, digest, DAY, START).is_ok(), "who is in");
    book.revoke(&vm7, START).unwrap();
    for key in [key(1), numbered(0), numbered(ENDED - 1)] {
        assert!(matches!(book.standing(&key, START), Standing::Ended(_)));
    }
    for number in 0..=1 {
        book.forget(&name(&format!("gone{number}"))).unwrap();
    }
    let digest = invite(&mut book, "vm8");
    assert_eq!(
        book.redeem(&name("vm8"), digest, &key(1), "a", START),
        Redeemed::Revoked
    );
    assert_eq!(
        book.redeem(&name("vm8"), digest, &key(2), "a", START),
        Redeemed::Enrolled
    );
}

#[test]
fn a_machine_that_rolls_its_key_over_for_ever_crowds_out_nothing_of_others() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &numbered(0), "a", START);
    let other = invite(&mut book, "vm8");
    book.redeem(&name("vm8"), other, &key(1), "a", START);
    book.revoke(&name("vm8"), START).unwrap();
    for number in 0..100 {
        let [old, next] = [number, number + 1].map(numbered);
        assert_eq!(book.announce(&old, &next, START), Announced::Noted);
        book.seen(&next, START);
    }
    assert_eq!(book.ended.len(), REPLACED + 1);
    let later = START.after(GRACE);
    let ended = |number| book.standing(&numbered(number), later) == Standing::Ended(&vm7);
    assert!(ended(99) && ended(100 - REPLACED) && !ended(0));
    assert_eq!(book.standing(&key(1), later), Standing::Ended(&name("vm8")));
}

/// What anybody may do, in any order.
#[derive(Clone, Debug)]
enum Step {
    Invite(u8),
    /// With which line's secret, and which key.
    Redeem(u8, u8, u8),
    Announce(u8, u8),
    Seen(u8),
    Revoke(u8),
    Forget(u8),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (name, key) = (0u8..3, 1u8..6);
    prop_oneof![
        name.clone().prop_map(Step::Invite),
        (name.clone(), 0u8..3, key.clone()).prop_map(|(a, b, c)| Step::Redeem(a, b, c)),
        (key.clone(), key.clone()).prop_map(|(a, b)| Step::Announce(a, b)),
        key.prop_map(Step::Seen),
        name.clone().prop_map(Step::Revoke),
        name.prop_map(Step::Forget),
        (0u8..30).prop_map(Step::Wait),
    ]
}

proptest! {
    /// However it goes: a key is one machine's at most, a key that was revoked gets in nowhere, and
    /// nobody gets in without the secret of his name.
    #[test]
    fn nobody_is_in_whom_no_line_let_in(steps in prop::collection::vec(step(), 1..60)) {
        let names = ["vm0", "vm1", "vm2"].map(name);
        let mut book = Book::default();
        let mut secrets = [None; 3];
        let mut revoked: Vec<Pin> = Vec::new();
        let mut now = START;
        for step in steps {
            let of = |number: u8| &names[usize::from(number)];
            match step {
                Step::Invite(at) => {
                    let digest = Secret::made().unwrap().digest(of(at));
                    book.invite(of(at), digest, DAY, now).unwrap();
                    secrets[usize::from(at)] = Some(digest);
                }
                Step::Redeem(at, of_line, number) => {
                    let Some(digest) = secrets[usize::from(of_line)] else { continue };
                    let before = book.standing(&key(number), now) == Standing::Known(of(at));
                    let redeemed = book.redeem(of(at), digest, &key(number), "a", now);
                    let is_in = book.standing(&key(number), now) == Standing::Known(of(at));
                    if redeemed == Redeemed::Enrolled {
                        prop_assert!(at == of_line && is_in && !revoked.contains(&key(number)));
                    } else {
                        prop_assert_eq!(is_in, before, "{:?}", redeemed);
                    }
                }
                Step::Announce(old, next) => {
                    let known = matches!(book.standing(&key(old), now), Standing::Known(_));
                    let noted = book.announce(&key(old), &key(next), now) == Announced::Noted;
                    prop_assert!(known || !noted);
                }
                Step::Seen(number) => book.seen(&key(number), now),
                Step::Revoke(at) => {
                    let is_in = |number: &u8| {
                        book.standing(&key(*number), now) == Standing::Known(of(at))
                    };
                    let keys: Vec<Pin> = (1..6).filter(is_in).map(key).collect();
                    if book.revoke(of(at), now).is_ok() {
                        revoked.extend(keys);
                    }
                }
                Step::Forget(at) => {
                    let _ = book.forget(of(at));
                    let is_known = |pin: &Pin| book.ended.iter().any(|it| it.key == *pin);
                    revoked.retain(is_known);
                }
                Step::Wait(hours) => now = now.after(Duration::from_hours(hours.into())),
            }
            book = again(&book);
            for number in 1..6 {
                let of_key = book.machines.iter().filter(|(_, it)| it.has(&key(number), now));
                let owners: Vec<_> = of_key.map(|(name, _)| name.clone()).collect();
                prop_assert!(owners.len() <= 1, "{:?}", owners);
                prop_assert!(owners.is_empty() || !revoked.contains(&key(number)));
            }
        }
    }
}
