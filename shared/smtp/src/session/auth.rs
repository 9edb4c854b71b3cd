//! AUTH, in encrypted sessions where logins are there.
//!
//! Contract: the driver is asked before anything is said to a client that wants to log in, and
//! again before it hears whether its proof is right.
//! Failures: a wrong proof is the driver's to refuse, which counts such attempts; what is no
//! response at all is refused here (501), and the exchange is over.
//! RFC 4954 §4 (initial response, cancel), §6 (replies).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::mem;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    interface::Question,
    machine::Session,
    state::{Asked, Exchange, Mode},
};
use crate::sasl::{Acceptor, MECHANISMS, Progress};

impl Session {
    /// As EHLO offers them.
    pub(super) fn mechanisms(&self) -> Vec<String> {
        let offered = self.encrypted && self.settings.logins.is_some();
        let mechanisms = MECHANISMS.iter().filter(|_| offered);
        mechanisms.map(|&name| name.to_owned()).collect()
    }

    pub(super) fn auth(&mut self, arguments: &str) {
        let (mechanism, initial) = match arguments.split_once(' ') {
            Some((mechanism, initial)) => (mechanism, Some(initial.trim())),
            None => (arguments, None),
        };
        if let Some(reply) = self.no_auth() {
            return self.refuse(reply);
        }
        if mechanism.is_empty() {
            return self.refuse("501 5.5.4 Syntax: AUTH mechanism");
        }
        let Some(acceptor) = Acceptor::new(mechanism) else {
            return self.refuse("504 5.5.4 Error: unrecognized authentication mechanism");
        };
        let initial = initial.map(str::to_owned);
        let exchange = Box::new(Exchange { acceptor, initial });
        self.ask(Question::Auth, Asked::Auth(exchange));
    }

    /// The client may try.
    pub(super) fn begin_auth(&mut self, exchange: Exchange) {
        self.mode = Mode::Response(exchange.acceptor);
        match exchange.initial.as_deref() {
            // An empty one is written so.
            Some("=") => self.progress(b""),
            Some(initial) => self.respond(initial.as_bytes()),
            None => self.say("334 "),
        }
    }

    /// The client may log in; the mechanism may still have something to say.
    pub(super) fn admit(&mut self, user: String, mut acceptor: Acceptor) {
        if let Some(words) = acceptor.last_words() {
            self.mode = Mode::Response(acceptor);
            return self.challenge(&words);
        }
        self.log_in(user);
    }

    fn log_in(&mut self, user: String) {
        self.mode = Mode::Command;
        self.login = Some(user);
        self.say("235 2.7.0 Authentication successful");
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.say(&format!("334 {}", BASE64_STANDARD.encode(challenge)));
    }

