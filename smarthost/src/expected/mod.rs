//! Mail that must come: what administrators declare, and what was learned. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`wanted`](Wanted) | what must come, how often, and which messages are it |
//! | [`came`](Came) | a message that came |
//! | [`subject`] | subjects as people read them, and what they have in common |
//! | [`rhythm`] | how often something comes, if it comes regularly |
//! | [`learned`](Learned) | who sends what, and the rhythm of each |
//! | [`machines`] | which machines used to write |
//! | [`keeping`](Expected) | all of it, and what is told when |
//!
//! Contract: what is declared and does not come is told once, when its time and grace are over, and
//! again when it comes. Days are those of the calendar: a clock that is changed for summer makes
//! nothing late. A machine that used to write and is silent altogether is told once. What is
//! learned is only proposed: it alarms nobody until it was confirmed. Only mail of our own clients
//! counts, and that of an address or network which is named. Bounded, however many subjects a
//! client makes up.

mod came;
mod keeping;
mod learned;
mod machines;
mod rhythm;
mod subject;
#[cfg(test)]
mod tests;
mod wanted;

pub use came::Came;
pub use keeping::{Expected, MISSING, Standing};
pub use learned::Proposal;
pub use settings::Pattern;
pub use wanted::{Every, Wanted, Who};
