//! All that is wrong with a configuration, told at once.
//!
//! Contract: what is wrong is taken out of what was read, and reading goes on with the rest: in
//! texts that are no TOML, in values, and in what settings mean together, until nothing is wrong
//! any more. Each fault has its place, in a list that of the item. What may only follow from
//! another fault is not told: about a table of which something was taken out, and about settings
//! together one of which was wrong itself.
//! At most [`syntax::MOST`] are told, and of a very long text only the first.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod tests;
mod tree;

use std::{fmt::Display, ops::Range};

use mail::masked::names_secret;
use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use self::tree::{Step, Way};
use super::{
    error::{ConfigError, error_in},
    layers::{self, Layer},
    shown::{self, Hidden},
    syntax,
    words::{self, WHOLE, closest, explain},
    written::quote,
};

/// How the library begins to say that there is no such setting.
const UNKNOWN: &str = "unknown field";
/// What is said of a key in the place of its file.
const INLINE: &str = "this is the key or certificate itself, and everybody who reads this file has it: \
     write it into a file of its own, and the path of that here";
/// As it is written in TOML.
const LARGEST: &str = "9223372036854775807";
/// Times that something is taken out and the rest is read again.
const READINGS: usize = 200;

/// Something that is wrong with settings, as who reads them finds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    place: Place,
    what: String,
    /// It is shown at the setting's value, not at its key.
    at_value: bool,
    /// Other settings that it is about.
    with: Vec<String>,
    /// There is no such setting.
    is_unknown: bool,
    /// What an unknown setting may have been meant as.
    meant: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    Span(Range<usize>),
    Setting(Way),
}

impl Wrong {
    /// At a place of the text (from `serde_spanned`).
    pub fn at(place: Range<usize>, what: impl Into<String>) -> Self {
        Self::new(Place::Span(place), what.into())
    }

    /// About a setting, by the names of its tables and its own.
    pub fn of(setting: &[&str], what: impl Into<String>) -> Self {
        let names = setting.iter().map(|name| Step::Key((*name).to_owned()));
        Self::new(Place::Setting(names.collect()), what.into())
    }

    /// About this item of the setting, if that is a list.
    #[must_use]
    pub fn item(mut self, index: usize) -> Self {
        if let Place::Setting(way) = &mut self.place {
            way.push(Step::Item(index));
        }
        self
    }

    /// About what is written there, which is shown in the place of the setting's key.
    #[must_use]
    pub fn value(mut self) -> Self {
        self.at_value = true;
        self
    }

