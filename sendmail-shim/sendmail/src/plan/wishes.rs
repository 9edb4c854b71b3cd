//! What `-N`, `-R` and `-V` wish of delivery status notifications.
//!
//! Contract: what a [`Wishes`] holds is one that RFC 3461 knows; what is none is told and not used.

use mail::envelope::{Notify, Ret};

use crate::flags::parse::Typed;

/// Longest ENVID, in characters (RFC 3461 §4.4).
const ENVID: usize = 100;

/// What is wished of delivery status notifications.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) notify: Notify,
    pub(super) ret: Option<Ret>,
    pub(super) envid: Option<String>,
    /// What is wrong with the others.
    pub(super) wrong: Vec<String>,
}

impl Wishes {
    pub(super) fn of(typed: &Typed) -> Self {
        let mut wishes = Self::default();
        let notify = typed.notify.as_deref().map(notify);
        wishes.notify = wishes.usable(notify).unwrap_or_default();
        wishes.ret = wishes.usable(typed.ret.as_deref().map(ret));
        wishes.envid = wishes.usable(typed.envid.clone().map(envid));
        wishes
    }

    /// What of a command line has no effect on a session, for standard error.
    pub(super) fn not_of_a_session(&self, typed: &Typed) -> Vec<String> {
        let said = "names its own (NOTIFY, RET, ENVID); what was typed is not used";
        let options = [
            ("-N", typed.notify.is_some()),
            ("-R", typed.ret.is_some()),
            ("-V", typed.envid.is_some()),
        ];
        let wrong = |option: &str| self.wrong.iter().find(|it| it.starts_with(option));
        let typed = options.into_iter().filter(|(_, is_typed)| *is_typed);
        typed
            .map(|(option, _)| match wrong(option) {
                Some(why) => unused(why),
                None => format!("{option}: a session {said}"),
            })
            .collect()
    }

    fn usable<T>(&mut self, wish: Option<Result<T, String>>) -> Option<T> {
        match wish? {
            Ok(wish) => Some(wish),
            Err(why) => {
                self.wrong.push(why);
                None
            }
        }
    }
}

fn notify(typed: &str) -> Result<Notify, String> {
    let packed: String = typed.split_whitespace().collect();
    let refusal = || "-N takes `never`, or a list of success, failure, delay".to_owned();
    Notify::parse(&packed).ok_or_else(refusal)
}

fn ret(typed: &str) -> Result<Ret, String> {
    Ret::parse(typed).ok_or_else(|| "-R takes `full` or `hdrs`".to_owned())
}

fn envid(typed: String) -> Result<String, String> {
    if (1..=ENVID).contains(&typed.len()) && typed.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        Ok(typed)
    } else {
        Err(format!("-V takes 1 to {ENVID} printable ASCII characters"))
    }
}

/// What is said of a wish that is none, where the mail is worth more.
pub(super) fn unused(why: &String) -> String {
    format!("{why}; what was typed is not used")
}
