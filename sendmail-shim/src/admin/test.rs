//! `sendmail-shim test`: a message through the agent, as any program would send it.

use shared::{
    address::{Address, list::Target},
    envelope::Notify,
    message::Splitter,
    notice,
    sysexits::Exit,
};

use super::terminal::{Trouble, complain, say};
use crate::{
    compose::{body::Body, read::Message},
    config::settings::Settings,
    plan::{Origin, Submission},
    submit::{
        agent::{self, Answer},
        report::Report,
        run::Ready,
    },
};

/// Sends it and tells the queue id.
pub fn run(settings: &Settings, address: Option<Address>) -> Result<Exit, Trouble> {
    let target = address.map_or_else(|| Target::Local("root".to_owned()), Target::Address);
    let ready = ready(settings, target).map_err(|error| Trouble::new(Exit::Software, error))?;
    match agent::send(&settings.socket, &ready) {
        Answer::Outcomes(outcomes) => {
            let report = Report::of(&ready.names(), &outcomes, true);
            report.lines.iter().for_each(say);
            if report.exit == Exit::Ok {
                say("follow it with: sendmail-shim queue list");
            }
            Ok(report.exit)
        }
        Answer::NotTaken(failure) => {
            complain(
                "sendmail-shim",
                format_args!("not taken by the agent: {}", failure.log_text()),
            );
            Ok(Exit::TempFail)
        }
    }
}

fn ready(settings: &Settings, target: Target) -> Result<Ready, String> {
    let hostname = &settings.hostname;
    let to = match &target {
        Target::Address(address) => address.clone(),
        Target::Local(name) => {
            Address::new(name, &settings.domain).map_err(|error| error.to_string())?
        }
    };
    let text = format!(
        "sendmail-shim on {hostname} can send mail.\n\nThis is what `sendmail-shim test` sends.\n"
    );
    let notice = notice::notice(
        hostname,
        shared::clock::now(),
        &[to],
        &format!("Test message from {hostname}"),
        &text,
    );
    let mut splitter = Splitter::default();
    let mut body = Body::default();
    let rest = splitter.split(&notice).map_err(|error| error.to_string())?;
    body.write(rest).map_err(|error| error.to_string())?;
    let (header, content) = splitter.finish();
    let submission = Submission {
        sender: Origin::Caller,
        full_name: None,
        recipients: Vec::new(),
        problems: Vec::new(),
        from_header: false,
        notify: Notify::default(),
        ret: None,
        envid: None,
        verbose: true,
    };
    Ok(Ready {
        submission,
        message: Message {
            header,
            content,
            body,
        },
        recipients: vec![target],
    })
}
