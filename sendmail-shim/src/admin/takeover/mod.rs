//! `sendmail-shim import --queue`: mail that waits in another program's queue, handed to our agent.
//!
//! | part | what |
//! |---|---|
//! | [`spools`] | where each program keeps what waits, and whether it is still at work there |
//!
//! Contract: a message leaves the other queue only when the agent has said 250 for it, and it is
//! moved then, into `taken-over/` of the old spool; nothing is deleted. Killed in between, a
//! message is taken twice, never lost. Without `--apply` nothing is changed. Recipients are those
//! of the envelope that have not been served.
//! Exit status: 0 all was taken, or nothing was there; 1 something was left, and is named; 75 the
//! agent does not take it, and what is left is as it was.

mod spools;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use clap::ValueEnum as _;
use mail::{
    envelope::{Mail, Rcpt},
    limits,
    outcome::Outcome,
};
use smtp::client::Transaction;
use system::sysexits::Exit;

use self::spools::Place;
use super::{
    import::{Options, Program, source, under},
    terminal::{CommandError, complain, say},
};
use crate::{
    compose::read::{self, Message},
    config::settings::Settings,
    import::{
        dma, postfix,
        queue::{self, Left, Queued},
    },
    plan,
    submit::agent::{self, HandedOver},
};

/// Where what was taken is moved to, in the other program's spool.
const ASIDE: &str = "taken-over";
/// Largest file that is read, bytes.
const MAX: u64 = 512 * 1024 * 1024;

/// Lists what waits, or takes it.
pub fn run(settings: &Settings, options: &Options) -> Result<Exit, CommandError> {
    let programs = match options.from {
        Some(program) if spool(program, &options.root)?.is_none() => {
            let text = format!("{} keeps no queue", program.name());
            return Err(CommandError::new(Exit::Usage, text));
        }
        Some(program) => vec![program],
        None => Program::value_variants().to_vec(),
    };
    let mut left = 0;
    for program in programs {
        let spool = spool(program, &options.root)?.filter(|spool| spool.is_dir());
        if let Some(spool) = spool {
            let mut takeover = Takeover {
                settings,
                options,
                program,
                spool: &spool,
                taken: 0,
                left: 0,
            };
            takeover.all()?;
            left += takeover.left;
        }
    }
    Ok(if left == 0 { Exit::Ok } else { Exit::WARNING })
}

/// Where the program's spool is, if it has one.
fn spool(program: Program, root: &Path) -> Result<Option<PathBuf>, CommandError> {
    let path = match program {
        Program::Ssmtp | Program::Msmtp => return Ok(None),
        Program::Nullmailer => "/var/spool/nullmailer".to_owned(),
        Program::Exim => "/var/spool/exim4".to_owned(),
        Program::Dma => dma::spool(&|path| source(root, path)),
        Program::Postfix => postfix::spool(&|path| source(root, path)),
    };
    under(root, &path).map(Some)
}

/// One program's spool being gone through.
struct Takeover<'a> {
    settings: &'a Settings,
    options: &'a Options,
    program: Program,
    spool: &'a Path,
    taken: usize,
    left: usize,
}

/// Why a message stays.
enum Stays {
    /// For a reason of its own.
    Left(String),
    /// The agent does not take it; neither would it take the next.
    NoAgent(String),
}

impl<E: std::error::Error> From<E> for Stays {
    fn from(error: E) -> Self {
        Self::Left(error.to_string())
    }
}