    /// Why nobody can log in now.
    fn no_auth(&self) -> Option<&'static str> {
        if self.settings.logins.is_none() {
            Some("503 5.5.1 Error: authentication not enabled")
        } else if !self.encrypted {
            Some(
                "538 5.7.11 Error: logins are taken in encrypted sessions only; send STARTTLS first",
            )
        } else if !self
            .greeting
            .as_ref()
            .is_some_and(|greeting| greeting.extended)
        {
            Some("503 5.5.1 Error: send EHLO first")
        } else if self.transaction.is_some() {
            Some("503 5.5.1 Error: MAIL transaction in progress")
        } else if self.login.is_some() {
            Some("503 5.5.1 Error: already authenticated")
        } else {
            None
        }
    }

    /// A line while an exchange is under way.
    pub(super) fn respond(&mut self, line: &[u8]) {
        if line == b"*" {
            return self.cancel("501 5.7.0 Authentication aborted");
        }
        match BASE64_STANDARD.decode(line) {
            Ok(response) => self.progress(&response),
            Err(_) => self.cancel("501 5.5.2 Error: the response is not base64"),
        }
    }

    fn progress(&mut self, response: &[u8]) {
        let mut nonce = [0; 18];
        let random = getrandom::fill(&mut nonce);
        let (Mode::Response(acceptor), Some(logins), Ok(())) =
            (&mut self.mode, &self.settings.logins, random)
        else {
            return self.cancel("454 4.7.0 Temporary authentication failure");
        };
        let nonce = BASE64_STANDARD.encode(nonce);
        match acceptor.respond(response, logins, &nonce) {
            Ok(Progress::Challenge(challenge)) => self.challenge(&challenge),
            Ok(Progress::Attempt(attempt)) => {
                let Mode::Response(acceptor) = mem::replace(&mut self.mode, Mode::Command) else {
                    return;
                };
                let asked = Asked::Login(attempt.user.clone(), Box::new(acceptor));
                self.ask(Question::Login(attempt), asked);
            }
            Ok(Progress::Done(user)) => self.log_in(user),
            Err(why) => self.cancel(&format!("501 5.7.0 Error: {why}")),
        }
    }

    fn cancel(&mut self, reply: &str) {
        self.mode = Mode::Command;
        self.refuse(reply);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU32,
        sync::Arc,
        time::{Duration, Instant},
    };

    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use crate::{
        sasl::{Credentials, Exchange, Logins, Verifier},
        session::{Action, Event, Question, Session, Settings, Verdict},
    };

    fn logins() -> Arc<Logins> {
        let rounds = NonZeroU32::new(4096).unwrap();
        let verifier = Verifier::new("pencil", b"salt", rounds);
        Arc::new(Logins::new(
            [("vm7".to_owned(), verifier)].into(),
            b"secret",
        ))
    }

    struct Client {
        session: Session,
        now: Instant,
        attempts: usize,
        closed: bool,
        full: bool,
    }

    impl Client {
        fn new(encrypted: bool, logins: Option<Arc<Logins>>) -> Self {
            let settings = Settings {
                hostname: "mail.example.org".into(),
                starttls: true,
                encrypted,
                max_size: 5_000_000,
                max_recipients: 5,
                logins,
                xenroll: true,
                command_timeout: Duration::from_mins(5),
                forbid_unauth_pipelining: true,
                ..Settings::default()
            };
            let now = Instant::now();
            let session = Session::new(settings, now);
            let mut client = Self {
                session,
                now,
                attempts: 0,
                closed: false,
                full: false,
            };
            client.session.handle(Event::Connected, now);
            client.replies();
            client
        }

        fn say(&mut self, line: &str) -> String {
            let line = format!("{line}\r\n");
            self.session
                .handle(Event::Received(line.as_bytes()), self.now);
            self.replies()
        }

        fn replies(&mut self) -> String {
            let mut said = Vec::new();
            while let Some(action) = self.session.next_action() {
                match action {
                    Action::Send(bytes) => said.extend(bytes),
                    Action::Ask(question) => {
                        let refuse = |text| Verdict::Refuse(crate::reply::Reply::literal(text));
                        let verdict = match question {
                            Question::Auth if self.closed => refuse("454 4.7.0 closed"),
                            Question::Login(_) if self.full => refuse("454 4.7.0 full"),
                            Question::Login(attempt) if !logins().admits(&attempt) => {
                                self.attempts += 1;
                                refuse("535 5.7.8 no")
                            }
                            _ => Verdict::Accept,
                        };
                        self.session.handle(Event::Verdict(verdict), self.now);
                    }
                    _ => {}
                }
            }
            String::from_utf8(said).unwrap().trim_end().to_owned()
        }

        /// The last reply.
        fn log_in(&mut self, mechanism: &str, password: &str) -> String {
            let credentials = Credentials {
                user: "vm7".into(),
                secret: crate::sasl::Secret::Password(password.into()),
            };
            let mut exchange =
                Exchange::choose(&[mechanism.to_owned()], credentials, "abc").unwrap();
            let initial = BASE64_STANDARD.encode(exchange.initial().unwrap());
            let mut reply = self.say(&format!("AUTH {mechanism} {initial}"));
            while let Some(challenge) = reply.strip_prefix("334 ") {
                let challenge = BASE64_STANDARD.decode(challenge).unwrap();
                let answer = exchange.answer(&challenge).unwrap();
                reply = self.say(&BASE64_STANDARD.encode(answer));
            }
            reply
        }
    }

    #[test]
    fn a_client_logs_in_under_tls_only_and_once() {
        for mechanism in ["SCRAM-SHA-256", "PLAIN"] {
            let mut client = Client::new(true, Some(logins()));
            assert!(
                client
                    .say("AUTH PLAIN AHZtNwBwZW5jaWw=")
                    .starts_with("503 "),
                "before EHLO"
            );
            assert!(
                client
                    .say("EHLO vm7.example.org")
                    .contains("250-AUTH SCRAM-SHA-256 PLAIN")
            );
            assert!(client.log_in(mechanism, "pencils").starts_with("535 5.7.8"));
            assert_eq!((client.attempts, client.session.login()), (1, None));
            assert!(client.log_in(mechanism, "pencil").starts_with("235 2.7.0"));
            assert_eq!(client.session.login(), Some("vm7"));
            assert_eq!(client.session.protocol(), "ESMTPSA");
            assert!(
                client
                    .say("AUTH PLAIN AHZtNwBwZW5jaWw=")
                    .starts_with("503 "),
                "twice"
            );
            let mail = client.say("MAIL FROM:<a@example.org> AUTH=a+40example.org");
            assert!(mail.starts_with("250 "), "{mail}");
        }
        let mut clear = Client::new(false, Some(logins()));
        assert!(!clear.say("EHLO vm7.example.org").contains("AUTH"));
        assert!(clear.log_in("PLAIN", "pencil").starts_with("538 5.7.11"));
        assert_eq!(clear.session.login(), None);
        let mut without = Client::new(true, None);
        assert!(!without.say("EHLO vm7.example.org").contains("AUTH"));
        assert!(without.log_in("PLAIN", "pencil").starts_with("503 5.5.1"));
    }

    #[test]
    fn an_exchange_is_cancelled_by_a_star_and_by_nonsense_and_commands_go_on() {
        let mut client = Client::new(true, Some(logins()));
        client.say("EHLO vm7.example.org");
        for (line, reply) in [
            ("AUTH", "501 "),
            ("AUTH LOGIN", "504 "),
            ("AUTH PLAIN", "334"),
            ("*", "501 5.7.0"),
            ("AUTH PLAIN", "334"),
            ("not base64", "501 5.5.2"),
            ("AUTH PLAIN =", "501 "),
            ("AUTH SCRAM-SHA-256 biwsbj12bTcscj1h", "334 "),
            ("YWJj", "501 "),
            ("AUTH PLAIN", "334"),
            ("AHZtNwBwZW5jaWw=", "235 "),
            ("NOOP", "250 "),
        ] {
            let said = client.say(line);
            assert!(said.starts_with(reply), "{line}: {said}");
        }
    }

    /// RFC 4954 §4.
    #[test]
    fn a_response_of_twelve_thousand_octets_is_understood_and_a_longer_one_ends_the_session() {
        let mut client = Client::new(true, Some(logins()));
        client.say("EHLO vm7.example.org");
        let password = "p".repeat(12_288 / 4 * 3 - "\0vm7\0".len());
        let response = BASE64_STANDARD.encode(format!("\0vm7\0{password}"));
        assert_eq!(response.len(), 12_288);
        client.say("AUTH PLAIN");
        let said = client.say(&response);
        assert!(
            said.starts_with("535 ") || said.starts_with("501 5.7.0"),
            "{said}"
        );
        client.say("AUTH PLAIN");
        let said = client.say(&format!("{response}xxxx"));
        assert!(said.starts_with("500 5.5.2"), "{said}");
        let mut other = Client::new(true, Some(logins()));
        other.say("EHLO vm7.example.org");
        let said = other.say(&"x".repeat(4096));
        assert!(
            said.starts_with("500 5.5.2"),
            "commands are shorter: {said}"
        );
    }

    #[test]
    fn a_client_that_may_not_try_hears_neither_challenge_nor_proof() {
        for line in [
            "AUTH SCRAM-SHA-256 biwsbj12bTcscj1h",
            "AUTH PLAIN",
            "AUTH PLAIN AHZtNwBwZW5jaWw=",
        ] {
            let mut client = Client::new(true, Some(logins()));
            client.say("EHLO vm7.example.org");
            client.closed = true;
            assert_eq!(client.say(line), "454 4.7.0 closed", "{line}");
            assert_eq!(client.attempts, 0);
            client.closed = false;
            assert!(client.log_in("SCRAM-SHA-256", "pencil").starts_with("235 "));
        }
        let mut client = Client::new(true, Some(logins()));
        client.say("EHLO vm7.example.org");
        client.full = true;
        let said = client.log_in("SCRAM-SHA-256", "pencil");
        assert_eq!(said, "454 4.7.0 full", "right, and nothing says so");
        assert_eq!(client.session.login(), None);
    }

    #[test]
    fn a_machine_is_enrolled_under_tls_only_and_not_within_a_transaction() {
        let mut clear = Client::new(false, None);
        assert!(!clear.say("EHLO vm7.example.org").contains("XENROLL"));
        assert!(clear.say("XENROLL NAME=vm7").starts_with("538 5.7.11"));
        let mut client = Client::new(true, None);
        assert!(client.say("EHLO vm7.example.org").contains("XENROLL"));
        let said = client.say("xenroll NAME=vm7");
        assert_eq!(said, "250 2.0.0 Ok", "what it says is the driver's");
        client.say("MAIL FROM:<a@example.org>");
        assert!(client.say("XENROLL NAME=vm7").starts_with("503 5.5.1"));
        let said = client.say("XENROLL NAME=vm7\r\nNOOP");
        assert!(said.starts_with("554 5.5.0"), "nothing behind it: {said}");
    }

    #[test]
    fn commands_behind_a_login_in_one_packet_end_the_session() {
        let mut client = Client::new(true, Some(logins()));
        client.say("EHLO vm7.example.org");
        let said = client.say("AUTH PLAIN AHZtNwBwZW5jaWw=\r\nMAIL FROM:<a@example.org>");
        assert!(said.starts_with("554 5.5.0"), "{said}");
        assert_eq!(client.session.login(), None);
    }
}
