use mail::{
    outcome::{Blame, Delivery, Handover},
    status::{EnhancedStatus, ReplyCode},
};

use super::*;

const PLACE: &str = "smtp:[10.0.0.1]";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + seconds)
}

fn settings(outage: OutageMode) -> Settings {
    Settings {
        outage,
        positive: Duration::from_hours(31 * 24),
        negative: Duration::from_hours(3),
        trouble: Duration::from_mins(1),
    }
}

fn yes() -> Outcome {
    Outcome::Delivered(Delivery {
        relay: "x".to_owned(),
        reply: "250 Ok".to_owned(),
        handover: Handover::Promised,
    })
}

fn refused(stage: Stage, code: Option<u16>, status: &str) -> Outcome {
    let status = EnhancedStatus::parse(status).unwrap();
    let mut failure = Failure::new(Blame::Network, stage, status, "said no");
    failure.reply = code.and_then(ReplyCode::new);
    Outcome::Deferred(failure)
}

fn ask(all: &mut Recipients, who: &str, mode: OutageMode, seconds: u64) -> Step {
    all.ask(
        [192, 0, 2, 1].into(),
        (who, PLACE),
        &settings(mode),
        at(seconds),
    )
}

fn tell(all: &mut Recipients, who: &str, said: &Outcome, seconds: u64) -> (Verified, Option<News>) {
    let settings = settings(OutageMode::AcceptKnown);
    all.answered((who, PLACE), said, &settings, at(seconds))
}

const KNOWN: OutageMode = OutageMode::AcceptKnown;

/// Row A7.
#[test]
fn trouble_of_the_primary_is_no_answer_and_is_forgotten_when_it_is_back() {
    let mut all = Recipients::default();
    assert_eq!(tell(&mut all, "known@x", &yes(), 0), (Verified::Yes, None));
    let down = refused(Stage::Connect, None, "4.4.1");
    assert_eq!(
        ask(&mut all, "known@x", KNOWN, 300),
        Step::Known(Verified::Yes)
    );
    assert_eq!(ask(&mut all, "new@x", KNOWN, 300), Step::Probe);
    let (said, news) = tell(&mut all, "new@x", &down, 300);
    assert_eq!(said, Verified::Unsure("said no".to_owned()));
    assert!(matches!(news, Some(News::Outage { refuses: false, .. })));
    assert_eq!(all.alarms(&settings(KNOWN), at(301)).len(), 1);
    // The primary is not hammered meanwhile, and is tried again after a minute.
    assert!(matches!(
        ask(&mut all, "other@x", KNOWN, 310),
        Step::Known(Verified::Unsure(_))
    ));
    assert_eq!(ask(&mut all, "other@x", KNOWN, 361), Step::Probe);
    assert_eq!(tell(&mut all, "other@x", &down, 361).1, None, "told once");
    assert_eq!(ask(&mut all, "new@x", KNOWN, 661), Step::Probe);
    let (said, news) = tell(&mut all, "new@x", &yes(), 661);
    assert!(said == Verified::Yes && matches!(news, Some(News::Over { .. })));
    assert_eq!(ask(&mut all, "other@x", KNOWN, 662), Step::Probe, "at once");
    assert!(all.alarms(&settings(KNOWN), at(662)).is_empty());
}

#[test]
fn only_a_refusal_that_is_about_the_address_is_a_no() {
    use Stage::{Connect, Greeting, Helo, Mail, Recipient};
    for (stage, code, status, expected) in [
        (Recipient, Some(550), "5.1.1", About::Recipient),
        (Recipient, Some(550), "5.0.0", About::Recipient),
        (Recipient, Some(553), "5.1.3", About::Recipient),
        (Recipient, Some(556), "5.1.10", About::Recipient),
        (Recipient, Some(550), "5.7.1", About::UsOrRecipient),
        (Recipient, Some(554), "5.7.1", About::UsOrRecipient),
        (Recipient, Some(550), "5.4.1", About::Moment),
        (Recipient, Some(554), "5.0.0", About::Moment),
        (Recipient, Some(552), "5.2.2", About::Moment),
        (Recipient, Some(450), "4.2.0", About::Moment),
        (Recipient, Some(451), "4.7.1", About::Moment),
        (Recipient, Some(421), "4.3.2", About::Place),
        (Mail, Some(550), "5.1.8", About::Us),
        (Mail, Some(450), "4.7.1", About::Place),
        (Helo, Some(550), "5.7.1", About::Us),
        (Greeting, Some(554), "5.7.1", About::Us),
        (Greeting, Some(421), "4.7.0", About::Place),
        (Connect, None, "4.4.1", About::Place),
        (Recipient, None, "4.4.2", About::Place),
    ] {
        let Outcome::Deferred(failure) = refused(stage, code, status) else {
            panic!("deferred")
        };
        assert_eq!(about(&failure), expected, "{stage:?} {code:?} {status}");
    }
}