    /// Other settings that it is about: while one of them is wrong itself, it is not told.
    #[must_use]
    pub fn with(mut self, settings: &[&str]) -> Self {
        self.with = settings.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The setting that it is about, or the table of it, if it is not told by its place.
    pub(super) fn setting(&self) -> Option<&str> {
        match &self.place {
            Place::Setting(way) => way.first().and_then(|step| match step {
                Step::Key(name) => Some(name.as_str()),
                Step::Item(_) => None,
            }),
            Place::Span(_) => None,
        }
    }

    /// Without what is a secret in these texts.
    pub(super) fn discreet(mut self, layers: &[Layer]) -> Self {
        for (_, text) in layers {
            self.what = Hidden::of(text, &|_| false).said(&(usize::MAX..usize::MAX), &self.what);
        }
        self
    }

    fn new(place: Place, what: String) -> Self {
        Self {
            place,
            what,
            at_value: false,
            with: Vec::new(),
            is_unknown: false,
            meant: None,
        }
    }

    fn of_form(error: &toml::de::Error) -> Self {
        let (message, place) = (error.message(), error.span().unwrap_or_default());
        let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
        let mut wrong = match quoted.split_first() {
            Some((name, _)) if message.starts_with("duplicate field") => Self::of(&[name], ""),
            _ => Self::at(place, ""),
        };
        wrong.what = explain(message);
        if message.starts_with(UNKNOWN) {
            wrong.is_unknown = true;
            let known = quoted.split_first();
            let meant = known.and_then(|(given, known)| closest(given, known));
            wrong.meant = meant.map(str::to_owned);
        }
        wrong
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// Several files as one, the one that decides first at the front: what `make` makes of them, or all
/// that is wrong. `synonyms` are keys with a second name: `(second, first)`.
pub fn read<T: DeserializeOwned, C>(
    layers: &[Layer],
    synonyms: &[(&str, &'static str)],
    make: impl Fn(T) -> Result<C, Wrong>,
) -> Result<C, ConfigError> {
    let formed = |table: DeTable<'_>| form(table).and_then(&make);
    if let Some(made) = at_once(layers, &formed) {
        return Ok(made);
    }
    let fails = |table: &DeTable<'_>| formed(table.clone()).err();
    let mut found = Found::new(layers);
    let texts = found.readable();
    let mut all = DeTable::new();
    for text in &texts {
        let mut table = DeTable::parse(text).map_or_else(|_| DeTable::new(), Spanned::into_inner);
        found.settle(&mut table, &|table| form::<T>(table).map(drop), &fails);
        layers::lay_below(&mut all, table, synonyms);
    }
    let settled = found.settle(&mut all, &formed, &fails);
    match settled.filter(|_| found.faults.is_empty()) {
        Some(result) => Ok(result),
        None => Err(found.told(&is_known::<T>)),
    }
}

/// What is made of one right file, which needs no second look: each start of `sendmail` reads one.
fn at_once<C>(layers: &[Layer], made: &dyn Fn(DeTable<'_>) -> Result<C, Wrong>) -> Option<C> {
    let [(_, text)] = layers else {
        return None;
    };
    made(DeTable::parse(text).ok()?.into_inner()).ok()
}

/// Once in the program: it is most of what reading a configuration is made of.
#[inline(never)]
fn form<T: DeserializeOwned>(table: DeTable<'_>) -> Result<T, Wrong> {
    if let Some(place) = shown::pem(&table) {
        return Err(Wrong::at(place, INLINE));
    }
    let table = Deserializer::from(Spanned::new(0..0, table));
    T::deserialize(table).map_err(|error| Wrong::of_form(&error))
}

/// Whether there is a setting of this name, in tables of these.
fn is_known<T: DeserializeOwned>(names: &[String]) -> bool {
    let name = names.iter().map(quote).collect::<Vec<_>>().join(".");
    let text = format!("{name} = 0");
    let Ok(table) = DeTable::parse(&text).map(Spanned::into_inner) else {
        return false;
    };
    // It need not be a number.
    form::<T>(table).err().is_none_or(|wrong| !wrong.is_unknown)
}

/// What is wrong, and what was taken out.
struct Found<'a> {
    layers: &'a [Layer],
    most: usize,
    /// With places of all texts as one.
    faults: Vec<(Option<Range<usize>>, String)>,
    out: Vec<Way>,
    /// Values of settings that there are not: nobody knows what they are.
    unknown: Vec<Range<usize>>,
    /// How often something may still be taken out.
    left: usize,
}

impl<'a> Found<'a> {
    fn new(layers: &'a [Layer]) -> Self {
        let length = layers.iter().map(|(_, text)| text.len()).sum::<usize>();
        Self {
            layers,
            most: syntax::most(length),
            faults: Vec::new(),
            out: Vec::new(),
            unknown: Vec::new(),
            left: READINGS,
        }
    }

    /// The texts without what is no TOML, each behind as many blanks as there are bytes in those
    /// before it, so that a place says in which of them it is.
    fn readable(&mut self) -> Vec<String> {
        let mut before = 0usize;
        let mut texts = Vec::new();
        for (_, text) in self.layers {
            let whole = format!("{}{text}", " ".repeat(before));
            before = whole.len();
            let (whole, unread) = syntax::readable(&whole, self.most);
            for it in unread {
                self.faults.push((Some(it.place), it.what));
                self.out.push(it.names.into_iter().map(Step::Key).collect());
            }
            texts.push(whole);
        }
        texts
    }

    /// Takes out what is wrong until nothing is; `None`: it could not be taken out. `wholly`: what
    /// is wrong with all that is looked for.
    fn settle<'t, R>(
        &mut self,
        table: &mut DeTable<'t>,
        read: &dyn Fn(DeTable<'t>) -> Result<R, Wrong>,
        wholly: &dyn Fn(&DeTable<'t>) -> Option<Wrong>,
    ) -> Option<R> {
        loop {
            let wrong = match read(table.clone()) {
                Ok(made) => return Some(made),
                Err(wrong) => wrong,
            };
            let fails = |table: &DeTable<'t>| read(table.clone()).err();
            let way = locate(table, &wrong, &fails);
            let wrong = followed(table, way.as_deref(), wrong, wholly);
            let is_strange = wrong.is_unknown && wrong.meant.as_deref().is_none_or(names_secret);
            if let Some(value) = way.as_ref().and_then(|way| tree::value(table, way))
                && is_strange
            {
                shown::each(value, &mut |place| self.unknown.push(place));
            }
            self.note(table, way.as_deref(), &wrong);
            self.left = self.left.saturating_sub(1);
            if self.left == 0 || self.faults.len() >= self.most {
                return None;
            }
            let way = way.filter(|way| tree::remove(table, way))?;
            self.take_out(way, wrong.meant);
        }
    }

    fn note(&mut self, table: &DeTable<'_>, way: Option<&[Step]>, wrong: &Wrong) {
        let is_within =
            |out: &Way| way.is_some_and(|way| out.len() > way.len() && out.starts_with(way));
        let with = wrong
            .with
            .iter()
            .map(|name| name.split('.').collect::<Vec<_>>());
        let follows =
            self.out.iter().any(is_within) || with.into_iter().any(|with| self.is_out(&with));
        if follows {
            return;
        }
        let item = way.filter(|way| matches!(way.last(), Some(Step::Item(_))));
        let place = match (&wrong.place, item) {
            (Place::Span(place), None) => Some(place.clone()),
            (Place::Span(_), Some(item)) => tree::place(table, item),
            (Place::Setting(_), _) if wrong.at_value => {
                way.and_then(|way| Some(tree::value(table, way)?.span()))
            }
            (Place::Setting(_), _) => way.and_then(|way| tree::place(table, way)),
        };
        let fault = (place, wrong.what.clone());
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Whether this setting, its table or something in it was taken out.
    fn is_out(&self, setting: &[&str]) -> bool {
        self.out.iter().any(|out| {
            let names = out.iter().filter_map(|step| match step {
                Step::Key(name) => Some(name.as_str()),
                Step::Item(_) => None,
            });
            names.zip(setting).all(|(one, other)| one == *other)
        })
    }

    fn take_out(&mut self, mut way: Way, meant: Option<String>) {
        self.out.retain(|out| !out.starts_with(&way));
        if let Some((Step::Item(taken), list)) = way.split_last() {
            // Those behind it move up.
            for out in self.out.iter_mut().filter(|out| out.starts_with(list)) {
                if let Some(Step::Item(index)) = out.get_mut(list.len())
                    && *index > *taken
                {
                    *index = index.saturating_sub(1);
                }
            }
        }
        match way.last_mut() {
            // No item that stays.
            Some(Step::Item(index)) => *index = usize::MAX,
            Some(Step::Key(name)) => {
                if let Some(meant) = meant {
                    let given = std::mem::replace(name, meant);
                    self.out.push(way.clone());
                    way.pop();
                    way.push(Step::Key(given));
                }
            }
            None => {}
        }
        self.out.push(way);
    }

    fn told(mut self, is_known: &dyn Fn(&[String]) -> bool) -> ConfigError {
        let start = |place: &Option<Range<usize>>| place.as_ref().map_or(usize::MAX, |it| it.start);
        self.faults.sort_by_key(|(place, _)| start(place));
        let is_all = self.faults.len() < self.most;
        let texts = self.layers.iter();
        let mut hidden: Vec<_> = texts.map(|(_, text)| Hidden::of(text, is_known)).collect();
        for place in &self.unknown {
            if let Some((layer, place)) = self.layer(place) {
                hidden
                    .get_mut(layer)
                    .into_iter()
                    .for_each(|it| it.also(place.clone()));
            }
        }
        let faults = self
            .faults
            .iter()
            .map(|(place, what)| self.error(place.clone(), what, &hidden));
        let mut faults: Vec<_> = faults.collect();
        if !is_all && self.most > 1 {
            let text = format!("there may be more: these are the first {}", self.most);
            faults.push(ConfigError { text });
        }
        ConfigError::together(faults).unwrap_or_default()
    }

    fn error(&self, place: Option<Range<usize>>, what: &str, hidden: &[Hidden<'_>]) -> ConfigError {
        let found = place.and_then(|place| self.layer(&place));
        let layer = found
            .and_then(|(layer, place)| Some((self.layers.get(layer)?, hidden.get(layer)?, place)));
        if let Some(((path, text), hidden, place)) = layer {
            return error_in(path, text, place, what, hidden);
        }
        let nowhere = usize::MAX..usize::MAX;
        let hidden = hidden.iter();
        let said = hidden.fold(what.to_owned(), |what, it| it.said(&nowhere, &what));
        layers::wrong(self.layers, &said)
    }

    /// In which file a place is, and where.
    fn layer(&self, place: &Range<usize>) -> Option<(usize, Range<usize>)> {
        let mut before = 0usize;
        self.layers
            .iter()
            .enumerate()
            .find_map(|(layer, (_, text))| {
                let start = before;
                before = before.saturating_add(text.len());
                let from = |at: usize| at.saturating_sub(start);
                (place.start <= before).then(|| (layer, from(place.start)..from(place.end)))
            })
    }
}

/// What is told of a value of another type is not what would be wrong next if that were followed: a
/// number out of the setting's range, or a text that is none of those that it may be.
fn followed<'t>(
    table: &DeTable<'t>,
    way: Option<&[Step]>,
    mut wrong: Wrong,
    fails: &dyn Fn(&DeTable<'t>) -> Option<Wrong>,
) -> Wrong {
    let with = |value: DeValue<'t>| {
        let mut table = table.clone();
        *tree::value_mut(&mut table, way?)? = value;
        fails(&table)
    };
    if let Some(begin) = wrong.what.strip_suffix(WHOLE) {
        // No setting takes so many.
        let other = DeValue::parse(LARGEST).ok().map(Spanned::into_inner);
        let told = other.and_then(with).and_then(|other| {
            let (_, range) = other.what.strip_prefix(LARGEST)?.split_once("; write a ")?;
            Some(format!("{begin}a {range}"))
        });
        wrong.what = told.unwrap_or(wrong.what);
    } else if let Some((given, _)) = wrong.what.split_once(words::NOT_TEXT) {
        let text = given.trim_matches('`').to_owned();
        let other = with(DeValue::String(text.into()));
        if let Some(other) = other.filter(|other| other.place == wrong.place) {
            wrong.what = other.what;
        }
    }
    wrong
}

/// The way to what is wrong: of a list the first item without which those before it are right.
fn locate<'t>(
    table: &DeTable<'t>,
    wrong: &Wrong,
    fails: &dyn Fn(&DeTable<'t>) -> Option<Wrong>,
) -> Option<Way> {
    let mut way = match &wrong.place {
        Place::Setting(way) => {
            let list = way
                .split_last()
                .filter(|(last, _)| matches!(last, Step::Item(_)));
            // One value may stand without its list.
            let alone = list.filter(|(_, list)| tree::items(table, list).is_none());
            return Some(alone.map_or_else(|| way.clone(), |(_, key)| key.to_vec()));
        }
        Place::Span(place) => tree::find(table, place)?,
    };
    let Some(count) = tree::items(table, &way) else {
        return Some(way);
    };
    let is_wrong = |first: usize| {
        let mut part = table.clone();
        tree::keep(&mut part, &way, |number| number < first);
        fails(&part).is_some_and(|other| other.place == wrong.place)
    };
    let (mut right, mut bad) = (0, count);
    if is_wrong(0) {
        return Some(way);
    }
    while bad.saturating_sub(right) > 1 {
        let middle = right.midpoint(bad);
        if is_wrong(middle) {
            bad = middle;
        } else {
            right = middle;
        }
    }
    way.push(Step::Item(right));
    Some(way)
}
