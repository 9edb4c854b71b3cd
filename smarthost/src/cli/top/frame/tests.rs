use control::{
    status::{Service, Status},
    summary::Group,
};

use super::super::view::Key;
use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_796_000_000);

fn group(name: &str, count: u64, age: u64, reason: &str) -> Group {
    let mut group = Group::default();
    (group.name, group.count, group.reason) = (name.to_owned(), count, reason.to_owned());
    group.oldest = Timestamp::from_secs(NOW.as_secs() - age);
    group.next_attempt = Some(Timestamp::from_secs(NOW.as_secs() + 600));
    group
}

fn status() -> Box<Status> {
    let mut status = Status {
        program: "smarthost".into(),
        version: "0.1.0".into(),
        hostname: "mail.example.org".into(),
        as_of: NOW,
        started: Timestamp::from_secs(NOW.as_secs() - 90_000),
        queued: 12,
        in_flight: 2,
        sessions: 3,
        clients: 2,
        limits: vec![("10.0.0.7".into(), 80, "80 of 100 in a day".into())],
        client_messages: vec![("vm9".into(), 300), ("10.0.0.7".into(), 80)],
        refused: vec![("reject_unlisted_recipient".into(), 7)],
        services: vec![
            Service::new(
                "resolver",
                "DNS",
                true,
                "0 of 9 questions without an answer",
            ),
            Service::new("milter", "inet:127.0.0.1:11332", false, "no answer"),
        ],
        ..Status::default()
    };
    status.destinations.total = group("", 12, 7300, "");
    status.destinations.groups = vec![
        group("big.example", 10, 60, "451 4.7.1 later"),
        group("old.example", 2, 7300, "Connection refused"),
    ];
    status.counted.received = 40;
    status.counted.deferred("reply");
    status.spool.free_bytes = Some(5 * MIB);
    status.spool.last_sync = Some((NOW, 1800));
    Box::new(status)
}

const SIZE: Size = Size {
    width: 100,
    height: 24,
};

fn shown(view: &View) -> String {
    text(view, SIZE, NOW)
}

fn below(text: &str, title: &str) -> Vec<String> {
    let rows = text
        .lines()
        .skip_while(|line| !line.contains(title))
        .skip(1);
    rows.map(str::to_owned).collect()
}

#[test]
fn a_frame_tells_how_it_goes_and_what_waits() {
    let text = shown(&View::new(status()));
    let (_, rest) = text.split_once('\n').unwrap();
    assert!(
        text.starts_with("smarthost 0.1.0 on mail.example.org, ")
            && text.contains(", running for 1d1h; ? for help\n"),
        "{text}"
    );
    assert_eq!(
        rest,
        "queue      12 messages, 2 deliveries in flight, oldest 2h1m\n\
         messages   40 taken since the start\n\
         recipients 0 sent, 0 bounced, 1 deferrals (1 reply)\n\
         sessions   3 now, 2 clients counted\n\
         disk       5 MiB free, last sync took 1.8 ms\n\
         !          milter inet:127.0.0.1:11332: no answer\n\
         [1 destinations] 2 senders  3 clients  4 refused  5 asked\n\
         RECIPIENTS▼  HELD  OLDEST  NEXT IN  DESTINATION  WHY THE NEWEST WAITS\n\
         \x20        10     0     1m0s      10m  big.example  451 4.7.1 later\n\
         \x20         2     0    2h1m      10m  old.example  Connection refused\n"
            .replace("    1m0s", "     1m")
    );
}

