//! The configuration: where it is, what it says, what it means.
//!
//! | part | what |
//! |---|---|
//! | [`places`] | which file is read, and when none is |
//! | [`file`] | TOML as written |
//! | [`enrolled`] | what the lines of smarthosts have set |
//! | [`forms`] | default and range of each setting of one value |
//! | [`settings`] | as the program uses it, all defaults filled in |
//! | [`sense`] | what contradicts another setting |
//! | [`rows`] | as an administrator reads it: key, value, meaning |
//! | [`machine`] | what the machine knows about itself: its name, /etc/mailname |
//! | [`unchanged`] | whose reports wait for a digest |
//! | [`tables`] | aliases and revaliases, read when they change |

pub mod enrolled;
pub mod file;
pub mod forms;
pub mod machine;
pub mod places;
pub mod rows;
mod sense;
pub mod settings;
pub mod tables;
pub mod unchanged;
