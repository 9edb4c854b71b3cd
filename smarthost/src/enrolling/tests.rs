use std::fs;

use relay::enroll::Secret;

use super::*;
use crate::enroll::Redeemed;

#[test]
fn what_is_told_is_on_disk_and_what_cannot_be_written_has_not_happened() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    fs::create_dir(&state).unwrap();
    let (vm7, key) = (Name::parse("vm7").unwrap(), Pin::KeySha256([1; 32]));
    let digest = Secret::made().unwrap().digest(&vm7);
    let enrolled = Enrolled::open(&state);
    assert!(!enrolled.is_used());
    let now = clock::now();
    let invited = enrolled.change(|book| book.invite(&vm7, digest, DAY, now));
    invited.unwrap().unwrap();
    let redeem =
        |enrolled: &Enrolled| enrolled.change(|book| book.redeem(&vm7, digest, &key, "a", now));
    let away = directory.path().join("away");
    system::fs::put(&state, &away).unwrap();
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &state).unwrap();
    assert!(redeem(&enrolled).unwrap_err().contains("enrolled"));
    assert_eq!(enrolled.look_up(&key), Found::Unknown);
    fs::remove_file(&state).unwrap();
    system::fs::put(&away, &state).unwrap();
    assert_eq!(Enrolled::open(&state).look_up(&key), Found::Unknown);
    assert_eq!(redeem(&enrolled), Ok(Redeemed::Enrolled));
    for enrolled in [enrolled, Enrolled::open(&state)] {
        assert_eq!(enrolled.look_up(&key), Found::Known("vm7".to_owned()));
    }
}

const DAY: Duration = Duration::from_hours(24);

/// As whom a key is known.
fn known(enrolled: &Enrolled, number: u8) -> Found {
    enrolled.look_up(&Pin::KeySha256([number; 32]))
}

fn is_in(enrolled: &Enrolled, number: u8) -> bool {
    known(enrolled, number) == Found::Known(format!("vm{number}"))
}

/// Lets a machine in, with a line of its own.
fn enrol(enrolled: &Enrolled, number: u8) -> Result<Redeemed, String> {
    let name = Name::parse(&format!("vm{number}")).unwrap();
    let digest = Secret::made().unwrap().digest(&name);
    let (key, now) = (Pin::KeySha256([number; 32]), clock::now());
    enrolled.change(|book| book.invite(&name, digest, DAY, now).unwrap())?;
    enrolled.change(|book| book.redeem(&name, digest, &key, "a", now))
}

/// A state directory in which one machine is in, with the file and its copy.
fn state() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let enrolled = Enrolled::open(directory.path());
    enrolled.tend();
    assert_eq!(enrol(&enrolled, 1), Ok(Redeemed::Enrolled));
    let file = file(directory.path());
    (directory, file)
}

fn texts(enrolled: &Enrolled) -> Vec<String> {
    let news = enrolled.news_of_file("mail.example.org");
    news.into_iter().map(|news| news.text).collect()
}

#[test]
fn a_file_that_is_gone_is_written_anew_as_it_was_and_told_once_over_a_restart_too() {
    let (directory, file) = state();
    let running = Enrolled::open(directory.path());
    running.tend();
    for restarts in [false, true] {
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let started = restarts.then(|| Enrolled::open(directory.path()));
        let enrolled = started.as_ref().unwrap_or(&running);
        assert!(is_in(enrolled, 1));
        assert!(!file.exists(), "whoever only looks writes nothing");
        enrolled.tend();
        assert_eq!(fs::read(&file).unwrap(), kept);
        assert_eq!((enrolled.fault(), enrolled.alarms().len()), (None, 1));
        let told = texts(enrolled);
        assert!(told.len() == 1 && told[0].contains("was gone"), "{told:?}");
        enrolled.tend();
        assert!(texts(enrolled).is_empty());
    }
    // At a change, too, before anybody has looked.
    fs::remove_file(&file).unwrap();
    assert_eq!(enrol(&running, 2), Ok(Redeemed::Enrolled));
    let again = Enrolled::open(directory.path());
    assert!(is_in(&again, 1) && is_in(&again, 2));
}

#[test]
fn of_a_file_that_is_wrong_the_copy_is_in_force_and_it_is_never_written_over() {
    let (directory, file) = state();
    let whole = fs::read_to_string(&file).unwrap();
    for wrong in [
        whole[..whole.len() / 2].to_owned(),
        "{}".to_owned(),
        String::new(),
        whole.replace("\"machines\"", "\"machine\""),
        whole.replace("\"ended\"", "\"suspended\": [], \"ended\""),
        whole.replace("\"from\"", "\"since_when\": 7, \"from\""),
        whole.replace("\"next\"", "\"nexts\""),
        whole.replace("\"vm1\": {", "\"VM1\": {").replace(
            "\"machines\": {",
            &format!("\"machines\": {{ \"vm1\": {},", machine_of(&whole)),
        ),
        whole.replace(
            "\"machines\": {",
            &format!("\"machines\": {{ \"vm2\": {},", machine_of(&whole)),
        ),
    ] {
        system::fs::replace(&file, wrong.as_bytes(), 0o600).unwrap();
        let enrolled = Enrolled::open(directory.path());
        enrolled.tend();
        assert!(is_in(&enrolled, 1), "{wrong}");
        let fault = enrolled.fault().expect(&wrong);
        assert!(fault.contains("stays in force"), "{fault}");
        assert_eq!(enrolled.alarms(), std::slice::from_ref(&fault));
        assert_eq!(texts(&enrolled), [format!("{fault}\n")]);
        assert_eq!(enrol(&enrolled, 2).unwrap_err(), fault);
        assert_eq!(fs::read_to_string(&file).unwrap(), wrong);
        let again = Enrolled::open(directory.path());
        again.tend();
        assert!(texts(&again).is_empty(), "it is told once");
        // Mended, or removed.
        fs::remove_file(&file).unwrap();
        again.tend();
        assert_eq!(fs::read_to_string(&file).unwrap(), whole);
        assert_eq!(again.fault(), None);
    }
}

