//! A message whose record is damaged, as the start lists it: with what of it is known.
//!
//! Contract: one whose sender cannot be read is held until an administrator says what becomes of
//! it. What was delivered is said by the record's state if all its parts are as long as they should
//! be; else everybody waits.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    Hold, Parties, Waiting,
    index::{Location, Message},
    message::message_size,
    record::{self, Place, State},
    scan::Seen,
};

/// What the index keeps of it.
pub(super) fn listed(at: Location, seen: &Seen<'_>) -> Message {
    let envelope = record::read_envelope(seen.payload);
    let head = record::read_head(seen.payload).map(|(head, rest)| (head, rest.len()));
    let head = head.filter(|(head, rest)| head.rest() == Some(*rest));
    let head = head.map(|(head, _)| head);
    let recipients = match (&envelope, &head) {
        (Some(envelope), _) => u32::try_from(envelope.recipients.len()).ok(),
        // Every recipient has bytes of its own.
        (None, Some(head)) => Some(head.recipients).filter(|it| *it <= at.length),
        (None, None) => None,
    };
    // Where it is not known, what became of one is not the end of it.
    let recipients = recipients.unwrap_or(2).max(1);
    let state = head.as_ref().and_then(|head| head.state.as_ref());
    let waiting = state.map(State::waiting).filter(|waiting| {
        let numbers: Vec<_> = waiting.iter().map(|it| it.recipient).collect();
        !numbers.is_empty()
            && numbers.is_sorted_by(|one, next| one < next)
            && numbers.iter().all(|number| *number < recipients)
    });
    let body = head.as_ref().map_or(Place::Inline(0), |head| head.body);
    let size = head.as_ref().map_or_else(
        || at.length.into(),
        |head| message_size(usize::try_from(head.header).unwrap_or_default(), body.len()),
    );
    let waiting = waiting.unwrap_or_else(|| Waiting::new(recipients));
    let mut message = Message::new(at, seen.header.time, size, body, waiting);
    match envelope {
        Some(envelope) => {
            message.uid = envelope.uid;
            message.parties = Parties::of(&envelope);
            message.hold = state.map(|state| state.hold).unwrap_or_default();
            message.warned = state.is_some_and(|state| state.warned);
            message.giver = state.and_then(State::giver);
        }
        // Nobody could be told when it is too old.
        None => message.hold = Hold::Held,
    }
    message
}