#[test]
fn keys_choose_table_and_order_and_the_help_ends_with_any_key() {
    let mut view = View::new(status());
    let first = |view: &View| {
        below(&shown(view), "▼")
            .first()
            .cloned()
            .unwrap_or_default()
    };
    assert!(first(&view).ends_with("451 4.7.1 later"));
    for key in [Key::Right, Key::Char('s')] {
        view.press(key);
    }
    assert!(shown(&view).contains("OLDEST▼"));
    assert!(first(&view).contains("old.example"), "{}", shown(&view));
    view.press(Key::Char('r'));
    assert!(shown(&view).contains("OLDEST▲"));
    assert!(below(&shown(&view), "▲")[0].contains("big.example"));
    view.press(Key::Tab);
    assert!(shown(&view).contains("the queue is empty"), "senders");
    view.press(Key::Char('3'));
    let clients = below(&shown(&view), "USED▼");
    assert_eq!(
        clients[0].trim_start(),
        "80 %        80  10.0.0.7  80 of 100 in a day"
    );
    view.press(Key::Right);
    let clients = below(&shown(&view), "MESSAGES▼");
    assert!(clients[0].contains("vm9"), "{clients:?}");
    view.press(Key::Left);
    view.press(Key::Left);
    assert!(shown(&view).contains("LIMITS▲"), "{}", shown(&view));
    view.press(Key::Char('1'));
    assert!(shown(&view).contains("OLDEST▲"), "each keeps its own");
    view.press(Key::Char('?'));
    assert!(shown(&view).contains("quit") && !shown(&view).contains("big.example"));
    view.press(Key::Char('r'));
    assert!(shown(&view).contains("OLDEST▲") && !view.is_over());
    view.press(Key::Char('q'));
    assert!(view.is_over());
}

#[test]
fn a_frame_fits_every_screen_whatever_strangers_are_called() {
    let mut status = status();
    let hostile = "\u{1b}[2J\u{9b}31m\r\n\u{7}\u{7f}日本\u{202e}".repeat(40);
    status.hostname.clone_from(&hostile);
    for group in &mut status.destinations.groups {
        (group.name, group.reason) = (hostile.clone(), hostile.clone());
    }
    status.senders = status.destinations.clone();
    status.refused = vec![(hostile.clone(), 3); 50];
    status.limits = vec![(hostile.clone(), 50, hostile.clone())];
    status.client_messages = vec![(hostile.clone(), u64::MAX)];
    status.alarms = vec![hostile.clone(); 9];
    status.services = vec![Service::new("milter", &hostile, false, hostile.as_str())];
    status.spool.fault = Some(hostile.clone());
    let mut view = View::new(status);
    view.fail(hostile);
    for table in '1'..='6' {
        for key in [Key::Char(table), Key::PageDown, Key::Down, Key::Left] {
            view.press(key);
            for (width, height) in [
                (0, 0),
                (1, 1),
                (7, 3),
                (20, 5),
                (40, 10),
                (80, 24),
                (500, 99),
            ] {
                let lines = lines(&view, Size { width, height }, NOW);
                assert!(lines.len() <= height);
                for line in lines {
                    let text = line.text();
                    assert!(text.chars().count() <= width, "{text:?}");
                    assert!(!text.chars().any(char::is_control), "{text:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_cut_is_counted_and_can_be_scrolled_to() {
    let mut status = status();
    status.destinations.groups = (0..50)
        .map(|number| group(&format!("d{number}.example"), 100 - number, 60, ""))
        .collect();
    let mut view = View::new(status);
    let text = shown(&view);
    assert!(
        text.contains("d0.example") && text.ends_with("and 36 more\n"),
        "{text}"
    );
    assert_eq!(text.lines().count(), SIZE.height);
    for _ in 0..9 {
        view.press(Key::PageDown);
    }
    let text = shown(&view);
    assert!(
        text.contains("d49.example") && !text.contains("more"),
        "{text}"
    );
    view.press(Key::Home);
    assert!(shown(&view).contains("d0.example"));
}

#[test]
fn the_pace_is_that_between_two_answers_and_a_silent_daemon_is_told() {
    let mut view = View::new(status());
    let mut next = status();
    next.as_of = Timestamp::from_secs(NOW.as_secs() + 2);
    next.counted.received += 5;
    view.tell(next.clone());
    assert!(shown(&view).contains("45 taken since the start; 2.5 taken and 0.0 sent in a second"));
    view.tell(next.clone());
    assert!(
        shown(&view).contains("; 2.5 taken"),
        "the same answer again"
    );
    view.fail("no answer".to_owned());
    let later = Timestamp::from_secs(NOW.as_secs() + 32);
    let text = text(&view, SIZE, later);
    assert!(
        text.contains("!          nothing new for 30s: no answer"),
        "{text}"
    );
    let mut anew = next;
    anew.started = NOW;
    anew.as_of = later;
    anew.counted.received = 1;
    view.tell(anew);
    assert!(
        shown(&view).contains("1 taken since the start\n"),
        "a daemon that began anew"
    );
}
