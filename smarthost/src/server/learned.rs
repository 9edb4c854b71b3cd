//! What was found out of the world, and what follows from it: whoever asked decides what of that is
//! done.

use std::sync::Arc;

use mail::address::Address;

use crate::{
    destination::Destination,
    policy::{Answer, health, verify},
};

/// An answer of the world.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) answer: Answer,
    pub(super) believed: Believed,
    /// What administrators have to know.
    pub(crate) news: Option<News>,
    /// Something is to be kept for the next start.
    pub(super) changed: bool,
    /// The next hop that was asked just now, and whom it knows.
    pub(super) asked: Option<(Arc<Destination>, Address)>,
}

/// Whether the same question has the same answer for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Believed {
    Yes,
    /// If it took long: nobody else is to wait so long again.
    IfSlow,
    No,
}

#[derive(Debug)]
pub(crate) enum News {
    List(health::News),
    Recipients(verify::News),
}

impl Learned {
    /// What has no consequences.
    pub(super) fn plain(answer: Answer, sure: bool) -> Self {
        Self {
            answer,
            believed: if sure {
                Believed::Yes
            } else {
                Believed::IfSlow
            },
            news: None,
            changed: false,
            asked: None,
        }
    }

    /// What is different each time.
    pub(super) fn once(answer: Answer) -> Self {
        Self {
            believed: Believed::No,
            ..Self::plain(answer, true)
        }
    }

    /// The same with something to be kept.
    pub(super) fn changing(self) -> Self {
        Self {
            changed: true,
            ..self
        }
    }

    pub(super) fn telling(self, news: Option<News>) -> Self {
        Self { news, ..self }
    }
}
