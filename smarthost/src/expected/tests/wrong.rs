//! Clocks that are wrong, and subjects of every form: what is proposed means its own mail and no
//! other.

use queue::clock::Step;

use super::*;
use crate::expected::Standing;

const DAYS: Duration = Duration::from_hours(400 * 24);

fn daily(now: Timestamp) -> (Expected, u32) {
    let mut expected = Expected::new(zone(), now);
    let backup = "client = \"vm7\"\nsubject = \"backup*\"\nevery = \"1d\"\ngrace = \"1h\"";
    let number = expected.add(wanted(backup), now).unwrap().number;
    (expected, number)
}

fn restarted(expected: &mut Expected, now: Timestamp) {
    let rows = expected.changes();
    *expected = Expected::new(zone(), now);
    for (row, record) in rows {
        assert!(expected.restore(&row, &record.unwrap()));
    }
}

fn standing(expected: &Expected) -> Standing {
    expected.list().remove(0)
}

#[test]
fn what_came_last_while_the_clock_was_ahead_is_missed_a_day_after_it_is_right() {
    for restart in [false, true] {
        let (mut expected, _) = daily(at(0, 8, 0));
        expected.came(&came("vm7", "backup"), at(0, 8, 0).after(DAYS));
        if restart {
            restarted(&mut expected, at(0, 9, 0));
        } else {
            expected.stepped(Step::Back(DAYS), at(0, 9, 0));
        }
        expected.look(at(0, 9, 0));
        assert_eq!(standing(&expected).last, Some(at(0, 9, 0)));
        expected.look(at(1, 9, 59));
        assert_eq!(headlines(&mut expected), [""; 0]);
        expected.look(at(1, 10, 0));
        assert_eq!(headlines(&mut expected).len(), 1, "{restart}");
    }
}

#[test]
fn what_came_while_the_clock_was_behind_is_no_false_alarm_when_it_is_set() {
    let behind = at(0, 8, 0);
    let now = behind.after(DAYS);
    let (mut expected, _) = daily(now.before(Duration::from_hours(20)));
    restarted(&mut expected, behind);
    expected.look(behind);
    expected.came(&came("vm7", "backup"), behind.after(Duration::from_mins(1)));
    // A restart before the clock is set.
    let mut again = Expected::new(zone(), now);
    for (row, record) in expected.changes() {
        assert!(again.restore(&row, &record.unwrap()));
    }
    again.look(now.after(Duration::from_mins(5)));
    assert_eq!(headlines(&mut again), [""; 0]);

    let (set, later) = (
        now.after(Duration::from_mins(2)),
        now.after(Duration::from_mins(3)),
    );
    // By the clock as it is now.
    expected.came(&came("vm8", "else"), set.after(Duration::from_secs(1)));
    expected.stepped(Step::Forward(DAYS), later);
    expected.look(later);
    assert_eq!(headlines(&mut expected), [""; 0]);
    assert_eq!(
        standing(&expected).last,
        Some(now.after(Duration::from_mins(1)))
    );
    expected.look(now.after(Duration::from_hours(26)));
    assert_eq!(
        headlines(&mut expected).len(),
        1,
        "a day and its grace later"
    );
}

#[test]
fn a_proposal_means_its_own_mail_and_no_other_of_its_sender() {
    let long = "Report of the nightly backup of all the databases of the customers in the second data centre, rack 17, \
                host db-17.example.org, finished without errors";
    let (many, umlauts) = ("a".repeat(200), "ü".repeat(90));
    let subjects = [
        many.as_str(),
        long,
        umlauts.as_str(),
        "** daily **",
        "what? [a-z]*",
        "a \\* b",
        "a \\ b",
        "ΟΔΟΣ ΟΔΟΣ",
        "x*",
        "=?utf-8?B?R3LDvMOfZQ==?=",
        "disk \u{1}full",
        "tail \u{1}",
    ];
    let silent = ["", "   ", "*", "12345", "2026-11-29", "- 17 -", "\u{1}"];
    let mut expected = expected();
    for day in 0..12 {
        for subject in subjects.iter().chain(&silent) {
            let subject = decoded(subject.as_bytes());
            expected.came(&came("vm7", &subject), at(day, 8, 0));
        }
    }
    let proposals = expected.proposals();
    assert_eq!(proposals.len(), subjects.len(), "{proposals:?}");
    for subject in subjects {
        let own = came("vm7", &decoded(subject.as_bytes()));
        let means = proposals.iter().filter(|it| it.wanted.means(&own));
        assert_eq!(means.count(), 1, "{subject}");
    }
    for other in ["entirely other", "", "x", "a b", "daily", "b daily b"] {
        let other = came("vm7", other);
        assert!(
            !proposals.iter().any(|it| it.wanted.means(&other)),
            "{other:?}"
        );
    }
}
