//! The machines that are enrolled, in a file of the state directory, as all sessions know them.
//!
//! | part | what |
//! |---|---|
//! | [`stored`] | the file, and the copy of it |
//! | [`told`] | what administrators are told |
//!
//! Contract: what has changed is on disk when that is told. Where nobody knows whether it is,
//! nobody is let in by it, and who is shut out by it stays out, until it could be written. Whoever
//! [tends](Enrolled::tend) it takes what another hand has written, as for tables: what cannot be
//! read is never written over, and what was known before, or the copy, stays in force, but nothing
//! changes meanwhile. A file that is gone is written anew, as it was.
//! Failures: where there is no copy either nobody is enrolled, and whoever shows a key waits. The
//! log tells it, a status while it lasts, and a mail once.
//! See also: [`crate::enroll`], who is known.

mod stored;
mod told;

use std::{
    collections::HashSet,
    mem::take,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use mail::clock::{self, Timestamp};
use relay::{enroll::Name, trust::Pin};
use settings::last_good;
use system::log::{Level, line};
use tables::watch::Look;

pub(crate) use self::stored::file;
use self::stored::{Held, Stored, TOLD};
use crate::{
    config::Config,
    enroll::{Book, Standing},
    notices::{Kind, News},
};

/// How long a status tells of a line that was used twice, or of a file that was gone.
const LATELY: Duration = Duration::from_hours(24);

/// Whose a key is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Known(String),
    /// It was this machine's.
    Ended(Name),
    Unknown,
    /// The file cannot be read.
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct Enrolled {
    stored: Stored,
    known: RwLock<Known>,
    /// How the file looked when it was read or written last. Changes come one after the other: who
    /// only looks does not wait for the disk.
    seen: Mutex<Option<Look>>,
    /// What administrators are to be told by mail.
    news: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Known {
    /// Or why they are not known.
    book: Result<Book, String>,
    /// What is wrong with the file while something else is in force.
    fault: Option<String>,
    /// Why nobody knows whether the file holds what is in force: it could not be written.
    unsure: Option<String>,
    /// When the file was gone.
    gone: Option<Timestamp>,
}

impl Known {
    fn new(book: Result<Book, String>) -> Self {
        Self {
            book,
            fault: None,
            unsure: None,
            gone: None,
        }
    }
}

/// Who else has the name of a machine that is enrolled: what both send would be counted as one.
pub(crate) fn namesake(
    name: &str,
    is_login: impl Fn(&str) -> bool,
    pinned: &HashSet<&str>,
) -> Option<&'static str> {
    if is_login(name) {
        return Some("a login, in the file of auth");
    }
    let is_pinned = pinned.contains(name);
    is_pinned.then_some("the name of a key in client_pins")
}

impl Enrolled {
    /// Those of a state directory; changes nothing there.
    pub(crate) fn open(state: &Path) -> Self {
        let stored = Stored::in_state(state);
        let known = match stored.held() {
            Held::Book(book) => Known::new(Ok(book)),
            Held::Nothing => Known::new(match stored.copied() {
                Held::Book(book) => Ok(book),
                Held::Nothing => Ok(Book::default()),
                Held::Wrong(why) => {
                    let why = format!("it is gone, and {why}");
                    Err(told::unknown(&stored.file, &why))
                }
            }),
            Held::Wrong(why) => match stored.copied() {
                Held::Book(book) => Known {
                    fault: Some(told::stands_in(&stored.file, &why)),
                    ..Known::new(Ok(book))
                },
                Held::Nothing | Held::Wrong(_) => {
                    Known::new(Err(told::unknown(&stored.file, &why)))
                }
            },
        };
        Self {
            stored,
            known: RwLock::new(known),
            seen: Mutex::default(),
            news: Mutex::default(),
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> MutexGuard<'_, Vec<String>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known; or why nothing is.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> Result<T, String> {
        self.known().book.as_ref().map(look).map_err(Clone::clone)
    }

    /// What is wrong with the file.
    pub(crate) fn fault(&self) -> Option<String> {
        let known = self.known();
        known.book.as_ref().err().or(known.fault.as_ref()).cloned()
    }

    /// Takes what has become of the file, once it was left alone for a moment. Blocks.
    pub(crate) fn tend(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() || !self.stored.is_fresh() || self.known().unsure.is_some() {
            self.follow(&mut seen);
        }
    }

    /// Changes it, on disk too. Blocks.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Book) -> T) -> Result<T, String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(&mut seen);
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        let mut changed = self.read(Book::clone)?;
        let told = act(&mut changed);
        if self.read(|book| changed != *book)? {
            if let Err(why) = self.stored.write(&changed) {
                return Err(self.doubts(&changed, &why));
            }
            *seen = Some(self.stored.look());
            self.put(|known| (known.book, known.unsure) = (Ok(changed), None));
        }
        Ok(told)
    }

    /// The file may hold this, or what was known before; what administrators are told.
    fn doubts(&self, changed: &Book, why: &str) -> String {
        let text = told::unsure(why);
        line(Level::Error, &text);
        self.put(|known| {
            if let Ok(book) = &mut known.book {
                *book = take(book).stricter(changed);
            }
            known.unsure = Some(text.clone());
        });
        text
    }

    /// What could not be written is tried again.
    fn write_again(&self, seen: &mut Option<Look>) {
        let Ok(book) = self.read(Book::clone) else {
            return;
        };
        match self.stored.write(&book) {
            Ok(()) => {
                *seen = Some(self.stored.look());
                let file = self.stored.file.display();
                let text = format_args!("{file}: it is written again");
                line(Level::Notice, &text);
                self.put(|known| known.unsure = None);
            }
            // It was told.
            Err(why) => self.put(|known| known.unsure = Some(told::unsure(&why))),
        }
    }

    fn put(&self, act: impl FnOnce(&mut Known)) {
        act(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes what has become of the file.
    fn follow(&self, seen: &mut Option<Look>) {
        if self.known().unsure.is_some() {
            return self.write_again(seen);
        }
        let look = self.stored.look();
        if seen.as_ref() == Some(&look) {
            return;
        }
        match self.stored.held() {
            Held::Book(book) => self.take(book),
            Held::Nothing => {
                if !self.is_made_anew() {
                    return;
                }
            }
            Held::Wrong(why) => self.doubt(&why),
        }
        let is_mine = matches!(look, Look::Missing);
        *seen = Some(if is_mine { self.stored.look() } else { look });
    }

    /// What the file holds counts.
    fn take(&self, book: Book) {
        let is_new = self.read(|known| *known != book).unwrap_or(true);
        self.stored.keep(&book);
        let was_wrong = self.fault().is_some();
        if is_new || was_wrong {
            let file = self.stored.file.display();
            let text = format_args!("{file}: it is taken as it is now");
            line(Level::Notice, &text);
            self.put(|known| (known.book, known.fault) = (Ok(book), None));
        }
        last_good::is_over(self.stored.directory(), TOLD);
    }

    /// The file cannot be read.
    fn doubt(&self, why: &str) {
        let has_any = self.read(|_| ()).is_ok();
        let text = if has_any {
            told::stands_in(&self.stored.file, why)
        } else {
            told::unknown(&self.stored.file, why)
        };
        line(Level::Error, &text);
        if last_good::is_news_of(self.stored.directory(), TOLD, &text) {
            self.tell(text.clone());
        }
        self.put(|known| match &mut known.book {
            Ok(_) => known.fault = Some(text),
            Err(why) => *why = text,
        });
    }

    /// The file is gone; whether it is as it should be now.
    fn is_made_anew(&self) -> bool {
        match self.read(Book::clone) {
            Ok(book) if book.is_used() => {
                let text = told::gone(&self.stored.file, &book);
                if let Err(why) = self.stored.write(&book) {
                    line(Level::Error, &format_args!("{text}: {why}"));
                    return false;
                }
                line(Level::Error, &text);
                self.tell(text);
                self.put(|known| (known.fault, known.gone) = (None, Some(clock::now())));
            }
            Ok(_) => self.put(|known| known.fault = None),
            Err(_) => match self.stored.copied() {
                Held::Nothing => self.take(Book::default()),
                Held::Book(book) => {
                    self.put(|known| known.book = Ok(book));
                    return self.is_made_anew();
                }
                Held::Wrong(why) => self.doubt(&format!("it is gone, and {why}")),
            },
        }
        true
    }

    fn tell(&self, text: String) {
        let mut news = self.news();
        if !news.contains(&text) {
            news.push(text);
        }
    }

    /// Whether clients are to be asked for keys because of it.
    pub(crate) fn is_used(&self) -> bool {
        self.read(Book::is_used).unwrap_or(true)
    }

    /// Whose a key is that a client has shown.
    pub(crate) fn look_up(&self, key: &Pin) -> Found {
        let found = self.read(|book| match book.standing(key, clock::now()) {
            Standing::Known(name) => Found::Known(name.to_string()),
            Standing::Ended(name) => Found::Ended(name.clone()),
            Standing::Unknown => Found::Unknown,
        });
        found.unwrap_or(Found::Unreadable)
    }

    /// As whom a client's key is known; `named`: as the configuration has it. One that was revoked
    /// is believed by nobody, wherever it stands.
    pub(crate) fn client_of(&self, key: &Pin, named: Option<String>) -> Option<String> {
        match self.look_up(key) {
            Found::Known(name) => named.or(Some(name)),
            Found::Ended(_) => None,
            Found::Unknown | Found::Unreadable => named,
        }
    }

    /// Mail comes under a key of a machine: the one before it ends soon. Blocks.
    pub(crate) fn seen(&self, key: &Pin) -> Result<(), String> {
        if !self.read(|book| book.is_next(key))? {
            return Ok(());
        }
        self.change(|book| book.seen(key, clock::now()))
    }

    /// Keys of a name, as they are written.
    pub(crate) fn keys_of(&self, name: &str) -> Vec<String> {
        let keys = self.read(|book| book.keys_of(name).map(|key| key.to_string()).collect());
        keys.unwrap_or_default()
    }

    /// What a status is to warn of.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let now = clock::now();
        let gone = self.known().gone;
        let gone = gone.filter(|at| *at <= now && now.since(*at) < LATELY);
        let gone = gone.map(|at| {
            let file = self.stored.file.display();
            format!("{file} was gone, and was written anew at {}", at.rfc3339())
        });
        let unsure = self.known().unsure.clone();
        let full = self.read(Book::full).ok().flatten();
        let all = self.fault().into_iter().chain(unsure).chain(full);
        all.chain(gone).chain(self.doubled()).collect()
    }

    /// Lines that were used twice lately.
    pub(crate) fn doubled(&self) -> Vec<String> {
        let now = clock::now();
        let twice = self.read(|book| book.doubled(LATELY, now).map(told::alarm).collect());
        twice.unwrap_or_default()
    }

    /// Names that somebody else has, too, and keys that stand in `client_pins`, too.
    pub(crate) fn namesakes(
        &self,
        config: &Config,
        is_login: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let pinned = config.pinned_names();
        let found = self.read(|book| {
            let names = book.names().filter_map(|name| {
                let who = namesake(name.as_str(), &is_login, &pinned)?;
                Some(told::namesake(name, who))
            });
            let keys = config.client_pins.iter().filter_map(|(pin, known)| {
                match book.standing(pin, clock::now()) {
                    Standing::Known(name) => Some(told::pinned(name, known)),
                    Standing::Ended(name) => Some(told::pinned_though_ended(name, known)),
                    Standing::Unknown => None,
                }
            });
            names.chain(keys).collect()
        });
        found.unwrap_or_default()
    }

    /// What administrators are to be told of the file.
    pub(crate) fn news_of_file(&self, host: &str) -> Vec<News> {
        let of_file = |text: String| News {
            kind: Kind::Enrolment,
            headline: format!("{host}: the file of the machines that are enrolled"),
            text: format!("{text}\n"),
            strangers: false,
        };
        take(&mut *self.news()).into_iter().map(of_file).collect()
    }

    /// Lines that were used twice, of which administrators were not told yet.
    pub(crate) fn untold(&self, host: &str) -> Vec<(Name, News)> {
        let untold = self.read(|book| {
            let untold = book.untold().map(|it| {
                let news = News {
                    kind: Kind::Enrolment,
                    headline: format!("{host}: the line of {} was used twice", it.name),
                    text: told::story(it.clone()),
                    strangers: false,
                };
                (it.name.clone(), news)
            });
            untold.collect()
        });
        untold.unwrap_or_default()
    }

    /// They were told. What cannot be written is told again. Blocks.
    pub(crate) fn told(&self, names: &[Name]) {
        // The next look finds it.
        let _ = self.change(|book| names.iter().for_each(|name| book.told(name)));
    }
}

#[cfg(test)]
mod tests;
