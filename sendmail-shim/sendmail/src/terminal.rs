//! Words to the terminal, and why a command ends badly.

use std::fmt::Display;

use system::sysexits::Exit;
pub use system::terminal::{complain, say};

/// Why a command ends badly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandError {
    pub exit: Exit,
    pub text: String,
}

impl CommandError {
    pub fn new(exit: Exit, text: impl Display) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }
}

impl From<settings::ConfigError> for CommandError {
    fn from(error: settings::ConfigError) -> Self {
        Self::new(Exit::Config, error)
    }
}