#[test]
fn a_no_lasts_hours_and_a_temporary_refusal_a_minute() {
    let mut all = Recipients::default();
    tell(
        &mut all,
        "gone@x",
        &refused(Stage::Recipient, Some(550), "5.1.1"),
        0,
    );
    tell(
        &mut all,
        "grey@x",
        &refused(Stage::Recipient, Some(450), "4.2.0"),
        0,
    );
    assert!(matches!(
        ask(&mut all, "gone@x", KNOWN, 10_000),
        Step::Known(Verified::No(_))
    ));
    assert_eq!(ask(&mut all, "gone@x", KNOWN, 11_000), Step::Probe);
    assert!(matches!(
        ask(&mut all, "grey@x", KNOWN, 30),
        Step::Known(Verified::Unsure(_))
    ));
    assert_eq!(ask(&mut all, "grey@x", KNOWN, 61), Step::Probe);
    assert!(
        all.alarms(&settings(KNOWN), at(30)).is_empty(),
        "it answers"
    );
}

/// Row A7: without an operator.
#[test]
fn after_a_day_of_silence_everybody_gets_mail_but_not_where_the_primary_refuses_us() {
    let day = 86_400;
    for (said, mode, later) in [
        (refused(Stage::Connect, None, "4.4.1"), KNOWN, true),
        (refused(Stage::Mail, Some(550), "5.7.1"), KNOWN, false),
        (
            refused(Stage::Connect, None, "4.4.1"),
            OutageMode::Defer,
            false,
        ),
        (
            refused(Stage::Mail, Some(550), "5.7.1"),
            OutageMode::AcceptAll,
            false,
        ),
        (
            refused(Stage::Connect, None, "4.4.1"),
            OutageMode::AcceptAll,
            true,
        ),
    ] {
        let mut all = Recipients::default();
        let now = |mode| settings(mode);
        all.answered(("a@x", PLACE), &said, &now(mode), at(0));
        let (verified, _) = all.answered(("a@x", PLACE), &said, &now(mode), at(day));
        assert_eq!(verified == Verified::Unverified, later, "{said:?} {mode:?}");
    }
}

#[test]
fn a_primary_that_was_silent_and_then_refuses_us_is_told_once_and_ends_what_silence_allowed() {
    let mut all = Recipients::default();
    let mode = settings(OutageMode::AcceptAll);
    let silence = refused(Stage::Connect, None, "4.4.1");
    let refusal = refused(Stage::Mail, Some(550), "5.7.1");
    let mut told = |said: &Outcome, seconds| {
        let (verified, news) = all.answered(("a@x", PLACE), said, &mode, at(seconds));
        let refuses = match news {
            Some(News::Outage { refuses, .. }) => Some(refuses),
            _ => None,
        };
        (verified == Verified::Unverified, refuses)
    };
    assert_eq!(told(&silence, 0), (true, Some(false)));
    assert_eq!(told(&refusal, 100), (false, Some(true)));
    assert_eq!(told(&silence, 200), (true, None));
    assert_eq!(told(&refusal, 300), (false, None));
    assert_eq!(told(&yes(), 400), (false, None));
    assert_eq!(told(&refusal, 500), (false, Some(true)));
}

/// A provider's server brings mail for everybody.
#[test]
fn recipients_that_exist_do_not_count_among_those_that_a_stranger_may_ask_for() {
    let mut all = Recipients::default();
    for n in 0..100 {
        assert_eq!(ask(&mut all, &format!("u{n}@x"), KNOWN, 0), Step::Probe);
        all.gives_back([192, 0, 2, 1].into());
    }
    let nobody = (0..100).filter(|n| ask(&mut all, &format!("no{n}@x"), KNOWN, 0) == Step::Probe);
    assert_eq!(nobody.count(), 30);
}

