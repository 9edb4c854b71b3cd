//! How many of something in a sliding time. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`Window`] | a limit: `"100/day"`, `"20/10m"` |
//! | [`Budget`] | one that a configuration sets: never nothing |
//! | [`Ring`] | what came within it, counted |

mod ring;
mod window;

pub use ring::{Recorded, Ring};
pub use window::{Budget, Window};
