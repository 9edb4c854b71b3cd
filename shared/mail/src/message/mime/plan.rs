//! What is to be done with each entity, decided from one reading of the message.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    encode::{Action, Encoder},
    entity::{Encoding, Entity, Kind},
    walk::Piece,
};
use crate::message::{
    Header,
    charset::Charset,
    long_lines::{self, Longest, LongestWord},
};

/// Entities that are decided one by one; those behind them share one decision.
const ENTITIES: usize = 10_000;

/// What the peer does not take.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// No byte over 127 in the body (a peer without 8BITMIME).
    pub seven_bit: bool,
    /// None in the header (a peer without SMTPUTF8).
    pub ascii_header: bool,
}

/// Tries out whether folding changes a text.
#[derive(Debug)]
struct Folding {
    encoder: Encoder,
    out: Vec<u8>,
    given: usize,
    made: usize,
}

impl Default for Folding {
    fn default() -> Self {
        Self {
            encoder: Encoder::new(Action::Fold),
            out: Vec::new(),
            given: 0,
            made: 0,
        }
    }
}

impl Folding {
    fn feed(&mut self, bytes: &[u8]) {
        self.encoder.feed(bytes, &mut self.out);
        self.given = self.given.saturating_add(bytes.len());
        self.count();
    }

    /// Something else follows.
    fn flush(&mut self) {
        self.encoder.flush(&mut self.out);
        self.count();
    }

    fn count(&mut self) {
        self.made = self.made.saturating_add(self.out.len());
        self.out.clear();
    }

    /// A line is broken.
    fn changes(&self) -> bool {
        self.made > self.given
    }
}

/// What one entity holds.
#[derive(Default, Debug)]
struct Seen {
    longest: Longest,
    /// Of what may not be encoded.
    word: LongestWord,
    folding: Folding,
    eight_bit: bool,
    charset: Charset,
}

impl Seen {
    fn feed(&mut self, bytes: &[u8], opaque: bool) {
        self.longest.feed(bytes);
        if opaque {
            self.word.feed(bytes);
            self.folding.feed(bytes);
        }
        if !bytes.is_ascii() {
            self.eight_bit = true;
        }
        if self.eight_bit {
            self.charset.feed(bytes);
        }
    }
}

/// What is done with one entity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    /// Name of the character set, where the header is to tell it.
    pub(super) charset: Option<&'static str>,
}

const KEPT: Step = Step {
    action: Action::Keep,
    charset: None,
};

/// The decisions, in the order of the header sections.
#[derive(Debug)]
pub(super) struct Plan {
    wanted: Wanted,
    steps: Vec<Step>,
    /// Anything at all changes.
    pub(super) changes: bool,
    /// A part is encoded.
    encodes: bool,
    /// Bytes over 127 remain in the body.
    pub(super) eight_bit: bool,
    /// Lines over 998 bytes remain.
    pub(super) long_lines: bool,
    /// Lines are folded that could not be encoded.
    pub(super) folded: bool,
    /// All of it is signed.
    pub(super) signed: bool,
    current: Option<(Entity, bool)>,
    seen: Seen,
    /// What is in no part, where no signature covers it.
    word: LongestWord,
    frame: Folding,
    /// Lines that a signature covers, other than those of leaf parts.
    kept: Longest,
    /// A signature covers what follows the header section that came last.
    covered: bool,
}

