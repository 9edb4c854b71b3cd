//! What the store of a shared budget answers: its bytes, in any pieces, and the names that it
//! lists.
use smarthost::budget::{Answer, Id};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let believed = |piece: usize| {
        let mut answer = Answer::default();
        input.chunks(piece).all(|piece| answer.goes_on(piece))
    };
    let whole = believed(input.len().max(1));
    for piece in [1, 3] {
        assert_eq!(believed(piece), whole, "in whatever pieces it comes");
    }
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    for line in text.lines() {
        if let Some(id) = Id::parse(line) {
            assert_eq!(Id::parse(&id.to_string()), Some(id), "it is read back");
        }
    }
}
