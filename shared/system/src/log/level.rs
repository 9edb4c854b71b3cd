//! How much a line of the log is meant for the eyes of an administrator.

/// Priorities of syslog that we use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

impl Level {
    /// Postfix's `warning: ` and its kin.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Error => "error: ",
            Self::Warning => "warning: ",
            Self::Notice | Self::Info => "",
            Self::Debug => "debug: ",
        }
    }
}
