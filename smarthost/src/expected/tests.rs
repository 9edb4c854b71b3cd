//! What is expected, under a clock of our own: hours, days, and a year of cron.

use std::time::Duration;

use mail::{
    clock::{Timestamp, Zone},
    message::decoded_words::decoded,
};

mod wrong;

use super::{Came, Every, Expected, Pattern, Wanted, Who, subject};

fn zone() -> Zone {
    Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// Midnight of a day of 2026 in Paris; the first is a Thursday.
fn midnight(day: u32) -> Timestamp {
    Timestamp::from_secs(1_767_222_000).after_days(day, &zone())
}

/// So many o'clock there, and so many minutes.
fn at(day: u32, hour: i8, minutes: u64) -> Timestamp {
    let hour = match hour {
        0 => midnight(day),
        hour => midnight(day).next_at(hour, &zone()),
    };
    hour.after(Duration::from_secs(60 * minutes))
}

fn expected() -> Expected {
    Expected::new(zone(), midnight(0))
}

fn came(machine: &str, subject: &str) -> Came {
    Came {
        address: "10.0.0.7".parse().unwrap(),
        ours: true,
        name: Some(machine.to_owned()),
        helo: None,
        user: "root".to_owned(),
        sender: format!("root@{machine}.example.org"),
        subject: subject.to_owned(),
    }
}

fn wanted(text: &str) -> Wanted {
    toml::from_str(text).unwrap()
}

fn headlines(expected: &mut Expected) -> Vec<String> {
    let news = expected.news().into_iter();
    news.map(|news| news.headline).collect()
}

#[test]
fn what_does_not_come_is_told_once_and_again_when_it_comes() {
    let mut expected = expected();
    let backup = "client = \"vm7\"\nsubject = \"backup*\"\nevery = \"1d\"\ngrace = \"3h\"";
    expected.add(wanted(backup), at(0, 10, 0)).unwrap();
    assert!(expected.add(wanted(backup), at(0, 10, 0)).is_err());
    for (now, what) in [
        (at(1, 2, 30), Some(came("vm7", "Backup of 4 disks"))),
        (at(1, 9, 0), Some(came("vm8", "Backup of 4 disks"))),
        (at(1, 9, 0), Some(came("vm7", "no backup"))),
        (at(2, 5, 29), None),
    ] {
        if let Some(came) = what {
            expected.came(&came, now);
        }
        expected.look(now);
        assert_eq!(headlines(&mut expected), [""; 0], "{now:?}");
    }
    assert_eq!(expected.deadline(), Some(at(2, 5, 30)));
    expected.look(at(2, 5, 30));
    let late = "expected mail has not come: \"backup*\" of vm7";
    assert_eq!(headlines(&mut expected), [late]);
    expected.look(at(9, 5, 30));
    assert_eq!(headlines(&mut expected), [""; 0], "once");
    let standing = &expected.list()[0];
    assert_eq!((standing.count, standing.missing), (1, Some(at(2, 5, 30))));
    assert!(expected.digest()[0].starts_with("missing: \"backup*\" of vm7"));
    expected.came(&came("vm7", "backup ok"), at(9, 6, 0));
    assert_eq!(
        headlines(&mut expected),
        ["expected mail comes again: \"backup*\" of vm7"]
    );
    let number = expected.list()[0].number;
    assert!(expected.forget(number + 1).is_err());
    expected.forget(number).unwrap();
    assert!(expected.list().is_empty() && expected.deadline().is_none());
}

#[test]
fn who_is_no_client_of_ours_cannot_pretend_that_a_backup_was_made() {
    let of = |text: &str, came: &Came| wanted(text).means(came);
    let vm7 = came("vm7", "Backup");
    let stranger = Came {
        ours: false,
        name: None,
        helo: Some("vm7.example.org".to_owned()),
        address: "192.0.2.1".parse().unwrap(),
        ..vm7.clone()
    };
    let greeted = Came {
        ours: true,
        address: "10.0.0.8".parse().unwrap(),
        ..stranger.clone()
    };
    for (text, of_vm7, of_stranger, of_greeted) in [
        ("client = \"vm7\"", true, false, true),
        ("client = \"VM7.example.org\"", false, false, true),
        ("client = \"10.0.0.0/29\"", true, false, false),
        ("client = \"192.0.2.1\"", false, true, false),
        ("subject = \"b*k*\"", true, false, true),
        ("subject = \"ackup\"", false, false, false),
        ("sender = \"*@vm7.example.org\"", true, false, true),
        ("sender = \"root@*\"\nsubject = \"x\"", false, false, false),
    ] {
        let text = format!("{text}\nevery = \"1d\"");
        let found = [&vm7, &stranger, &greeted].map(|came| of(&text, came));
        assert_eq!(found, [of_vm7, of_stranger, of_greeted], "{text}");
    }
    for wrong in [
        "every = \"1d\"",
        "client = \"\"\nevery = \"1d\"",
        "client = \"a b\"\nevery = \"1d\"",
        "client = \"10.0.0.300\"\nevery = \"1d\"",
        "subject = \"\"\nevery = \"1d\"",
        "subject = \"x\"\nevery = \"0s\"",
        "subject = \"x\"\nevery = \"9999d\"",
        "subject = \"x\"\nevery = \"1d\"\ngrace = 3",
        "subject = \"x\"\nevery = \"1d\"\ngarce = \"3h\"",
        "subject = \"x\"",
    ] {
        assert!(toml::from_str::<Wanted>(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        wanted("subject = \"x\"\nevery = \"1d\"").grace.to_string(),
        "3h"
    );
}

#[test]
fn subjects_of_a_kind_are_one_whatever_numbers_and_dates_are_in_them() {
    for (one, other, kind) in [
        (
            "Backup 17 of sda1",
            "Backup 4711 of sda1",
            "Backup * of sda1",
        ),
        (
            "Report Sun Nov 22 2026",
            "Report Mon Dec 7 2026",
            "Report *",
        ),
        (
            "log 2026-11-22 07:51:02 CET",
            "log 2026-12-01 9:02:03 CEST",
            "log *",
        ),
        ("job 8f3a9c1d77 done", "job 00ff12ab9e done", "job * done"),
        (
            "Cron <root@vm7> test -x /usr/sbin/anacron",
            "Cron <root@vm7> test -x /usr/sbin/anacron",
            "Cron <root@vm7> test -x /usr/sbin/anacron",
        ),
    ] {
        assert_eq!([subject::kind(one), subject::kind(other)], [kind; 2]);
        let pattern = Pattern::try_from(kind.to_owned()).unwrap();
        assert!(pattern.fits(one) && pattern.fits(other), "{kind}");
    }
    assert_ne!(
        subject::kind("backup of sda1"),
        subject::kind("backup of sdb1")
    );
    let long = [b'\xff', b'=', b'?'].repeat(100_000);
    assert!(subject::kind(&decoded(&long)).chars().count() <= 120);
}

#[test]
fn a_restart_forgets_nothing_and_the_time_without_the_daemon_makes_nothing_late() {
    let mut before = expected();
    let backup = wanted("client = \"vm7\"\nevery = \"1d\"\ngrace = \"3h\"");
    let other = wanted("client = \"vm8\"\nevery = \"7d\"");
    before.add(backup, at(0, 2, 0)).unwrap();
    before.set_settings(std::slice::from_ref(&other), at(0, 2, 0));
    for day in 1..12 {
        before.came(&came("vm7", "backup"), at(day, 2, 0));
    }
    let mut after = Expected::new(zone(), at(20, 12, 0));
    for (row, record) in before.changes() {
        assert!(after.restore(&row, &record.unwrap()), "{row}");
    }
    assert!(before.changes().is_empty());
    for (row, record) in [
        ("x", "{}"),
        ("expected 1", "{}"),
        ("learned x", "{}"),
        ("machine x", "1"),
    ] {
        assert!(!after.restore(row, record), "{row}");
    }
    after.set_settings(std::slice::from_ref(&other), at(20, 12, 0));
    assert_eq!(after.list().len(), 2);
    assert_eq!(after.proposals(), before.proposals());
    assert_eq!(after.proposals()[0].wanted.every, Every::days(1));
    after.look(at(20, 14, 59));
    assert!(headlines(&mut after).is_empty(), "clients try again first");
    after.look(at(20, 15, 0));
    assert_eq!(
        headlines(&mut after),
        ["expected mail has not come: mail of vm7"]
    );
    after.look(at(21, 9, 0));
    assert_eq!(
        headlines(&mut after),
        ["expected mail has not come: mail of vm8"]
    );
    let setting = after.list().into_iter().find(|it| it.setting).unwrap();
    assert!(
        after
            .forget(setting.number)
            .unwrap_err()
            .contains("configuration")
    );
    after.set_settings(&[], at(21, 0, 0));
    assert_eq!(after.list().len(), 1);
}

#[test]
fn a_client_that_makes_up_subjects_and_machines_takes_bounded_room_and_costs_others_nothing() {
    let mut expected = expected();
    for day in 0..7 {
        expected.came(&came("vm7", "backup"), at(day, 2, 0));
    }
    for number in 0..3000u32 {
        let now = at(7, 3, number.into());
        let word: String = number
            .to_string()
            .bytes()
            .map(|b| char::from(b + 49))
            .collect();
        expected.came(
            &came("web", &format!("order of {word}{}", "x".repeat(5000))),
            now,
        );
        expected.changes();
    }
    assert!(
        expected.learned_rows() <= 201,
        "{}",
        expected.learned_rows()
    );
    let kinds = expected.proposals();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    assert_eq!(kinds[0].wanted.client, Some(Who::Name("vm7".to_owned())));
}

/// What runs on a machine, and on which days.
struct Job {
    machine: &'static str,
    subject: &'static str,
    /// When it runs on a day; most late by so many minutes, now and then.
    runs: fn(u32) -> Vec<Timestamp>,
    late: u64,
    /// It breaks on this day for good.
    breaks: Option<u32>,
}

/// Days on which a machine is off, and how long after it runs again.
const HOLIDAYS: [(&str, u32, u32); 2] = [("vm2", 210, 226), ("vm5", 150, 153)];
const FIRSTS: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

fn jobs() -> Vec<Job> {
    let daily = |day| vec![at(day, 2, 30)];
    let universal = |day| {
        vec![Timestamp::from_secs(
            1_767_222_000 + 86_400 * u64::from(day) + 15_000,
        )]
    };
    let weekly = |day: u32| {
        if day % 7 == 3 {
            vec![at(day, 6, 0)]
        } else {
            Vec::new()
        }
    };
    let working = |day: u32| {
        if (day + 3) % 7 < 5 {
            vec![at(day, 18, 0)]
        } else {
            Vec::new()
        }
    };
    let monthly = |day: u32| {
        if FIRSTS.contains(&day) {
            vec![at(day, 3, 15)]
        } else {
            Vec::new()
        }
    };
    let hourly = |day| {
        // A day has 23 or 25 of them where the clock is put on or back.
        let hours = (0..25).map(|hour| midnight(day).after(Duration::from_hours(hour)));
        hours.take_while(|at| *at < midnight(day + 1)).collect()
    };
    let now_and_then = |day: u32| {
        if day * day % 11 < 4 {
            vec![at(day, 5, u64::from(day) * 37 % 900)]
        } else {
            Vec::new()
        }
    };
    let job = |machine, subject, runs: fn(u32) -> Vec<Timestamp>, late, breaks| Job {
        machine,
        subject,
        runs,
        late,
        breaks,
    };
    vec![
        job("vm1", "backup", daily, 5, None),
        job("vm1", "rotated", weekly, 20, Some(200)),
        job("vm2", "backup", daily, 40, None),
        job("vm2", "scrub", monthly, 30, None),
        job("vm2", "report", weekly, 0, None),
        job("vm3", "backup", universal, 5, Some(250)),
        job("vm3", "accounts", monthly, 0, None),
        job("vm4", "sales", working, 15, None),
        job("vm4", "alive", hourly, 3, Some(300)),
        job("vm5", "backup", daily, 1, None),
        job("vm6", "updates", now_and_then, 0, None),
        job("vm7", "invoices", monthly, 0, Some(280)),
    ]
}

fn is_off(machine: &str, day: u32) -> bool {
    let mut holidays = HOLIDAYS.iter();
    holidays.any(|(name, from, to)| *name == machine && (*from..*to).contains(&day))
}

#[test]
fn in_a_year_of_cron_every_job_that_breaks_is_told_within_its_period_and_hardly_anything_else() {
    let jobs = jobs();
    let mut runs: Vec<(Timestamp, &Job)> = Vec::new();
    for (index, job) in (0u64..).zip(&jobs) {
        for day in (0..365).filter(|day| job.breaks.is_none_or(|broken| *day < broken)) {
            for at in (job.runs)(day)
                .into_iter()
                .filter(|_| !is_off(job.machine, day))
            {
                let late = (u64::from(day) * 7919 + index * 31) % (job.late * 60 + 1);
                runs.push((at.after(Duration::from_secs(late)), job));
            }
        }
    }
    runs.sort_by_key(|(at, _)| *at);
    let mut expected = expected();
    let (mut runs, mut told) = (runs.into_iter().peekable(), Vec::new());
    let (mut now, mut proposed) = (midnight(0), Vec::new());
    while now < midnight(365) {
        while let Some((at, job)) = runs.next_if(|(at, _)| *at <= now) {
            expected.came(&came(job.machine, job.subject), at);
        }
        expected.look(now);
        told.extend(headlines(&mut expected).into_iter().map(|text| (now, text)));
        // Everything that is proposed is confirmed.
        if now.day_and_minute(&zone()).1 == 7 * 60 {
            for proposal in expected.proposals() {
                let it = expected.confirm(proposal.number, now).unwrap();
                proposed.push((it.wanted.to_string(), it.wanted.every));
            }
        }
        now = now.after(Duration::from_mins(10));
    }
    for job in &jobs {
        let named = format!("\"{}\" from root@{}", job.subject, job.machine);
        let found = proposed.iter().filter(|(what, _)| what.starts_with(&named));
        let regular = job.subject != "updates";
        assert_eq!(found.count(), usize::from(regular), "{named}: {proposed:?}");
    }
    let alarms = told.iter().filter(|(_, text)| !text.contains("again"));
    let mut alarms: Vec<_> = alarms.cloned().collect();
    for job in &jobs {
        let Some(broken) = job.breaks else { continue };
        let named = format!(
            "has not come: \"{}\" from root@{}",
            job.subject, job.machine
        );
        let missed = (broken..365)
            .flat_map(|day| (job.runs)(day))
            .next()
            .unwrap();
        let own = named.strip_prefix("has not come: ").unwrap();
        let every = proposed.iter().find(|(what, _)| what.starts_with(own));
        // One before it is false, and counted below.
        let found = alarms
            .iter()
            .position(|(at, text)| *at >= missed && text.contains(&named));
        let (at, _) = alarms.remove(found.unwrap_or_else(|| panic!("{named}: {told:?}")));
        let late = at.since(missed);
        assert!(
            at >= missed && late <= every.unwrap().1.0,
            "{named}: {late:?}"
        );
    }
    // What is left: machines that are off, one that wrote little else, and what is false.
    let machines = 7.0;
    let a_machine_and_quarter = f64::from(u32::try_from(alarms.len()).unwrap()) / machines / 4.0;
    assert!(a_machine_and_quarter < 0.25, "{alarms:?}");
    let of_holidays = |text: &str| HOLIDAYS.iter().any(|(machine, ..)| text.contains(machine));
    let broken =
        |text: &str| text == "vm3 is silent altogether" || text == "vm7 is silent altogether";
    let false_ones = alarms
        .iter()
        .filter(|(_, text)| !of_holidays(text) && !broken(text));
    assert_eq!(false_ones.count(), 0, "{alarms:?}");
    for machine in ["vm2", "vm5"] {
        let of = alarms
            .iter()
            .filter(|(_, text)| text.contains(machine))
            .count();
        assert!((1..=2).contains(&of), "{machine}: {alarms:?}");
    }
}
