//! Exit statuses of `sendmail`, as its callers know them (BSD `sysexits.h`).

/// How a program ends; see the manual page sendmail(8) for who reads which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Exit {
    /// The message is on disk, or the relayhost has it.
    Ok = 0,
    /// An administrator's command: something was not done. `check`, as monitoring plugins end:
    /// works, but wants attention.
    NotDone = 1,
    /// An administrator's command: wrong arguments. `check`: does not work.
    Arguments = 2,
    /// The command line cannot be used: no recipients.
    Usage = 64,
    /// A bad address, or a message that is too big.
    DataErr = 65,
    /// Standard input could not be read.
    NoInput = 66,
    /// The relayhost said that there is no such recipient.
    NoUser = 67,
    /// Refused by policy.
    Unavailable = 69,
    /// A fault of this program.
    Software = 70,
    /// Standard output could not be written.
    IoErr = 74,
    /// Not accepted and not stored; the caller may try again.
    TempFail = 75,
    /// This user may not do that.
    NoPerm = 77,
    /// The configuration cannot be used.
    Config = 78,
}

impl Exit {
    /// `check`: something wants attention.
    pub const WARNING: Self = Self::NotDone;
    /// `check`: does not work.
    pub const CRITICAL: Self = Self::Arguments;
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
