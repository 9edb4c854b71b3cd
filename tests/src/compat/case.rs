//! The cases, read from TOML.
//!
//! Contract: an unknown key is an error. In `stdin`, `{{N TEXT}}` stands for TEXT N times, `#` in
//! it for the number of the repetition from 1, and `{{xx:E9 FF}}` for bytes.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use crate::binaries::repository;

/// One call of a program, and what must come of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// What it belongs to: `option`, `trap`, `exit`, `hostile`.
    pub group: String,
    /// `sendmail`, `mailq`, `newaliases`.
    #[serde(default = "sendmail")]
    pub program: String,
    /// Another argv\[0] than the program's path.
    pub argv0: Option<String>,
    /// Without argv\[0]. Default: one recipient.
    #[serde(default = "one_recipient")]
    pub argv: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Runs as this user (needs root).
    pub uid: Option<u32>,
    /// Standard input.
    #[serde(default = "small_message")]
    pub stdin: String,
    /// What standard input is instead: `closed`, `unreadable`.
    pub input: Option<String>,
    /// What standard output is instead: `closed`.
    pub output: Option<String>,
    /// `down` (until the program has ended), `picky` (8-bit and UTF-8 are not offered), `hundred`
    /// (recipients in a transaction), `refuses`, `later` (the recipients `nobody@`, `later@` of
    /// sink.bench).
    pub relay: Option<String>,
    /// Exit status.
    #[serde(default)]
    pub exit: u8,
    /// Envelope sender at the relay.
    pub sender: Option<String>,
    /// Recipients at the relay, in any order. Default: those of the default `argv` if the exit
    /// status is 0.
    to: Option<Vec<String>>,
    /// So many recipients at the relay instead of `to`.
    pub recipients: Option<usize>,
    /// The body at the relay, to the byte.
    pub body: Option<String>,
    /// So many bytes of body at the relay.
    pub body_size: Option<usize>,
    /// Texts in the message at the relay, its header unfolded.
    #[serde(default)]
    pub has: Vec<String>,
    /// Texts that are not.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Header fields that are there exactly once.
    #[serde(default)]
    pub once: Vec<String>,
    /// A text on standard output.
    pub stdout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

fn sendmail() -> String {
    "sendmail".to_owned()
}

fn one_recipient() -> Vec<String> {
    vec!["a@sink.bench".to_owned()]
}

fn small_message() -> String {
    "Subject: s\n\nbody\n".to_owned()
}

/// All of them.
pub fn all() -> Vec<Case> {
    let path = repository().join("tests/compat/cases.toml");
    let text = fs::read_to_string(&path).unwrap();
    let file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.case
}

impl Case {
    /// Recipients that the relay must see, sorted.
    pub fn to(&self) -> Vec<String> {
        let mut to = match &self.to {
            Some(to) => to.clone(),
            None if self.exit == 0 && self.recipients.is_none() => one_recipient(),
            None => Vec::new(),
        };
        to.sort();
        to
    }

    /// How many recipients the relay must see.
    pub fn count(&self) -> usize {
        self.recipients.unwrap_or_else(|| self.to().len())
    }

    /// Standard input, expanded.
    pub fn input(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = self.stdin.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, after) = after.split_once("}}").expect("{{ has its }}");
            out.extend_from_slice(before.as_bytes());
            let (head, text) = inside.split_once([' ', ':']).expect("{{N TEXT}}");
            if head == "xx" {
                let byte = |hex| u8::from_str_radix(hex, 16).expect("{{xx:E9}}");
                out.extend(text.split(' ').map(byte));
            } else {
                let count: usize = head.parse().expect("{{N TEXT}}");
                for number in 1..=count {
                    out.extend_from_slice(text.replace('#', &number.to_string()).as_bytes());
                }
            }
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }
}
