//! `smarthost drain`: begins, looks how far it is, and prints the balance.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use mail::text::printable;

use super::{
    ask::ask,
    failed::Failed,
    typed::{nexthop, pin},
};
use crate::{
    admin::{Answer, Request},
    drain::Progress,
};

/// How often it is looked, and how often that is printed where nobody looks at a terminal.
const LOOK: Duration = Duration::from_millis(200);
const LINES: u32 = 25;
/// What becomes of mail that stays.
const STAYS: &str = "\
what stays is tried again every minute by itself, and is neither delivered nor returned meanwhile.
To try it at once, run the same command again. To deliver it from here: smarthost drain --stop
";
/// Width of the bar, characters.
const BAR: u64 = 30;

/// `drain …`
#[derive(clap::Args, Debug)]
pub(super) struct Drain {
    /// The server that takes the mail; its `drain_from` must name this one
    #[arg(long, value_name = "HOST[:PORT]", required_unless_present = "stop", value_parser = nexthop)]
    to: Option<String>,
    /// The key that it must show, as its `smarthost pin` prints it
    #[arg(long, value_name = "PIN", required_unless_present = "stop", value_parser = pin)]
    pin: Option<String>,
    /// Accept and deliver mail again; what has moved is delivered by the other server
    #[arg(long, conflicts_with_all = ["to", "pin"])]
    stop: bool,
    /// Print only the result, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Path, order: &Drain) -> Result<(String, ExitCode), Failed> {
    let (Some(to), Some(pin)) = (&order.to, &order.pin) else {
        let answers = ask(config, &Request::DrainStop)?;
        let asked = answers.iter().find_map(|answer| match answer {
            Answer::NotBegun(to) => Some(to.clone()),
            _ => None,
        });
        let progress = progress(answers);
        let text = match (&progress, asked) {
            _ if order.json => json(progress.as_ref()),
            (None, Some(to)) => format!(
                "the drain to {to} was stopped before it began; mail is accepted and delivered"
            ),
            (None, None) => "there was no drain to stop; mail is accepted and delivered".to_owned(),
            (Some(it), _) => stopped(it),
        };
        return Ok((text, ExitCode::SUCCESS));
    };
    let (to, pin) = (to.clone(), pin.clone());
    let mut last = progress(ask(config, &Request::Drain { to, pin })?);
    let (terminal, mut looks) = (io::stderr().is_terminal(), 0u32);
    while let Some(progress) = last
        .as_ref()
        .filter(|it| !it.is_over() && !it.drain.stopped)
    {
        if !order.json && (terminal || looks.is_multiple_of(LINES)) {
            show(progress, terminal);
        }
        looks = looks.wrapping_add(1);
        pause();
        last = self::progress(ask(config, &Request::DrainProgress)?);
    }
    if terminal && !order.json {
        // Nobody to tell if standard error is closed.
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let Some(done) = last else {
        return Err(Failed::new("it was stopped meanwhile".to_owned()));
    };
    let exit = ExitCode::from(u8::from(done.left > 0));
    if order.json {
        return Ok((json(Some(&done)), exit));
    }
    let mut text = format!("{done}\n");
    for stay in &done.refused {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", printable(&stay.to_string()));
    }
    if done.left > 0 && !done.drain.stopped {
        text.push_str(STAYS);
    }
    if done.left == 0 {
        text.push_str(
            "nothing is left; new mail is refused with 421 until smarthost drain --stop\n",
        );
    }
    Ok((text, exit))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the daemon does not tell of itself: it is asked"
)]
fn pause() {
    thread::sleep(LOOK);
}

fn progress(answers: Vec<Answer>) -> Option<Progress> {
    answers.into_iter().find_map(|answer| match answer {
        Answer::Drain(progress) => progress,
        _ => None,
    })
}

fn json(progress: Option<&Progress>) -> String {
    // Texts and numbers always have a JSON form.
    serde_json::to_string(&progress).unwrap_or_default()
}

/// How a drain ended.
fn stopped(progress: &Progress) -> String {
    let text = format!("mail is accepted and delivered again; {progress}");
    if progress.underway == 0 {
        return text;
    }
    let (count, to) = (progress.underway, &progress.drain.to);
    format!(
        "{text}\n{count} of those left are on their way to {to}: each is delivered from here \
         within half a minute, or from there if {to} has it already (smarthost queue list --held)"
    )
}

/// One line, in the place of the last one on a terminal.
fn show(progress: &Progress, terminal: bool) {
    let gone = progress.drain.came.saturating_sub(progress.left);
    let full = (gone * BAR).checked_div(progress.drain.came).unwrap_or(BAR);
    let bar: String = (0..BAR)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let mut out = io::stderr();
    let text = printable(&progress.to_string());
    // Nobody to tell if standard error is closed.
    let _ = if terminal {
        let cut: String = text.chars().take(120).collect();
        write!(out, "\r\x1b[K[{bar}] {cut}")
    } else {
        writeln!(out, "{text}")
    };
    let _ = out.flush();
}
