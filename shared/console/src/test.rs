//! `test`: a message that is queued already is followed to its end.
//!
//! Contract: tells where it went and what was said there, or why it waits; of each recipient the
//! last attempt counts. Exit status: 0 a next hop has it, 75 it waits, or is gone and nobody here
//! heard how, 69 it was refused for good.

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use control::order::{Answer, AttemptRow, Request};
use system::{
    sysexits::Exit,
    terminal::{complain, say},
};

use crate::Daemon;

/// How long it is followed.
const FOLLOW: Duration = Duration::from_mins(2);

/// Asks for attempts until no recipient waits, one is deferred, or it takes too long.
pub fn follow(daemon: &Daemon<'_>, id: &str) -> io::Result<Exit> {
    let until = Instant::now() + FOLLOW;
    let mut heard = Heard::default();
    loop {
        let (waiting, trouble) = heard.ask(daemon, id)?;
        if waiting == 0 {
            // What ended while it was asked is known by now.
            heard.ask(daemon, id)?;
            return Ok(heard.end(daemon.program, id));
        }
        let stays = trouble.is_some() || heard.is_deferred();
        if stays || Instant::now() >= until {
            let why = match trouble {
                Some(why) => format!(": {why}"),
                None if stays => " and is tried again".to_owned(),
                None => ": still under way".to_owned(),
            };
            let program = daemon.program;
            complain(program, format_args!("{id} waits in the queue{why}"));
            complain(
                program,
                format_args!(
                    "what is wrong: {program} check; give up this message: {program} queue delete {id}"
                ),
            );
            return Ok(Exit::TempFail);
        }
    }
}

/// The last attempt for each recipient.
#[derive(Default)]
struct Heard {
    /// The number of the last one.
    after: u64,
    last: HashMap<String, AttemptRow>,
}

impl Heard {
    /// Asks for what is new, and tells it. How many recipients wait, and what keeps them.
    fn ask(&mut self, daemon: &Daemon<'_>, id: &str) -> io::Result<(usize, Option<String>)> {
        let (mut waiting, mut trouble) = (0, None);
        let request = Request::Follow {
            id: id.to_owned(),
            after: self.after,
        };
        control::ask(daemon.socket, &request, &mut |answer| match answer {
            Answer::Attempt(row) => {
                self.after = self.after.max(row.number);
                say(format_args!("{id}: {row}"));
                self.last.insert(row.recipient.clone(), *row);
            }
            Answer::Changed(count) => waiting = count,
            Answer::Refused(why) => trouble = Some(why),
            _ => {}
        })?;
        Ok((waiting, trouble))
    }

    fn is_deferred(&self) -> bool {
        self.exit() == Exit::TempFail
    }

    fn exit(&self) -> Exit {
        let statuses = || self.last.values().map(|row| row.status.as_str());
        if statuses().any(|status| status == "deferred") {
            return Exit::TempFail;
        }
        self.last.values().fold(Exit::Ok, worse)
    }

    /// Nothing waits any more.
    fn end(&self, program: &str, id: &str) -> Exit {
        if self.last.is_empty() || self.is_deferred() {
            let text = "is not in the queue any more, and how it ended was not heard here";
            complain(program, format_args!("{id} {text}: {program} trace {id}"));
            return Exit::TempFail;
        }
        self.exit()
    }
}

/// How it ends, with this attempt.
pub fn worse(exit: Exit, row: &AttemptRow) -> Exit {
    match row.status.as_str() {
        "deferred" => Exit::TempFail,
        "bounced" => Exit::Unavailable,
        _ => exit,
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, path::Path, thread};

    use control::serve::serve_one;

    use super::*;

    fn followed(socket: &Path, answers: &[&[Answer]]) -> Exit {
        let listener = UnixListener::bind(socket).unwrap();
        let daemon = Daemon {
            program: "sendmail-shim",
            socket,
            remedy: "",
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for answers in answers {
                    let (stream, _) = listener.accept().unwrap();
                    let answered = serve_one(&stream, |_: Request, _, say| {
                        answers.iter().try_for_each(&mut *say)
                    });
                    answered.unwrap();
                }
            });
            follow(&daemon, "0000000000001").unwrap()
        })
    }

    #[test]
    fn what_is_delivered_or_returned_while_it_is_asked_is_told_as_that_and_not_as_waiting() {
        let row = |number, recipient: &str, status: &str| {
            Answer::Attempt(Box::new(AttemptRow {
                number,
                recipient: recipient.to_owned(),
                status: status.to_owned(),
                relay: None,
                text: String::new(),
            }))
        };
        let later = || row(1, "a@x.example", "deferred");
        let sent = |number| row(number, "a@x.example", "sent");
        let [none, one] = [0, 1].map(Answer::Changed);
        let nothing = std::slice::from_ref(&none);
        let paused = Answer::Refused("the relayhost is away".to_owned());
        let directory = tempfile::tempdir().unwrap();
        let table: [(&[&[Answer]], Exit); 8] = [
            (&[&[sent(1), none.clone()], nothing], Exit::Ok),
            (
                &[&[later(), none.clone()], &[sent(2), none.clone()]],
                Exit::Ok,
            ),
            (
                &[
                    &[later(), none.clone()],
                    &[row(2, "a@x.example", "bounced"), none.clone()],
                ],
                Exit::Unavailable,
            ),
            (
                &[
                    &[sent(1), row(2, "b@x.example", "bounced"), none.clone()],
                    nothing,
                ],
                Exit::Unavailable,
            ),
            // Deleted by an administrator, or the daemon was started again.
            (&[&[later(), none.clone()], nothing], Exit::TempFail),
            (&[nothing, nothing], Exit::TempFail),
            (&[&[later(), one.clone()]], Exit::TempFail),
            (&[&[paused, one]], Exit::TempFail),
        ];
        for (number, (answers, exit)) in table.into_iter().enumerate() {
            let socket = directory.path().join(number.to_string());
            assert_eq!(followed(&socket, answers), exit, "{answers:?}");
        }
    }
}
