//! The dialogs in `tests/data/dialogs`, held with the session machine: once as written, and once
//! byte by byte, with the same replies.
//!
//! Facts: `closed`, `open`, `aborted`, `not aborted` (since the last such line), `message TEXT`
//! (the content handed over since the last such line, escaped as in `C|`), `asked QUESTION` (the
//! last one, as `rcpt user@example.org`), `protocol NAME`, `verb NAME`.
#![expect(clippy::unwrap_used, reason = "a harness fails its test by panicking")]

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use smtp::{
    reply::Reply,
    session::{Action, Event, Question, Session, Settings, Verdict},
};
use tests::dialog::{Act, Dialog, matches, unescape};

/// A session, and what it did.
struct Held {
    session: Session,
    now: Instant,
    answers: VecDeque<(String, Verdict)>,
    said: Vec<u8>,
    asked: String,
    body: Vec<u8>,
    aborts: usize,
    wants_tls: bool,
    closed: bool,
}

impl Held {
    fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let session = Session::new(settings, now);
        let (answers, said, asked, body) = (VecDeque::new(), Vec::new(), String::new(), Vec::new());
        Self {
            session,
            now,
            answers,
            said,
            asked,
            body,
            aborts: 0,
            wants_tls: false,
            closed: false,
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.session.handle(event, self.now);
        while let Some(action) = self.session.next_action() {
            assert!(!self.closed, "{action:?} after Close");
            match action {
                Action::Send(bytes) => self.said.extend(bytes),
                Action::StartTls => self.wants_tls = true,
                Action::Ask(question) => {
                    let verdict = self.verdict(&question);
                    self.session.handle(Event::Verdict(verdict), self.now);
                }
                Action::Body(piece) => self.body.extend(piece),
                Action::Abort => self.aborts += 1,
                Action::Refused { .. } => {}
                Action::Close => self.closed = true,
            }
        }
    }

    fn verdict(&mut self, question: &Question) -> Verdict {
        let (name, text) = match question {
            Question::Connect => ("connect", String::new()),
            Question::Helo { name, .. } => ("helo", name.clone()),
            Question::Auth => ("auth", String::new()),
            Question::Login(attempt) => ("login", attempt.user.clone()),
            Question::Client(said) => ("client", format!("{said:?}")),
            Question::Enroll(said) => ("enroll", said.clone()),
            Question::Mail(mail) => {
                let sender = mail.sender.as_ref().map(ToString::to_string);
                ("mail", sender.unwrap_or_default())
            }
            Question::Recipient(rcpt) => ("rcpt", rcpt.to.to_string()),
            Question::Data => ("data", String::new()),
            Question::Message { size } => ("message", size.to_string()),
        };
        format!("{name} {text}")
            .trim_end()
            .clone_into(&mut self.asked);
        match self
            .answers
            .iter()
            .position(|(question, _)| question == name)
        {
            Some(at) => self.answers.remove(at).unwrap().1,
            None => Verdict::Accept,
        }
    }

    /// The server's next line.
    fn line(&mut self) -> Option<String> {
        let end = self.said.windows(2).position(|pair| pair == b"\r\n")?;
        let line: Vec<u8> = self.said.drain(..end + 2).take(end).collect();
        Some(String::from_utf8(line).unwrap())
    }

    fn fact(&mut self, fact: &str) -> Result<(), String> {
        let (word, text) = fact.split_once(' ').unwrap_or((fact, ""));
        let seen = match word {
            "closed" | "open" => (if self.closed { "closed" } else { "open" }).to_owned(),
            "aborted" | "not" => match std::mem::take(&mut self.aborts) {
                0 => "not aborted".to_owned(),
                1 => "aborted".to_owned(),
                more => format!("aborted {more} times"),
            },
            "message" => {
                let body = std::mem::take(&mut self.body);
                if unescape(text).as_ref() == Some(&body) {
                    return Ok(());
                }
                format!("message {}", body.escape_ascii())
            }
            "asked" => format!("asked {}", self.asked),
            "protocol" => format!("protocol {}", self.session.protocol()),
            "verb" => format!("verb {}", self.session.last_verb()),
            _ => return Err(format!("no such fact: {fact}")),
        };
        if seen == fact {
            Ok(())
        } else {
            Err(format!("expected `= {fact}`, but `= {seen}`"))
        }
    }
}

