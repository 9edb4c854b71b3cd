//! `sendmail-shim test`: a message through the agent, as any program would send it, followed until
//! the relayhost has answered.

use std::time::{Duration, Instant};

use control::order;
use mail::{
    address::{Address, LocalPart, Mailbox},
    envelope::{Mail, Rcpt},
    message::{Splitter, writer::Writer},
    notice,
    outcome::Outcome,
};
use system::sysexits::Exit;

use crate::terminal::{Trouble, complain, say};
use crate::{
    compose::{body::Body, read::Message},
    config::settings::Settings,
    plan::Submission,
    queue::{Answer as Told, AttemptRow, Request},
    submit::{
        agent::{self, Answer},
        ready::Ready,
        report::Report,
    },
};

/// How long it is followed.
const FOLLOW: Duration = Duration::from_mins(2);

/// Sends it, and tells what becomes of it: 0 when the relayhost has it.
pub fn run(settings: &Settings, address: Option<Address>) -> Result<Exit, Trouble> {
    let target = match address {
        Some(address) => Ok(Mailbox::Address(address)),
        None => LocalPart::new("root").map(Mailbox::Local),
    };
    let ready = target
        .map_err(|error| error.to_string())
        .and_then(|target| ready(settings, target))
        .map_err(|error| Trouble::new(Exit::Software, error))?;
    match agent::send(&settings.socket, &ready) {
        Answer::Outcomes(outcomes) => {
            let report = Report::of(&ready.names(), &outcomes, true);
            report.lines.iter().for_each(say);
            match outcomes.first().and_then(queue_id) {
                Some(id) if report.exit == Exit::Ok => follow(settings, &id),
                _ => Ok(report.exit),
            }
        }
        Answer::NotTaken(failure) => {
            complain(
                "sendmail-shim",
                format_args!("not taken by the agent: {}", failure.log_text()),
            );
            complain("sendmail-shim", "what is wrong: sendmail-shim check");
            Ok(Exit::TempFail)
        }
    }
}

/// The agent's words end with the id.
fn queue_id(outcome: &Outcome) -> Option<String> {
    let Outcome::Delivered(delivery) = outcome else {
        return None;
    };
    let (_, id) = delivery.reply.split_once("queued as ")?;
    Some(id.trim().to_owned())
}

/// Asks for attempts until no recipient waits, one is deferred, or it takes too long.
fn follow(settings: &Settings, id: &str) -> Result<Exit, Trouble> {
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
        control::ask(&settings.control, &request, &mut |answer| match answer {
            Told::Attempt(row) => {
                after = after.max(row.number);
                exit = worse(exit, &row);
                say(format_args!("{id}: {}", told(&row)));
            }
            Told::Queue(order::Answer::Changed(count)) => waiting = count,
            Told::Queue(order::Answer::Refused(why)) => trouble = Some(why),
            Told::Queue(_) | Told::Settings(_) | Told::Status(_) => {}
        })
        .map_err(|error| Trouble::new(Exit::Unavailable, error))?;
        if waiting == 0 {
            return Ok(exit);
        }
        let stays = trouble.is_some() || exit == Exit::TempFail;
        if stays || Instant::now() >= until {
            let why = trouble.unwrap_or_else(|| "still under way".to_owned());
            complain(
                "sendmail-shim",
                format_args!("{id} waits in the queue: {why}"),
            );
            complain(
                "sendmail-shim",
                format_args!(
                    "what is wrong: sendmail-shim check; give up this message: sendmail-shim queue delete {id}"
                ),
            );
            return Ok(Exit::TempFail);
        }
    }
}

fn told(row: &AttemptRow) -> String {
    let relay = row.relay.as_deref().unwrap_or("no relayhost");
    format!(
        "<{}> {} by {relay}: {}",
        row.recipient, row.status, row.text
    )
}

fn worse(exit: Exit, row: &AttemptRow) -> Exit {
    match row.status.as_str() {
        "deferred" => Exit::TempFail,
        "bounced" => Exit::Unavailable,
        _ => exit,
    }
}

fn ready(settings: &Settings, target: Mailbox) -> Result<Ready, String> {
    let hostname = &settings.hostname;
    let to = match &target {
        Mailbox::Address(address) => address.clone(),
        Mailbox::Local(name) => {
            Address::new(name.as_str(), &settings.domain).map_err(|error| error.to_string())?
        }
    };
    let text = format!(
        "sendmail-shim on {hostname} can send mail.\n\nThis is what `sendmail-shim test` sends.\n"
    );
    let notice = notice::notice(
        hostname,
        mail::clock::now(),
        &[to],
        &format!("Test message from {hostname}"),
        &text,
    );
    let mut splitter = Splitter::default();
    let mut body = Body::default();
    let rest = splitter.split(&notice).map_err(|error| error.to_string())?;
    body.write(rest).map_err(|error| error.to_string())?;
    let (mut header, content) = splitter.finish();
    // Somebody waits for it: it is not kept for a digest, and no budget of automatic mail counts
    // it.
    header.remove("Auto-Submitted");
    // Nor does the smarthost, so many times a day.
    let writer = Writer {
        test: true,
        ..Writer::default()
    };
    header.append(writer.field());
    let submission = Submission {
        mail: Mail::of_caller(None),
        verbose: true,
        ..Submission::default()
    };
    Ok(Ready {
        submission,
        message: Message {
            header,
            content,
            charset: "utf-8",
            body,
        },
        recipients: vec![Rcpt::from(target)],
    })
}
