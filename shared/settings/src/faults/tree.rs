//! What a TOML text says as a tree, in which each key and value knows its place: what stands at a
//! place, and the tree without it. Pure.

use std::{mem, ops::Range};

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// From a table to one of its values, or from a list to one of its items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// From the top to a value.
pub(super) type Way = Vec<Step>;

/// The way to what a place is about: a key, a value, or else the innermost value around it.
pub(super) fn find(table: &DeTable<'_>, place: &Range<usize>) -> Option<Way> {
    let exactly = |at: Range<usize>| at == *place;
    let around = |at: Range<usize>| at.start <= place.start && place.end <= at.end;
    let mut way = Way::new();
    if in_table(table, &exactly, false, &mut way) || in_table(table, &around, true, &mut way) {
        Some(way)
    } else {
        None
    }
}

type Fits<'a> = dyn Fn(Range<usize>) -> bool + 'a;

fn in_table(table: &DeTable<'_>, fits: &Fits<'_>, inner: bool, way: &mut Way) -> bool {
    table.iter().any(|(key, value)| {
        way.push(Step::Key(key.get_ref().to_string()));
        let found = fits(key.span()) || in_value(value, fits, inner, way);
        if !found {
            way.pop();
        }
        found
    })
}

/// `inner`: what lies deeper comes first.
fn in_value(value: &Spanned<DeValue<'_>>, fits: &Fits<'_>, inner: bool, way: &mut Way) -> bool {
    if !inner && fits(value.span()) {
        return true;
    }
    let deeper = match value.get_ref() {
        DeValue::Table(table) => in_table(table, fits, inner, way),
        DeValue::Array(items) => items.iter().enumerate().any(|(index, item)| {
            way.push(Step::Item(index));
            let found = in_value(item, fits, inner, way);
            if !found {
                way.pop();
            }
            found
        }),
        _ => false,
    };
    deeper || fits(value.span())
}

/// The place of a value's key, or of an item.
pub(super) fn place(table: &DeTable<'_>, way: &[Step]) -> Option<Range<usize>> {
    let (last, parents) = way.split_last()?;
    match last {
        Step::Key(key) => {
            let parent = match parents {
                [] => table,
                _ => value(table, parents)?.get_ref().as_table()?,
            };
            Some(parent.get_key_value(key.as_str())?.0.span())
        }
        Step::Item(_) => Some(value(table, way)?.span()),
    }
}

/// How many items there are, if it is a list.
pub(super) fn items(table: &DeTable<'_>, way: &[Step]) -> Option<usize> {
    Some(value(table, way)?.get_ref().as_array()?.len())
}

pub(super) fn value<'t, 'i>(
    table: &'t DeTable<'i>,
    way: &[Step],
) -> Option<&'t Spanned<DeValue<'i>>> {
    let (first, rest) = way.split_first()?;
    let Step::Key(key) = first else {
        return None;
    };
    rest.iter()
        .try_fold(table.get(key.as_str())?, |value, step| {
            match (value.get_ref(), step) {
                (DeValue::Table(table), Step::Key(key)) => table.get(key.as_str()),
                (DeValue::Array(items), Step::Item(index)) => items.get(*index),
                _ => None,
            }
        })
}

pub(super) fn value_mut<'t, 'i>(
    table: &'t mut DeTable<'i>,
    way: &[Step],
) -> Option<&'t mut DeValue<'i>> {
    let (first, rest) = way.split_first()?;
    let Step::Key(key) = first else {
        return None;
    };
    let first = table.get_mut(key.as_str())?.get_mut();
    rest.iter()
        .try_fold(first, |value, step| match (value, step) {
            (DeValue::Table(table), Step::Key(key)) => {
                table.get_mut(key.as_str()).map(Spanned::get_mut)
            }
            (DeValue::Array(items), Step::Item(index)) => {
                items.get_mut(*index).map(Spanned::get_mut)
            }
            _ => None,
        })
}

/// Takes a value out; `false`: it is not there.
pub(super) fn remove(table: &mut DeTable<'_>, way: &[Step]) -> bool {
    let Some((last, parents)) = way.split_last() else {
        return false;
    };
    match last {
        Step::Key(key) if parents.is_empty() => table.remove(key.as_str()).is_some(),
        Step::Key(key) => match value_mut(table, parents) {
            Some(DeValue::Table(table)) => table.remove(key.as_str()).is_some(),
            _ => false,
        },
        Step::Item(index) => {
            let before = items(table, parents);
            keep(table, parents, |number| number != *index);
            before != items(table, parents)
        }
    }
}

/// Keeps these items of a list.
pub(super) fn keep(table: &mut DeTable<'_>, way: &[Step], which: impl Fn(usize) -> bool) {
    if let Some(DeValue::Array(items)) = value_mut(table, way) {
        let all = mem::replace(items, DeArray::new()).into_iter().enumerate();
        let kept = all.filter(|(number, _)| which(*number));
        *items = kept.map(|(_, item)| item).collect();
    }
}
