//! Words to the terminal. A reader that has gone away is no error: the exit status is what counts.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use system::sysexits::Exit;

/// A line on standard output.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A line on standard error, with the program's name.
pub fn complain(program: &str, text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{program}: {text}");
}

/// Why a command ends badly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub exit: Exit,
    pub text: String,
}

impl Trouble {
    pub fn new(exit: Exit, text: impl Display) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }
}

impl From<settings::ConfigError> for Trouble {
    fn from(error: settings::ConfigError) -> Self {
        Self::new(Exit::Config, error)
    }
}