#[test]
fn a_stranger_cannot_have_the_primary_asked_without_end() {
    let mut all = Recipients::default();
    let asked = (0..100).filter(|n| ask(&mut all, &format!("u{n}@x"), KNOWN, 0) == Step::Probe);
    assert_eq!(asked.count(), 30);
    let other = all.ask(
        [192, 0, 2, 2].into(),
        ("u@x", PLACE),
        &settings(KNOWN),
        at(0),
    );
    assert_eq!(other, Step::Probe);
    assert_eq!(ask(&mut all, "later@x", KNOWN, 61), Step::Probe);
    for n in 0..MOST + 10 {
        tell(&mut all, &format!("u{n}@x"), &yes(), 100);
    }
    assert!(all.known.len() <= MOST);
}

#[test]
fn answers_survive_a_restart_and_a_catch_all_is_told_once() {
    let mut all = Recipients::default();
    tell(&mut all, "yes@x", &yes(), 0);
    tell(
        &mut all,
        "no@x",
        &refused(Stage::Recipient, Some(550), "5.1.1"),
        0,
    );
    let mut next = Recipients::default();
    for (key, record) in all.changes() {
        assert!(next.restore(key, &record.unwrap()));
    }
    assert!(!next.restore("z".to_owned(), "?"));
    assert_eq!(
        ask(&mut next, "yes@x", KNOWN, 5),
        Step::Known(Verified::Yes)
    );
    assert_eq!(
        ask(&mut next, "no@x", KNOWN, 5),
        Step::Known(Verified::No("said no".to_owned()))
    );
    assert!(next.looks_for_catch_all("x", at(0)) && !next.looks_for_catch_all("x", at(60)));
    assert!(matches!(
        next.strange_name(PLACE, "x", true),
        Some(News::CatchAll { .. })
    ));
    assert_eq!(next.alarms(&settings(KNOWN), at(60)).len(), 1);
    assert!(next.looks_for_catch_all("x", at(3600)));
    assert_eq!(next.strange_name(PLACE, "x", true), None);
    assert_eq!(next.strange_name(PLACE, "x", false), None);
    assert!(next.alarms(&settings(KNOWN), at(3600)).is_empty());
}

/// A stranger who names a list that takes mail of its members alone puts nobody else off.
#[test]
fn a_recipient_that_takes_nothing_of_strangers_is_no_outage_and_three_and_nobody_else_are() {
    let mut all = Recipients::default();
    let members = refused(Stage::Recipient, Some(550), "5.7.1");
    for seconds in 0..10 {
        let (said, news) = tell(&mut all, "staff@x", &members, seconds);
        assert_eq!((said, news), (Verified::Unsure("said no".to_owned()), None));
    }
    assert_eq!(ask(&mut all, "bob@x", KNOWN, 10), Step::Probe);
    tell(&mut all, "board@x", &members, 11);
    tell(&mut all, "bob@x", &yes(), 12);
    assert_eq!(tell(&mut all, "admins@x", &members, 13).1, None);
    assert!(all.alarms(&settings(KNOWN), at(13)).is_empty());
    assert!(matches!(
        ask(&mut all, "staff@x", KNOWN, 14),
        Step::Known(Verified::Unsure(_))
    ));
    tell(&mut all, "board@x", &members, 15);
    let (_, news) = tell(&mut all, "staff@x", &members, 16);
    assert!(matches!(news, Some(News::Outage { refuses: true, .. })));
    assert_eq!(
        ask(&mut all, "carol@x", KNOWN, 17),
        Step::Probe,
        "asked all the same"
    );
    let (said, news) = tell(&mut all, "carol@x", &yes(), 18);
    assert!(said == Verified::Yes && matches!(news, Some(News::Over { .. })));
}

#[test]
fn exchange_names_an_unknown_recipient_by_a_code_of_the_network() {
    let status = EnhancedStatus::new(5, 4, 1);
    let text = "Recipient address rejected: Access denied. [XYZ.prod.protection.example]";
    let mut failure = Failure::new(Blame::Network, Stage::Recipient, status, text);
    failure.reply = ReplyCode::new(550);
    assert_eq!(about(&failure), About::Recipient);
}
