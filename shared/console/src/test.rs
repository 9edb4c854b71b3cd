//! `test`: a message that is queued already is followed to its end.
//!
//! Contract: tells where it went and what was said there, or why it waits. Exit status: 0 a next
//! hop has it, 75 it waits, 69 it was refused for good.

use std::{
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
    let mut after = 0;
    let mut exit = Exit::Ok;
    loop {
        let mut waiting = 0;
        let mut trouble = None;
        let request = Request::Follow {
            id: id.to_owned(),
            after,
        };
        control::ask(daemon.socket, &request, &mut |answer| match answer {
            Answer::Attempt(row) => {
                after = after.max(row.number);
                exit = worse(exit, &row);
                say(format_args!("{id}: {row}"));
            }
            Answer::Changed(count) => waiting = count,
            Answer::Refused(why) => trouble = Some(why),
            _ => {}
        })?;
        if waiting == 0 {
            return Ok(exit);
        }
        let stays = trouble.is_some() || exit == Exit::TempFail;
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

/// How it ends, with this attempt.
pub fn worse(exit: Exit, row: &AttemptRow) -> Exit {
    match row.status.as_str() {
        "deferred" => Exit::TempFail,
        "bounced" => Exit::Unavailable,
        _ => exit,
    }
}