/// The machine of a file with one.
fn machine_of(file: &str) -> String {
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    file["machines"]["vm1"].to_string()
}

#[test]
fn without_a_copy_nobody_is_known_until_the_file_is_mended_which_is_taken_by_itself() {
    let (directory, file) = state();
    let copies = directory.path().join(tables::copies::DIRECTORY);
    let whole = fs::read(&file).unwrap();
    for damaged in [true, false] {
        for copy in fs::read_dir(&copies).unwrap() {
            let copy = copy.unwrap().path();
            if damaged {
                system::fs::replace(&copy, b"x", 0o600).unwrap();
            } else {
                fs::remove_file(&copy).unwrap();
            }
        }
        if damaged {
            fs::remove_file(&file).unwrap();
        } else {
            system::fs::replace(&file, b"x", 0o600).unwrap();
        }
        let enrolled = Enrolled::open(directory.path());
        enrolled.tend();
        assert_eq!(known(&enrolled, 1), Found::Unreadable);
        assert!(enrolled.is_used() && enrolled.fault().is_some());
        assert!(enrol(&enrolled, 2).unwrap_err().contains("is not known"));
        assert_eq!(texts(&enrolled).len(), 1);
        system::fs::replace(&file, &whole, 0o600).unwrap();
        assert!(enrol(&enrolled, 2).is_ok());
        assert!(is_in(&enrolled, 1) && is_in(&enrolled, 2));
        system::fs::replace(&file, &whole, 0o600).unwrap();
        enrolled.change(|_| ()).unwrap();
        assert_eq!(
            (known(&enrolled, 1), known(&enrolled, 2)),
            (Found::Known("vm1".to_owned()), Found::Unknown),
            "what another hand has written counts"
        );
    }
}

#[test]
fn no_copy_is_older_than_the_file() {
    let (directory, file) = state();
    let enrolled = Enrolled::open(directory.path());
    enrolled.tend();
    let vm1 = Name::parse("vm1").unwrap();
    let revoked = enrolled.change(|book| book.revoke(&vm1, clock::now()));
    revoked.unwrap().unwrap();
    fs::remove_file(&file).unwrap();
    let again = Enrolled::open(directory.path());
    assert_eq!(known(&again, 1), Found::Ended(vm1));
    let copies = fs::read_dir(directory.path().join(tables::copies::DIRECTORY));
    assert_eq!(copies.unwrap().count(), 1);
}

/// The disk is full, or goes away for a moment.
#[test]
fn a_machine_that_is_revoked_stays_out_though_that_cannot_be_written_and_it_is_written_later() {
    let (directory, file) = state();
    let enrolled = Enrolled::open(directory.path());
    enrolled.tend();
    assert_eq!(enrol(&enrolled, 2), Ok(Redeemed::Enrolled));
    let whole = fs::read(&file).unwrap();
    // Nothing can be put in the place of a directory.
    let block = |is_blocked: bool| {
        if is_blocked {
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
            system::fs::replace(&file.join("x"), b"", 0o600).unwrap();
        } else {
            fs::remove_dir_all(&file).unwrap();
            system::fs::replace(&file, &whole, 0o600).unwrap();
        }
    };
    // As it was known before anybody looks.
    let vm1 = Name::parse("vm1").unwrap();
    let mut seen = enrolled.seen.lock().unwrap();
    block(true);
    *seen = Some(enrolled.stored.look());
    drop(seen);
    let told = enrolled
        .change(|book| book.revoke(&vm1, clock::now()))
        .unwrap_err();
    assert!(told.contains("one that it shut out stays out"), "{told}");
    assert_eq!(known(&enrolled, 1), Found::Ended(vm1.clone()));
    assert!(is_in(&enrolled, 2));
    assert_eq!(enrolled.alarms(), [told]);
    assert!(enrol(&enrolled, 3).unwrap_err().contains("shut out"));
    assert_eq!(known(&enrolled, 3), Found::Unknown);
    block(false);
    enrolled.tend();
    assert_eq!(enrolled.alarms(), Vec::<String>::new());
    for enrolled in [&enrolled, &Enrolled::open(directory.path())] {
        assert_eq!(known(enrolled, 1), Found::Ended(vm1.clone()));
        assert!(is_in(enrolled, 2));
    }
    assert_eq!(enrol(&enrolled, 3), Ok(Redeemed::Enrolled));
}
