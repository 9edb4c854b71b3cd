//! `smarthost top`: how it goes, anew each second, in a terminal.
//!
//! | part | what |
//! |---|---|
//! | [`tables`] | a status as rows that can be sorted. Pure |
//! | [`view`] | which table is shown, and how: what keys do. Pure |
//! | [`frame`] | what stands on a screen of any size. Pure |
//! | [`screen`] | the terminal, and its way back |
//!
//! Contract: keys are heard while the daemon is asked; a daemon that goes away is told and asked
//! again. Whatever ends it, a signal and a panic included, leaves the terminal as it was. Without a
//! terminal on both sides one frame is printed.

mod frame;
mod screen;
mod tables;
mod view;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use control::status::Status;
use mail::clock;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use self::{
    frame::Size,
    screen::{Deed, Screen},
    view::{Key, View},
};
use super::{ask, failed::Failed, silent};
use crate::config::Config;

/// How often the daemon is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// Into a pipe or a file.
const PAPER: Size = Size {
    width: 160,
    height: 120,
};

/// What comes from outside.
enum Input {
    Key(Key),
    /// The terminal has another size.
    Resized,
    Told(Result<Box<Status>, Failed>),
    /// This signal came, or there is no terminal any more.
    End(Option<i32>),
}

pub(super) fn run(config: &Path, once: bool) -> Result<ExitCode, Failed> {
    // The daemon is found whatever else is wrong in the file.
    let (config, _) = Config::load_anyway(config)?;
    let socket = silent::socket(&config);
    let status = ask::recent(&socket)?;
    let mut view = View::new(status);
    let people = io::stdin().is_terminal() && io::stdout().is_terminal();
    if once || !people || screen::is_dumb() {
        system::terminal::write(&frame::text(&view, PAPER, clock::now()));
        return Ok(ExitCode::SUCCESS);
    }
    let (inputs, came) = mpsc::channel();
    let failed = |error: io::Error| Failed::new(format!("the terminal cannot be used: {error}"));
    let screen = Screen::open().map_err(failed)?;
    let signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGQUIT]).map_err(failed)?;
    listen(signals, &inputs);
    let (wishes, inbox) = mpsc::channel();
    ask_on_wish(socket, inbox, inputs);
    let ended = show(&mut view, &came, &wishes);
    drop(screen);
    Ok(match ended.map_err(failed)? {
        // As a shell tells it.
        Some(signal) => u8::try_from(signal).map_or(ExitCode::FAILURE, |signal| {
            signal.saturating_add(128).into()
        }),
        None => ExitCode::SUCCESS,
    })
}

/// Keys and signals become inputs, each from a thread that ends with the program.
fn listen(mut signals: Signals, inputs: &Sender<Input>) {
    let inputs_of_signals = inputs.clone();
    thread::spawn(move || {
        // Who listens may have ended.
        for signal in signals.forever() {
            let _ = inputs_of_signals.send(Input::End(Some(signal)));
        }
    });
    let inputs = inputs.clone();
    thread::spawn(move || {
        loop {
            let input = match screen::next_deed() {
                Ok(Deed::Pressed(key)) => Input::Key(key),
                Ok(Deed::Resized) => Input::Resized,
                Err(_) => Input::End(None),
            };
            let over = matches!(input, Input::End(_));
            if inputs.send(input).is_err() || over {
                return;
            }
        }
    });
}

/// Asks the daemon once for each wish.
fn ask_on_wish(socket: PathBuf, inbox: Receiver<()>, inputs: Sender<Input>) {
    thread::spawn(move || {
        for () in inbox {
            if inputs.send(Input::Told(ask::recent(&socket))).is_err() {
                return;
            }
        }
    });
}

/// Until somebody has enough; the signal, if it was one.
fn show(view: &mut View, came: &Receiver<Input>, wishes: &Sender<()>) -> io::Result<Option<i32>> {
    let mut next = Instant::now() + INTERVAL;
    let mut asking = false;
    loop {
        screen::draw(&frame::lines(view, screen::size(), clock::now()))?;
        match came.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Input::Key(key)) => view.press(key),
            Ok(Input::Resized) => {}
            Ok(Input::Told(told)) => {
                asking = false;
                match told {
                    Ok(status) => view.tell(status),
                    Err(failed) => view.fail(failed.text),
                }
            }
            Ok(Input::End(signal)) => return Ok(signal),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + INTERVAL;
                if !asking {
                    asking = wishes.send(()).is_ok();
                }
            }
        }
        if view.is_over() {
            return Ok(None);
        }
    }
}
