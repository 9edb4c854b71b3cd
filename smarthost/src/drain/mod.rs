//! A server is emptied into another: new mail is refused, and what is queued moves as it is.
//!
//! | part | what |
//! |---|---|
//! | [`told`] | what one server tells the other of a message |
//! | [`moves`] | which message is next |
//! | [`balance`] | what is kept of it over a restart, and the sum that must come out |
//!
//! How a message changes hands, so that it is in at least one queue at any moment and is delivered
//! from one of them alone, whenever either side dies:
//!
//! | step | here | there |
//! |---|---|---|
//! | 1. it is sent, and answered 250 | queued, and rests | on disk, [`spool::Hold::Arriving`]: not delivered |
//! | 2. it is given up | on disk, [`spool::Hold::Leaving`]: never delivered from here again | |
//! | 3. that is told, and answered 250 | gone | delivered, or held as it was here |
//!
//! Where an answer is lost, the step is repeated, and means the same: in step 1 the other side
//! finds what it has, in step 3 it has nothing more to do. Where step 2 is never reached, the copy
//! there stays on hold, and this side may deliver.

pub mod balance;
pub mod moves;
pub mod told;

pub use balance::{Drain, NAMED, Progress, Stay};
pub use moves::{Go, Moves, PAUSE, Queued};
