//! The message as it is sent: read once to decide, and once more to be sent.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, Read};

use super::{
    encode::{Action, Encoder},
    plan::{Plan, Wanted},
    walk::{Piece, Walk},
};
use crate::limits;

/// A message that fits a peer as well as it can.
#[derive(Debug)]
pub struct Fit<R> {
    /// Header, empty line and body.
    pub content: Fitted<R>,
    /// Its bytes.
    pub size: u64,
    /// It is not what was read.
    pub changed: bool,
    /// Bytes over 127 remain in the body: some part is signed, or may not be encoded.
    pub eight_bit: bool,
    /// Lines over 998 bytes remain: in what is signed, or words that nothing may cut.
    pub long_lines: bool,
    /// Lines were folded that could not be encoded.
    pub folded: bool,
}

/// Fits the message that `read` gives from its beginning; it is asked for up to three times.
pub fn fit<R: Read>(read: impl Fn() -> io::Result<R>, wanted: Wanted) -> io::Result<Fit<R>> {
    let mut plan = Plan::new(wanted);
    let mut walk = Walk::new();
    let mut size = 0u64;
    pieces(&mut read()?, |bytes| {
        size = size.saturating_add(bytes.len() as u64);
        walk.feed(bytes, &mut |piece| plan.see(piece));
    })?;
    walk.finish(&mut |piece| plan.see(piece));
    plan.ready();
    let (changed, eight_bit, long_lines, folded) =
        (plan.changes, plan.eight_bit, plan.long_lines, plan.folded);
    let mut rewriter = changed.then(|| Rewriter::new(plan));
    if let Some(counting) = rewriter.take() {
        let mut counted = Fitted::new(read()?, Some(counting));
        size = io::copy(&mut counted, &mut io::sink())?;
        rewriter = counted.rewriter.map(|used| Rewriter::new(used.plan));
    }
    Ok(Fit {
        content: Fitted::new(read()?, rewriter),
        size,
        changed,
        eight_bit,
        long_lines,
        folded,
    })
}

fn pieces(from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; limits::PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Rewriter {
    plan: Plan,
    walk: Option<Walk>,
    /// Entities so far.
    number: usize,
    encoder: Encoder,
    /// Of what is in no part.
    frame: Encoder,
}

impl std::fmt::Debug for Rewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewriter").finish_non_exhaustive()
    }
}

impl Rewriter {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            walk: Some(Walk::new()),
            number: 0,
            encoder: Encoder::default(),
            frame: Encoder::new(Action::Keep),
        }
    }

    /// Takes the next bytes, or the end; appends what they become.
    fn feed(&mut self, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(mut walk) = self.walk.take() else {
            return;
        };
        if let Some(bytes) = bytes {
            walk.feed(bytes, &mut |piece| self.piece(piece, out));
            self.walk = Some(walk);
        } else {
            walk.finish(&mut |piece| self.piece(piece, out));
            self.frame.flush(out);
        }
    }

    fn piece(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) {
        if !matches!(piece, Piece::Frame(_)) {
            self.frame.flush(out);
        }
        match piece {
            Piece::Header(mut header, entity, signed) => {
                let step = self.plan.step_of(self.number, entity, signed);
                self.plan
                    .header(&mut header, step, self.number == 0, signed);
                self.number = self.number.saturating_add(1);
                out.extend_from_slice(&header.to_bytes());
                self.encoder = Encoder::new(step.action);
                let kept = signed || self.plan.signed;
                self.frame = Encoder::new(if kept { Action::Keep } else { Action::Fold });
            }
            Piece::Body(bytes) => self.encoder.feed(bytes, out),
            Piece::End => std::mem::take(&mut self.encoder).finish(out),
            Piece::Frame(bytes) => self.frame.feed(bytes, out),
        }
    }
}

/// Reads the message as it is to be sent.
#[derive(Debug)]
pub struct Fitted<R> {
    inner: R,
    rewriter: Option<Rewriter>,
    ended: bool,
    /// Ready bytes, and how many of them are read.
    ready: Vec<u8>,
    at: usize,
}

impl<R: Read> Fitted<R> {
    fn new(inner: R, rewriter: Option<Rewriter>) -> Self {
        Self {
            inner,
            rewriter,
            ended: false,
            ready: Vec::new(),
            at: 0,
        }
    }
}

impl<R: Read> Read for Fitted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(rewriter) = &mut self.rewriter else {
            return self.inner.read(buffer);
        };
        while self.at >= self.ready.len() && !self.ended {
            self.ready.clear();
            self.at = 0;
            let mut piece = vec![0; limits::PIECE];
            let count = self.inner.read(&mut piece)?;
            self.ended = count == 0;
            let bytes = piece.get(..count).filter(|bytes| !bytes.is_empty());
            rewriter.feed(bytes, &mut self.ready);
        }
        let mut rest = self.ready.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at = self.at.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
