//! What both sides agree on at first: the version, which steps the filter hears and answers, and
//! which macros it wants.

use super::packet::{self, Fault, take_number, take_string};

/// The version that we speak.
const VERSION: u32 = 6;
/// What a filter may ask of us: add, change and insert fields, replace the body, add and delete
/// recipients, quarantine, change the sender, name macros (`SMFIF_ADDHDRS` to `SMFIF_SETSYMLIST`).
const ACTIONS: u32 = 0x1ff;
/// What it may do without (`SMFIP_NO…`, `SMFIP_NR_…`), and what else we understand (`SMFIP_SKIP`,
/// `SMFIP_HDR_LEADSPC`). Recipients that were refused are not told (`SMFIP_RCPT_REJ`).
const STEPS: u32 = 0x1f_ffff & !RCPT_REJ;
const RCPT_REJ: u32 = 1 << 11;
const HDR_LEADSPC: u32 = 1 << 20;

/// Lists of macros, and their names altogether, bytes.
const LISTS: usize = 16;

/// A step, and how a filter does without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// The letter of its packet.
    pub(super) letter: u8,
    /// The filter does not want to hear it.
    pub(super) unwanted: u32,
    /// It does not answer.
    pub(super) unanswered: u32,
    /// The version that brought it.
    pub(super) since: u32,
    /// Which list of macros belongs to it.
    pub(super) list: Option<u32>,
}

#[rustfmt::skip]
impl Step {
    pub(super) const CONNECT: Self = Self::new(b'C', 0, 12, 2, Some(0));
    pub(super) const HELO: Self = Self::new(b'H', 1, 13, 2, Some(1));
    pub(super) const MAIL: Self = Self::new(b'M', 2, 14, 2, Some(2));
    pub(super) const RECIPIENT: Self = Self::new(b'R', 3, 15, 2, Some(3));
    pub(super) const DATA: Self = Self::new(b'T', 9, 16, 4, Some(4));
    pub(super) const HEADER: Self = Self::new(b'L', 5, 7, 2, None);
    pub(super) const END_OF_HEADER: Self = Self::new(b'N', 6, 18, 2, Some(6));
    pub(super) const BODY: Self = Self::new(b'B', 4, 19, 2, None);
    /// Always told, always answered.
    pub(super) const END_OF_MESSAGE: Self = Self { unwanted: 0, unanswered: 0, ..Self::new(b'E', 0, 0, 2, Some(5)) };

    const fn new(letter: u8, unwanted: u32, unanswered: u32, since: u32, list: Option<u32>) -> Self {
        Self { letter, unwanted: 1 << unwanted, unanswered: 1 << unanswered, since, list }
    }
}

/// What was agreed on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    version: u32,
    steps: u32,
    /// Macros by step, where the filter named its own.
    lists: Vec<(u32, Vec<String>)>,
}

impl Options {
    /// What we offer, as a packet.
    pub(super) fn offer(out: &mut Vec<u8>) {
        let numbers = [VERSION, ACTIONS, STEPS].map(u32::to_be_bytes);
        packet::write(out, b'O', numbers.as_flattened());
    }

    /// What the filter takes of it.
    pub(super) fn parse(mut payload: &[u8]) -> Result<Self, Fault> {
        let short = || Fault::new("its offer is cut short".to_owned());
        let mut number = || take_number(&mut payload).ok_or_else(short);
        let (version, actions, steps) = (number()?, number()?, number()?);
        if !(2..=VERSION).contains(&version) {
            return Err(Fault::new(format!(
                "it speaks version {version} of the protocol, and we speak 2 to {VERSION}"
            )));
        }
        if actions & !ACTIONS != 0 {
            return Err(Fault::new(format!(
                "it wants to do what we do not offer (actions {actions:#x})"
            )));
        }
        let mut lists = Vec::new();
        while !payload.is_empty() && lists.len() < LISTS {
            let step = take_number(&mut payload).ok_or_else(short)?;
            let names = take_string(&mut payload).ok_or_else(short)?;
            let names = String::from_utf8_lossy(names);
            let names = names.split([' ', ',']).filter(|name| !name.is_empty());
            lists.push((step, names.map(str::to_owned).collect()));
        }
        Ok(Self {
            version,
            steps,
            lists,
        })
    }

    pub(super) fn hears(&self, step: Step) -> bool {
        self.version >= step.since && self.steps & step.unwanted == 0
    }

    pub(super) fn answers(&self, step: Step) -> bool {
        self.steps & step.unanswered == 0
    }

    /// Values of fields come and go with the blank behind the colon.
    pub(super) fn leading_blank(&self) -> bool {
        self.steps & HDR_LEADSPC != 0
    }

    /// The macros that it named for a step.
    pub(super) fn macros(&self, list: u32) -> Option<&[String]> {
        let mut lists = self.lists.iter().rev();
        let found = lists.find(|(step, _)| *step == list);
        found.map(|(_, names)| names.as_slice())
    }
}
