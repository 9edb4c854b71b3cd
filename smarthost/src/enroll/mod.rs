//! Machines that are known by a key of their own, which a line of `smarthost enroll` has let in.
//! Pure.
//!
//! | part | what |
//! |---|---|
//! | [`book`] | who may come in, who is in, and whose keys are believed no more |
//! | `machine` | one machine, line or key as it is kept |
//! | [`row`] | one of them, as administrators see it |
//!
//! A key changes hands so that the machine is known at any moment, whichever side dies:
//!
//! | step | the machine | here |
//! |---|---|---|
//! | 1. the line is used | has a key that nothing uses yet | name and key, on disk, then 250 |
//! | 2. its answer is there | uses the key | |
//! | 3. `sendmail-shim enroll --roll`: the next key is told under the old one | has the next key too | both, on disk, then 250 |
//! | 4. that was answered | uses the next key | the old one is good for `machine::GRACE` after mail came under the next |
//!
//! Another line for a machine that is in does the same as 3: `sendmail-shim enroll --new-key` may
//! have to show the key to other relays before it is used. The old key of a machine that was
//! revoked is not good for anything meanwhile.
//!
//! Where an answer is lost the step is repeated, and means the same: the same key with the same
//! secret is let in again. Another key with the same secret is not: the line is in two hands, and
//! administrators are told.
//! See also: [`relay::enroll`], what is said; `crate::enrolling`, the file and who asks.

pub mod book;
mod machine;
pub mod row;

pub use book::{Announced, Book, Offered, Redeemed, Standing};
pub use row::{Row, State, Twice};