impl Takeover<'_> {
    fn all(&mut self) -> Result<(), CommandError> {
        let name = self.program.name();
        let places = spools::places(self.program, (&self.options.root, self.spool));
        let places = places.map_err(|error| {
            CommandError::new(Exit::NoPerm, format!("{}: {error}", self.spool.display()))
        })?;
        if places.is_empty() {
            return Ok(());
        }
        // Kept to the end: the program does not start meanwhile.
        let _lock = match spools::at_rest(self.program, self.spool) {
            Ok(lock) => lock,
            Err(why) => {
                complain("import", format_args!("{name}: {why}"));
                if self.options.apply {
                    self.left = places.len();
                    return Ok(());
                }
                None
            }
        };
        for place in &places {
            match self.one(place) {
                Ok(()) => self.taken += 1,
                Err(Stays::Left(why)) => {
                    complain(
                        "import",
                        format_args!("LEFT {name} {}: {why}", place.name()),
                    );
                    self.left += 1;
                }
                Err(Stays::NoAgent(why)) => {
                    let text = format!(
                        "{name} {}: {why}; nothing of what is left was touched: run it again",
                        place.name()
                    );
                    return Err(CommandError::new(Exit::TempFail, text));
                }
            }
        }
        let (taken, left) = (self.taken, self.left);
        say(match (self.options.apply, taken) {
            (false, _) => format!("{name}: {taken} can be taken over with --apply; {left} cannot"),
            (true, 0) => format!("{name}: none taken over; {left} left"),
            (true, _) => {
                let aside = self.spool.join(ASIDE);
                let aside = aside.display();
                format!("{name}: {taken} taken over, their files now in {aside}; {left} left")
            }
        });
        Ok(())
    }

    fn one(&self, place: &Place) -> Result<(), Stays> {
        if place.held && !self.options.held {
            return Err(Left::Held.into());
        }
        // Locked as long as it is open.
        let (queued, _lock) = self.read(place)?;
        let size = queued.content.len();
        let (program, name) = (self.program.name(), place.name());
        let sender = queued
            .sender
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let recipients = queued.recipients.iter().map(|rcpt| rcpt.to.to_string());
        let recipients = recipients.collect::<Vec<_>>().join(", ");
        if self.options.apply {
            let mut most = || self.settings.message_size;
            let message = read::message(queued.content.as_slice(), &mut most)
                .map_err(|error| Stays::Left(error.to_string()))?;
            for told in plan::misplaced(&message.misplaced, false, &[]) {
                let told = plan::not_served(told);
                say(format_args!("{program} {name}: {told}"));
            }
            let aside = self.aside(place)?;
            self.hand_over(&queued, &message)?;
            for file in &place.files {
                move_aside(&self.spool.join(file), &aside)?;
            }
        }
        say(format_args!(
            "{program} {name}: <{sender}> to {recipients}, {size} bytes"
        ));
        Ok(())
    }

    /// The directory for its files, which must be there before the agent takes the message.
    fn aside(&self, place: &Place) -> Result<PathBuf, Stays> {
        let below = place.files.first().and_then(|file| file.parent());
        let aside = self.spool.join(ASIDE).join(below.unwrap_or(Path::new("")));
        let aside = spools::inside(&self.options.root, &aside)?;
        system::fs::create_directory(&aside, 0o700)
            .map_err(|error| Stays::Left(format!("{}: {error}", aside.display())))?;
        Ok(aside)
    }

    fn read(&self, place: &Place) -> Result<(Queued, File), Stays> {
        let mut files = place.files.iter().map(|file| self.spool.join(file));
        let mut next = || files.next().unwrap_or_default();
        let (first, mut lock) = open(&next(), false)?;
        let queued = match self.program {
            Program::Exim => {
                let (body, exclusive) = open(&next(), true)?;
                lock = exclusive;
                spools::lock(self.program, &lock).map_err(Stays::Left)?;
                let journal = match open(&next(), false) {
                    Ok((journal, _)) => Some(journal),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error.into()),
                };
                queue::exim::read(&first, &body, journal.as_deref(), self.options.held)?
            }
            program => {
                spools::lock(program, &lock).map_err(Stays::Left)?;
                match program {
                    Program::Dma => queue::dma::read(&first, &open(&next(), false)?.0)?,
                    Program::Nullmailer => queue::nullmailer::read(&first)?,
                    _ if lock.metadata()?.permissions().mode() & 0o100 == 0 => {
                        return Err(Left::Unfinished.into());
                    }
                    _ => queue::postfix::read(&first)?,
                }
            }
        };
        Ok((queued, lock))
    }

    fn hand_over(&self, queued: &Queued, message: &Message) -> Result<(), Stays> {
        // More than one round takes more recipients than one message may have; the rounds before
        // one that fails are repeated.
        for recipients in queued.recipients.chunks(limits::RECIPIENTS) {
            let transaction = transaction(queued, recipients, message);
            let outcomes = match agent::hand_over(&self.settings.socket, transaction, message) {
                HandedOver::NotTaken { failure, .. } => {
                    return Err(Stays::NoAgent(failure.log_text()));
                }
                HandedOver::Outcomes(outcomes) => outcomes,
            };
            for outcome in &outcomes {
                match outcome {
                    Outcome::Delivered(_) => {}
                    Outcome::Deferred(failure) => return Err(Stays::NoAgent(failure.log_text())),
                    Outcome::Failed(failure) => return Err(Stays::Left(failure.log_text())),
                }
            }
        }
        Ok(())
    }
}

/// The content of a file, and the file.
fn open(path: &Path, writing: bool) -> io::Result<(Vec<u8>, File)> {
    // Nothing that could be waited for, and nothing that is elsewhere.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(writing)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX {
        return Err(io::Error::other("no file of a message"));
    }
    let mut content = Vec::new();
    (&file).take(MAX).read_to_end(&mut content)?;
    Ok((content, file))
}

/// What the agent has now is no longer the other program's.
fn move_aside(path: &Path, aside: &Path) -> Result<(), Stays> {
    match system::fs::move_into(path, aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Stays::Left(format!(
            "it was taken over, but {} cannot be moved to {}: {error}: move it by hand, or it is taken again",
            path.display(),
            aside.display()
        ))),
        Ok(_) => Ok(()),
    }
}

fn transaction(queued: &Queued, recipients: &[Rcpt], message: &Message) -> Transaction {
    Transaction {
        mail: Mail {
            sender: queued.sender.clone(),
            ret: queued.ret,
            envid: queued.envid.clone(),
            queued: true,
            ..agent::described(Mail::default(), message)
        },
        recipients: recipients.to_vec(),
        patience: None,
        kept: false,
    }
}
