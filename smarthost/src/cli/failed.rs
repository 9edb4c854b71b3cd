//! Why a command was not carried out, and the exit status for it.

use std::process::ExitCode;

use system::sysexits::Exit;

/// Why a command was not carried out.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) text: String,
    pub(super) exit: ExitCode,
}

impl Failed {
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            exit: ExitCode::FAILURE,
        }
    }
}

impl Failed {
    /// The command line cannot be used.
    pub(super) fn arguments(text: String) -> Self {
        Self {
            text,
            exit: Exit::Arguments.into(),
        }
    }
}

impl From<settings::ConfigError> for Failed {
    fn from(error: settings::ConfigError) -> Self {
        Self {
            text: error.text,
            exit: Exit::Config.into(),
        }
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        let exit = if error.is::<settings::ConfigError>() {
            Exit::Config.into()
        } else {
            ExitCode::FAILURE
        };
        Self {
            text: format!("{error:#}"),
            exit,
        }
    }
}
