//! How long the client is waited for: before the greeting, for each command, for the bytes of a
//! message, and altogether.
//!
//! Contract: one wait is at most the command timeout, which bytes of a message prolong as far as
//! they come at the minimum rate. All waits since the last accepted message (or since the
//! beginning) together are at most [`WHOLE`] times that, less what messages brought: nobody holds a
//! place for hours with a byte a minute, in commands, after DATA or in BDAT chunks.
//! A client that is hurried gets less of everything. Time in which we are the slow ones is
//! nobody's.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::time::{Duration, Instant};

/// What a byte of a message is worth: 500 a second must come in the long run (Postfix
/// `smtpd_min_data_rate`).
const BYTE: Duration = Duration::from_millis(2);
/// The same of a client that is hurried.
const HURRIED_BYTE: Duration = Duration::from_micros(200);
/// Longest wait for a client that is hurried (Postfix's `stress`).
const HURRIED: Duration = Duration::from_secs(10);
/// So many times the longest wait are all of them together.
const WHOLE: u32 = 6;
/// What an accepted recipient is worth: a client that sends many, one at a time and from far away,
/// is no slow one.
const RECIPIENT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Waits {
    timeout: Duration,
    pub(super) hurried: bool,
    /// When this wait began; bytes of a message move it on.
    began: Instant,
    /// All waits so far.
    spent: Duration,
    /// When the last event came.
    now: Instant,
    greet_at: Option<Instant>,
}