impl Plan {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            steps: Vec::new(),
            changes: false,
            encodes: false,
            eight_bit: false,
            long_lines: false,
            folded: false,
            signed: false,
            current: None,
            seen: Seen::default(),
            word: LongestWord::default(),
            frame: Folding::default(),
            kept: Longest::default(),
            covered: false,
        }
    }

    /// Takes the next piece of the first reading.
    pub(super) fn see(&mut self, piece: Piece<'_>) {
        if !matches!(piece, Piece::Frame(_)) {
            self.frame.flush();
        }
        match piece {
            Piece::Header(header, entity, signed) => {
                self.settle();
                let first = self.steps.is_empty();
                self.signed |= first && is_signed(&header);
                let signed = signed || self.signed;
                let mut header = header;
                if signed {
                    self.kept.feed(&header.to_bytes());
                } else {
                    self.changes |= self.mend_header(&mut header, first);
                }
                self.eight_bit |= !first && !header.to_bytes().is_ascii();
                self.covered = signed;
                self.current = Some((entity.clone(), signed));
            }
            Piece::Body(bytes) => {
                let current = self.current.as_ref();
                let opaque = current.is_some_and(|(entity, _)| entity.kind == Kind::Opaque);
                self.seen.feed(bytes, opaque);
            }
            Piece::End => {
                // The line end before a boundary is not the part's.
                self.seen.longest.feed(b"\r\n");
                self.settle();
            }
            Piece::Frame(bytes) => {
                self.eight_bit |= !bytes.is_ascii();
                if self.covered {
                    self.kept.feed(bytes);
                } else {
                    self.frame.feed(bytes);
                    self.word.feed(bytes);
                }
            }
        }
    }

    /// The first reading is over.
    pub(super) fn ready(&mut self) {
        self.settle();
        self.frame.flush();
        self.folded |= self.frame.changes();
        self.long_lines |= self.kept.too_long() || self.word.too_long();
        self.changes |= self.frame.changes();
    }

    /// Decides about the entity that has ended.
    fn settle(&mut self) {
        let Some((entity, signed)) = self.current.take() else {
            return;
        };
        let mut seen = std::mem::take(&mut self.seen);
        seen.folding.flush();
        let step = if signed {
            KEPT
        } else {
            self.step(&entity, &seen)
        };
        let long = seen.longest.too_long();
        self.changes |= step.action != Action::Keep;
        self.encodes |= matches!(step.action, Action::Quote | Action::Base64);
        self.folded |= step.action == Action::Fold;
        self.long_lines |= match step.action {
            Action::Keep => long,
            // A longer word stays whole.
            Action::Fold => seen.word.too_long(),
            Action::Quote | Action::Requote | Action::Base64 | Action::Cut => false,
        };
        let encoded = matches!(
            step.action,
            Action::Quote | Action::Base64 | Action::Requote
        );
        self.eight_bit |= seen.eight_bit && !encoded;
        if self.steps.len() < ENTITIES {
            self.steps.push(step);
        } else if let Some(last) = self.steps.last_mut()
            && step.action != Action::Keep
        {
            *last = step;
        }
    }

    fn step(&self, entity: &Entity, seen: &Seen) -> Step {
        let long = seen.longest.too_long();
        let eight_bit = seen.eight_bit && self.wanted.seven_bit;
        let action = match means(entity) {
            _ if !long && !eight_bit => Action::Keep,
            Action::Cut if !long => Action::Keep,
            Action::Fold if !seen.folding.changes() => Action::Keep,
            action => action,
        };
        Step {
            action,
            charset: (action == Action::Quote).then(|| seen.charset.label()),
        }
    }

    /// What is done with the entity of that number. One behind those that were decided on shares
    /// the last one's fate, as far as it can.
    pub(super) fn step_of(&self, number: usize, entity: &Entity, signed: bool) -> Step {
        if signed || self.signed {
            return KEPT;
        }
        let step = self
            .steps
            .get(number.min(ENTITIES.saturating_sub(1)))
            .copied()
            .unwrap_or(KEPT);
        match (step.action, &entity.kind) {
            (Action::Keep, _) => KEPT,
            _ if number < ENTITIES.saturating_sub(1) => step,
            (_, Kind::Multipart { .. } | Kind::Message) => KEPT,
            _ => Step {
                action: means(entity),
                charset: None,
            },
        }
    }

    /// The header section of an entity as it is sent.
    pub(super) fn header(&self, header: &mut Header, step: Step, first: bool, signed: bool) {
        if signed || self.signed {
            return;
        }
        self.mend_header(header, first);
        let encoding = match step.action {
            Action::Quote => "quoted-printable",
            Action::Base64 => "base64",
            Action::Keep | Action::Requote | Action::Cut | Action::Fold => {
                if self.wanted.seven_bit && !self.eight_bit {
                    seven_bit_label(header);
                }
                if first && self.encodes {
                    add(header, "MIME-Version", "1.0");
                }
                return;
            }
        };
        header.remove("Content-Transfer-Encoding");
        if is_multipart(header) {
            // One without a boundary: text, as its readers see it.
            header.remove("Content-Type");
        }
        if first {
            add(header, "MIME-Version", "1.0");
        }
        if let Some(charset) = step.charset {
            add(
                header,
                "Content-Type",
                &format!("text/plain; charset={charset}"),
            );
        }
        add(header, "Content-Transfer-Encoding", encoding);
    }

    /// Short lines, and ASCII where that is wanted.
    fn mend_header(&self, header: &mut Header, first: bool) -> bool {
        let ascii = if first {
            self.wanted.ascii_header
        } else {
            self.wanted.seven_bit
        };
        let repaired = if ascii {
            crate::message::encoded_words::to_ascii(header)
        } else {
            0
        };
        long_lines::fold_header(header).saturating_add(repaired) > 0
    }
}

/// What is done with an entity that cannot stay as it is.
fn means(entity: &Entity) -> Action {
    match (&entity.kind, entity.encoding) {
        (_, Encoding::QuotedPrintable) => Action::Requote,
        (_, Encoding::Base64) => Action::Cut,
        (Kind::Leaf, _) if entity.text => Action::Quote,
        (Kind::Leaf, _) => Action::Base64,
        _ => Action::Fold,
    }
}

/// RFC 6376 and RFC 8617: the signature covers header and body.
fn is_signed(header: &Header) -> bool {
    header.first("DKIM-Signature").is_some() || header.first("ARC-Message-Signature").is_some()
}

fn is_multipart(header: &Header) -> bool {
    let value = header
        .first("Content-Type")
        .map(crate::message::Field::value);
    value.is_some_and(|value| {
        let kind = value.trim_ascii().get(..b"multipart/".len());
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
    })
}

fn add(header: &mut Header, name: &str, value: &str) {
    if header.first(name).is_none() {
        header.append(crate::message::Field::new(name, value));
    }
}

/// `8bit` is no longer true.
fn seven_bit_label(header: &mut Header) {
    header.edit(|field| {
        let value = field.value().to_ascii_lowercase();
        let wrong = field.is("Content-Transfer-Encoding")
            && matches!(value.as_slice(), b"8bit" | b"binary");
        wrong.then(|| field.with_body(b" 7bit"))
    });
}