fn settings(dialog: &Dialog) -> Result<Settings, String> {
    let mut settings = Settings {
        hostname: "mail.example.org".into(),
        starttls: true,
        max_size: 10_000_000,
        max_recipients: 100,
        command_timeout: Duration::from_mins(5),
        ..Settings::default()
    };
    for step in &dialog.steps {
        let Act::Set { key, value } = &step.act else {
            continue;
        };
        let number = || {
            value
                .parse()
                .map_err(|_| format!("line {}: {key} needs a number", step.line))
        };
        match key.as_str() {
            "no-starttls" => settings.starttls = false,
            "wrapped" => settings.encrypted = true,
            "local" => settings.local = true,
            "banner" => settings.banner = Some(value.clone()),
            "max-size" => settings.max_size = number()?,
            "max-recipients" => settings.max_recipients = usize::try_from(number()?).unwrap(),
            "max-errors" => settings.max_errors = u32::try_from(number()?).unwrap(),
            "max-junk" => settings.max_junk = u32::try_from(number()?).unwrap(),
            _ => return Err(format!("line {}: no such setting: {key}", step.line)),
        }
    }
    Ok(settings)
}

fn verdict(word: &str, reply: &str) -> Option<Verdict> {
    let reply = Reply::literal(reply);
    match word {
        "with" => Some(Verdict::AcceptWith(reply)),
        "refuse" => Some(Verdict::Refuse(reply)),
        "close" => Some(Verdict::Close(reply)),
        _ => None,
    }
}

/// Holds the dialog, with packets of at most `packet` bytes; the first difference is the error.
fn hold(dialog: &Dialog, packet: usize) -> Result<(), String> {
    let mut held = Held::new(settings(dialog)?);
    let mut connected = false;
    let mut pending: Vec<u8> = Vec::new();
    for (index, step) in dialog.steps.iter().enumerate() {
        let fail = |why: String| Err(format!("line {}: {why}", step.line));
        if !connected && matches!(step.act, Act::Client(_) | Act::Server(_)) {
            connected = true;
            held.tell(Event::Connected);
        }
        match &step.act {
            Act::Set { .. } => {}
            Act::Answer {
                question,
                verdict: word,
                reply,
            } => match verdict(word, reply) {
                Some(verdict) => held.answers.push_back((question.clone(), verdict)),
                None => return fail(format!("no such verdict: {word}")),
            },
            Act::Client(bytes) => {
                pending.extend(bytes);
                if dialog
                    .steps
                    .get(index + 1)
                    .is_some_and(|next| matches!(next.act, Act::Client(_)))
                {
                    continue;
                }
                if let Some(line) = held.line() {
                    return fail(format!("the server has said more: {line}"));
                }
                pending
                    .chunks(packet)
                    .for_each(|piece| held.tell(Event::Received(piece)));
                pending.clear();
            }
            Act::Server(expected) => match held.line() {
                Some(line) if matches(expected, &line) => {}
                Some(line) => {
                    return fail(format!("expected `{expected}`, the server says `{line}`"));
                }
                None => return fail(format!("expected `{expected}`, the server says nothing")),
            },
            Act::Event(event) => match event.as_str() {
                "tls" if std::mem::take(&mut held.wants_tls) => held.tell(Event::TlsStarted),
                "timeout" => held.tell(Event::TimedOut),
                "shutdown" => held.tell(Event::Shutdown),
                "closed" => held.tell(Event::Closed),
                _ => return fail(format!("no such event now: {event}")),
            },
            Act::Fact(fact) => {
                if let Err(why) = held.fact(fact) {
                    return fail(why);
                }
            }
        }
    }
    match (held.line(), held.answers.pop_front()) {
        (Some(line), _) => Err(format!("at the end the server says `{line}`")),
        (None, Some((question, _))) => Err(format!("the question `{question}` was not asked")),
        (None, None) => Ok(()),
    }
}

/// Rows C8 (typed by hand), A4 and C7 (refusals that keep the mail), and the smuggling family.
#[test]
fn every_dialog_goes_as_it_is_written_in_whatever_packets() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dialogs");
    let dialogs = Dialog::read_all(&directory).unwrap();
    assert!(dialogs.len() >= 20, "the dialogs are missing");
    let mut faults = Vec::new();
    for dialog in &dialogs {
        for packet in [usize::MAX, 1, 7] {
            if let Err(why) = hold(dialog, packet) {
                faults.push(format!(
                    "{}: {why} (packets of {packet} bytes)",
                    dialog.path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A dialog that is wrong is noticed: the test of the test.
#[test]
fn a_dialog_that_does_not_fit_names_its_line() {
    let cases = [
        (
            "S: 220 *\nC: NOOP\nS: 250 2.0.0 No\n",
            "line 3: expected `250 2.0.0 No`, the server says `250 2.0.0 Ok`",
        ),
        (
            "S: 220 *\nC: NOOP\n",
            "at the end the server says `250 2.0.0 Ok`",
        ),
        (
            "S: 220 *\n= closed\n",
            "line 2: expected `= closed`, but `= open`",
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.chat");
    for (text, expected) in cases {
        write(&path, text);
        assert_eq!(
            hold(&Dialog::read(&path).unwrap(), usize::MAX),
            Err(expected.to_owned())
        );
    }
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}
