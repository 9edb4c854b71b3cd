//! Changes one after the other, twice, or of which nobody knows whether they are on disk.

use super::*;

#[test]
fn of_keys_that_are_rolled_over_in_a_row_each_is_good_until_shortly_after_the_next_was_seen() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &key(1), "a", START);
    for number in 2..=4 {
        let told = book.announce(&key(number - 1), &key(number), START);
        assert_eq!(told, Announced::Noted);
    }
    book = again(&book);
    let known =
        |book: &Book, number, now| book.standing(&key(number), now) == Standing::Known(&vm7);
    assert!((1..=4).all(|number| known(&book, number, START)));
    let later = START.after(GRACE);
    book.seen(&key(4), later);
    assert_eq!(
        [1, 2, 3, 4].map(|number| known(&book, number, later)),
        [false, false, true, true]
    );
    assert_eq!(book.announce(&key(4), &key(1), later), Announced::Taken);
    for number in 5..40 {
        book.announce(&key(number - 1), &key(number), later);
    }
    let good = (1..40)
        .filter(|number| known(&book, *number, later))
        .count();
    assert!((3..=8).contains(&good), "{good}");
}

#[test]
fn whoever_is_revoked_twice_is_told_so() {
    let (mut book, digest) = invited("vm7");
    let vm7 = name("vm7");
    book.redeem(&vm7, digest, &key(1), "a", START);
    book.revoke(&vm7, START).unwrap();
    let before = book.clone();
    let told = book.revoke(&vm7, START.after(DAY)).unwrap_err();
    assert!(told.contains("vm7 has been revoked since 2026"), "{told}");
    assert_eq!(book, before);
    let told = book.revoke(&name("vm8"), START).unwrap_err();
    assert!(told.contains("nothing is known of vm8"), "{told}");
}

/// A write failed, and nobody knows how far it came.
#[test]
fn of_two_states_of_which_nobody_knows_which_one_is_on_disk_nobody_gets_in_who_is_not_in_both() {
    let (mut book, digest) = invited("vm7");
    let (vm7, vm8) = (name("vm7"), name("vm8"));
    let kept = |book: &Book, act: &dyn Fn(&mut Book)| {
        let mut changed = book.clone();
        act(&mut changed);
        again(&book.clone().stricter(&changed))
    };
    let before = book.clone();
    let redeemed = kept(&book, &|book| {
        let redeemed = book.redeem(&vm7, digest, &key(1), "a", START);
        assert_eq!(redeemed, Redeemed::Enrolled);
    });
    assert_eq!(redeemed, before, "not in, and the line is good");
    let other = Secret::made().unwrap().digest(&vm8);
    let invited = kept(&book, &|book| {
        book.invite(&vm8, other, DAY, START).unwrap();
    });
    assert_eq!(invited, before);
    let revoked = kept(&book, &|book| book.revoke(&vm7, START).unwrap());
    let offered = revoked.offered(&vm7, digest, &key(1), START);
    assert_eq!(offered, Offered::Unknown);

    book.redeem(&vm7, digest, &key(1), "a", START);
    let before = book.clone();
    let announced = kept(&book, &|book| {
        book.announce(&key(1), &key(2), START);
    });
    assert_eq!(announced, before);
    for act in [
        &|book: &mut Book| book.revoke(&name("vm7"), START).unwrap(),
        &|book: &mut Book| book.forget(&name("vm7")).unwrap(),
    ] as [&dyn Fn(&mut Book); 2]
    {
        let ended = kept(&book, act);
        assert_ne!(ended.standing(&key(1), START), Standing::Known(&vm7));
        let back = kept(&ended, &|book| {
            book.forget(&name("vm7")).unwrap_or_default();
        });
        assert_eq!(
            back.standing(&key(1), START),
            ended.standing(&key(1), START)
        );
    }
    book.announce(&key(1), &key(2), START);
    let seen = kept(&book, &|book| book.seen(&key(2), START));
    for number in [1, 2] {
        assert_eq!(seen.standing(&key(number), START), Standing::Known(&vm7));
    }
}