impl Waits {
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self {
            timeout,
            hurried: false,
            began: now,
            spent: Duration::ZERO,
            now,
            greet_at: None,
        }
    }

    /// Time has passed, in which the client was waited for, or we were.
    pub(super) fn pass(&mut self, now: Instant, for_client: bool) {
        if for_client {
            let waited = now.saturating_duration_since(self.now);
            self.spent = self.spent.saturating_add(waited);
        }
        self.now = now;
    }

    /// Something was answered: a new wait begins.
    pub(super) fn begin(&mut self) {
        self.began = self.now;
    }

    /// A message was accepted: what was waited before is forgotten.
    pub(super) fn begin_again(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// So many bytes of a message came.
    pub(super) fn earn(&mut self, bytes: usize) {
        let byte = if self.hurried { HURRIED_BYTE } else { BYTE };
        let earned = byte.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX));
        let later = self.began.checked_add(earned);
        self.began = later.map_or(self.now, |later| later.min(self.now));
        self.spent = self.spent.saturating_sub(earned);
    }

    pub(super) fn earn_recipient(&mut self) {
        self.spent = self.spent.saturating_sub(RECIPIENT);
    }

    /// The greeting comes later.
    pub(super) fn for_greeting(&mut self, wait: Duration) {
        self.greet_at = self.now.checked_add(wait);
    }

    /// Whether it was waited for.
    pub(super) fn no_longer_for_greeting(&mut self) -> bool {
        self.greet_at.take().is_some()
    }

    /// When this wait ends; `for_client`: nothing is asked of the driver.
    pub(super) fn end(&self, for_client: bool) -> Instant {
        if let Some(at) = self.greet_at {
            return at;
        }
        let longest = if self.hurried {
            self.timeout.min(HURRIED)
        } else {
            self.timeout
        };
        let end = self.began.checked_add(longest).unwrap_or(self.now);
        if !for_client {
            return end;
        }
        let left = longest.saturating_mul(WHOLE).saturating_sub(self.spent);
        let whole = self.now.checked_add(left).unwrap_or(self.now);
        end.min(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;
    use crate::reply::Reply;

    const MINUTE: Duration = Duration::from_mins(1);

    struct Client {
        session: Session,
        start: Instant,
        now: Instant,
        said: String,
        paused: Duration,
        over: bool,
    }

    impl Client {
        fn new(settings: Settings) -> Self {
            let start = Instant::now();
            let mut client = Self {
                session: Session::new(settings, start),
                start,
                now: start,
                said: String::new(),
                paused: Duration::ZERO,
                over: false,
            };
            client.tell(Event::Connected);
            client
        }

        fn tell(&mut self, event: Event<'_>) {
            self.session.handle(event, self.now);
            while let Some(action) = self.session.next_action() {
                match action {
                    Action::Send(bytes) => self.said.push_str(str::from_utf8(&bytes).unwrap()),
                    Action::Refused { pause, .. } => self.paused += pause,
                    Action::Close => self.over = true,
                    Action::Ask(question) => {
                        let verdict = match question {
                            Question::Recipient(to) if to.to.to_string().starts_with("no") => {
                                Verdict::Refuse(Reply::literal("550 5.1.1 no"))
                            }
                            _ => Verdict::Accept,
                        };
                        self.session.handle(Event::Verdict(verdict), self.now);
                    }
                    _ => {}
                }
            }
        }

        fn say(&mut self, bytes: &[u8]) {
            self.tell(Event::Received(bytes));
        }

        /// A client that says something at most so often; how long it lasts.
        fn lasts(mut self, pause: Duration, mut next: impl FnMut() -> Vec<u8>) -> Duration {
            while !self.over {
                let due = self.session.deadline().unwrap();
                if due <= self.now + pause {
                    self.now = due;
                    self.tell(Event::TimedOut);
                } else {
                    self.now += pause;
                    self.say(&next());
                }
                assert!(self.now < self.start + 24 * 60 * MINUTE, "for hours");
            }
            self.now - self.start
        }
    }

    fn client(opening: &str) -> Client {
        let mut client = Client::new(Settings::default());
        client.say(b"EHLO c\r\n");
        client.say(opening.as_bytes());
        client
    }

    /// One byte after the other, again and again.
    fn bytes(text: &str) -> impl FnMut() -> Vec<u8> {
        let mut all = text.to_owned().into_bytes().into_iter().cycle();
        move || all.by_ref().take(1).collect()
    }

    fn whole(text: &str) -> impl FnMut() -> Vec<u8> {
        move || text.to_owned().into_bytes()
    }

    type Next = Box<dyn FnMut() -> Vec<u8>>;

    const DATA: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    const BEGUN: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

    #[test]
    fn a_client_that_drips_holds_no_place_for_hours_whatever_it_drips() {
        let often = Duration::from_secs(4);
        let kinds: [(&str, Next, Duration); 9] = [
            ("", Box::new(bytes("NOOP\r\n")), MINUTE),
            ("", Box::new(whole("NOOP\r\n")), MINUTE * 4),
            ("", Box::new(whole("EHLO again\r\n")), MINUTE),
            (
                "",
                Box::new(whole("MAIL FROM:<a@b.example>\r\nRSET\r\n")),
                MINUTE,
            ),
            (BEGUN, Box::new(whole("RCPT TO:<e@d.example>\r\n")), MINUTE),
            (BEGUN, Box::new(whole("BDAT 1\r\nx")), MINUTE),
            (DATA, Box::new(bytes("x\r\n")), MINUTE),
            (DATA, Box::new(whole("x\r\n")), often),
            ("AUTH PLAIN\r\n", Box::new(bytes("YWJj")), MINUTE),
        ];
        for (opening, mut next, pause) in kinds {
            let first = String::from_utf8(next()).unwrap();
            let lasted = client(opening).lasts(pause, &mut next);
            assert!(lasted <= 40 * MINUTE, "{opening}{first}: {lasted:?}");
            let mut hurried = client(opening);
            hurried.session.hurry(true);
            let lasted = hurried.lasts(often, &mut next);
            assert!(
                lasted <= 2 * MINUTE,
                "hurried, {opening}{first}: {lasted:?}"
            );
        }
    }

    #[test]
    fn honest_clients_are_waited_for_however_much_they_bring_and_however_slow_we_are() {
        // One message after the other, after pauses.
        let mut session = client("");
        for _ in 0..100 {
            session.now += 4 * MINUTE;
            assert!(session.session.deadline().unwrap() > session.now);
            session.say(DATA.as_bytes());
            session.say(b"x\r\n.\r\n");
        }
        // A large one over a thin line: 1000 bytes a second for five hours.
        let mut session = client(DATA);
        for _ in 0..18_000 {
            session.now += Duration::from_secs(1);
            assert!(session.session.deadline().unwrap() > session.now);
            session.say(&[b'x'; 998]);
            session.say(b"\r\n");
        }
        // A thousand recipients, each asked for alone and from far away.
        let mut session = client("MAIL FROM:<a@b.example>\r\n");
        for _ in 0..1000 {
            session.now += Duration::from_secs(2);
            assert!(session.session.deadline().unwrap() > session.now);
            session.say(b"RCPT TO:<c@d.example>\r\n");
        }
        assert!(!session.said.contains("421"));
        // A verdict that takes long.
        let mut session = client("");
        for _ in 0..40 {
            session
                .session
                .handle(Event::Received(b"EHLO c\r\n"), session.now);
            let asked = session.session.next_action();
            assert!(matches!(asked, Some(Action::Ask(_))), "{asked:?}");
            session.now += 2 * MINUTE;
            session.tell(Event::Verdict(Verdict::Accept));
        }
        session.now += MINUTE;
        session.say(DATA.as_bytes());
        assert!(
            session.said.ends_with("<CR><LF>.<CR><LF>\r\n"),
            "{}",
            session.said
        );
    }

    #[test]
    fn who_talks_before_the_greeting_is_refused_and_who_waits_is_greeted() {
        let settings = || Settings {
            greet_wait: Duration::from_secs(1),
            ..Settings::default()
        };
        let mut client = Client::new(settings());
        assert_eq!(client.said, "");
        let due = client.session.deadline().unwrap();
        assert_eq!(due, client.start + Duration::from_secs(1));
        client.now = due;
        client.tell(Event::TimedOut);
        assert!(client.said.starts_with("220 "), "{}", client.said);
        client.say(b"EHLO c\r\n");
        assert!(client.said.contains("250"), "{}", client.said);
        assert!(client.session.deadline().unwrap() >= client.now + 4 * MINUTE);
        for talk in ["E", "EHLO c\r\n", "\n", "\u{16}\u{3}"] {
            let mut early = Client::new(settings());
            early.say(talk.as_bytes());
            assert!(early.said.starts_with("521 "), "{}", early.said);
            assert!(early.over);
        }
        let mut gone = Client::new(settings());
        gone.tell(Event::Closed);
        assert!(gone.over && gone.said.is_empty());
    }

    #[test]
    fn the_answer_to_each_error_beyond_half_of_them_waits() {
        let settings = Settings {
            error_delay: Duration::from_secs(1),
            ..Settings::default()
        };
        let mut client = Client::new(settings);
        client.say(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\n");
        for number in 1..20 {
            client.say(b"RCPT TO:<no@d.example>\r\nRCPT TO:<yes@d.example>\r\n");
            let slow = Duration::from_secs(u64::saturating_sub(number, 10));
            assert_eq!(client.paused, slow, "error {number}");
        }
        client.say(b"XYZZY\r\n");
        assert!(client.over && client.said.contains("421 4.7.0"));
    }
}
