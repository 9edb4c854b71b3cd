//! `sendmail-shim test`: a message through the agent, as any program would send it, followed until
//! the relayhost has answered.

use console::Daemon;
use mail::{
    address::{Address, LocalPart, Mailbox},
    envelope::{Mail, Rcpt},
    message::{Splitter, writer::Writer},
    notice,
    outcome::Outcome,
};
use sendmail::listing::REMEDY;
use system::sysexits::Exit;

use crate::terminal::{CommandError, complain, say};
use crate::{
    compose::{body::Body, read::Message},
    config::settings::Settings,
    plan::Submission,
    submit::{
        agent::{self, HandedOver},
        ready::Ready,
        report::Report,
    },
};

/// Sends it, and tells what becomes of it: 0 when the relayhost has it.
pub fn run(settings: &Settings, address: Option<Address>) -> Result<Exit, CommandError> {
    let target = match address {
        Some(address) => Ok(Mailbox::Address(address)),
        None => LocalPart::new("root").map(Mailbox::Local),
    };
    let ready = target
        .map_err(|error| error.to_string())
        .and_then(|target| ready(settings, target))
        .map_err(|error| CommandError::new(Exit::Software, error))?;
    match agent::send(&settings.socket, &ready) {
        HandedOver::Outcomes(outcomes) => {
            let report = Report::of(&ready.names(), &outcomes, true);
            report.lines.iter().for_each(say);
            match outcomes.first().and_then(queue_id) {
                Some(id) if report.exit == Exit::Ok => {
                    let daemon = Daemon {
                        program: "sendmail-shim",
                        socket: &settings.control,
                        remedy: REMEDY,
                    };
                    console::test::follow(&daemon, &id)
                        .map_err(|error| CommandError::new(Exit::Unavailable, error))
                }
                _ => Ok(report.exit),
            }
        }
        HandedOver::NotTaken { failure, .. } => {
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

fn ready(settings: &Settings, target: Mailbox) -> Result<Ready, String> {
    let hostname = &settings.hostname;
    let to = match &target {
        Mailbox::Address(address) => address.clone(),
        Mailbox::Local(name) => {
            Address::new(name.as_str(), &settings.domain).map_err(|error| error.to_string())?
        }
    };
    let notice = notice::test("sendmail-shim", hostname, mail::clock::now(), &to);
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
            misplaced: Vec::new(),
        },
        recipients: vec![Rcpt::from(target)],
    })
}
