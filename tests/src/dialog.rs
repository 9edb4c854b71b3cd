//! Dialogs: SMTP sessions in files that an administrator can read (`tests/data/dialogs/*.chat`).
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | remark; the first says what the dialog shows |
//! | `set no-starttls` | a setting of the server: `no-starttls wrapped local max-size N max-recipients N max-errors N max-junk N` |
//! | `answer rcpt refuse 550 5.1.1 Unknown` | the policy's answer to the next such question (`connect helo mail rcpt data message`): `with`, `refuse`, `close`; otherwise it accepts |
//! | `C: text` | the client says this line; several in a row go out together |
//! | `C\| text` | the same without CRLF, `\r \n \0 \t \\ \xHH` mean bytes |
//! | `S: text` | the server says this line; `*` at the end stands for anything |
//! | `event tls` | the handshake is made; also `timeout`, `shutdown`, `closed` |
//! | `= fact` | what the machine must have done: see `tests/dialogs.rs` |
//!
//! A dialog without `set`, `answer` and `event` can be held with a real server, of whose facts only
//! `closed` is seen.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One file.
#[derive(Debug)]
pub struct Dialog {
    pub path: PathBuf,
    pub steps: Vec<Step>,
}

/// One line, with its number in the file.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub act: Act,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Set {
        key: String,
        value: String,
    },
    Answer {
        question: String,
        verdict: String,
        reply: String,
    },
    Client(Vec<u8>),
    Server(String),
    Event(String),
    Fact(String),
}

impl Dialog {
    /// Reads a file; the error names file and line.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let mut steps = Vec::new();
        for (index, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        {
            let act = act(line).ok_or_else(|| {
                io::Error::other(format!(
                    "{}:{}: not a line of a dialog: {line}",
                    path.display(),
                    index + 1
                ))
            })?;
            steps.push(Step {
                line: index + 1,
                act,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            steps,
        })
    }

    /// All dialogs of a directory, by name.
    pub fn read_all(directory: &Path) -> io::Result<Vec<Self>> {
        let entries: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "chat")
        });
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Whether it needs a server whose settings, policy and clock are in our hands.
    pub fn needs_the_machine(&self) -> bool {
        let ours = |act: &Act| matches!(act, Act::Set { .. } | Act::Answer { .. } | Act::Event(_));
        self.steps.iter().any(|step| ours(&step.act))
    }
}

/// Whether the server's line is the expected one.
pub fn matches(expected: &str, seen: &str) -> bool {
    match expected.strip_suffix('*') {
        Some(start) => seen.starts_with(start.trim_end()),
        None => seen == expected,
    }
}

fn act(line: &str) -> Option<Act> {
    if let Some(text) = line.strip_prefix("C| ") {
        return unescape(text).map(Act::Client);
    }
    let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = text.splitn(3, ' ').map(str::to_owned);
    Some(match kind {
        "C:" => Act::Client(format!("{text}\r\n").into_bytes()),
        "S:" => Act::Server(text.to_owned()),
        "event" => Act::Event(text.to_owned()),
        "=" => Act::Fact(text.to_owned()),
        "set" => Act::Set {
            key: words.next()?,
            value: words.collect::<Vec<_>>().join(" "),
        },
        "answer" => Act::Answer {
            question: words.next()?,
            verdict: words.next()?,
            reply: words.next()?,
        },
        _ => return None,
    })
}

/// `\r \n \0 \t \\ \xHH` → bytes; `None` for other escapes.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let mut letters = after.chars();
        match letters.next()? {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            '0' => bytes.push(0),
            't' => bytes.push(b'\t'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(after.get(1..3)?, 16).ok()?);
                letters = after.get(3..)?.chars();
            }
            _ => return None,
        }
        rest = letters.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}
