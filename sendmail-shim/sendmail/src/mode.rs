//! Which of its names the program was called by, decided once and before any option is read.
//!
//! Contract: total; any path, a login name's leading dash and any unknown name are accepted
//! (unknown means `sendmail`).
//! Nothing after this module looks at argv\[0].

/// Why `-bd` and `smtpd` do nothing.
pub const NO_DAEMON: &str = "the agent is started by systemd: systemctl start sendmail-shim.socket";

/// Why it does nothing under the name of the administrator's program.
pub const NO_COMMANDS: &str = "this is sendmail under the name sendmail-shim, which is a program of its own: install it again";

/// A name of the binary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// `sendmail`, and whatever else links to it.
    Sendmail,
    /// `mailq`: `sendmail -bp`.
    Mailq,
    /// `newaliases`: `sendmail -bi`.
    Newaliases,
    /// `sendmail-shim`: another program.
    Admin,
    /// `hoststat`, `purgestat`: nothing to tell, and no error either.
    Hoststat,
    /// `runq`: `sendmail -q`.
    Runq,
    /// `smtpd`: `sendmail -bd`, which nobody gets here.
    Smtpd,
}

impl Program {
    /// From argv\[0].
    pub fn of(argv0: &str) -> Self {
        let name = argv0.rsplit('/').next().unwrap_or(argv0);
        match name.strip_prefix('-').unwrap_or(name) {
            "mailq" => Self::Mailq,
            "newaliases" => Self::Newaliases,
            "sendmail-shim" => Self::Admin,
            "hoststat" | "purgestat" => Self::Hoststat,
            "runq" => Self::Runq,
            "smtpd" => Self::Smtpd,
            _ => Self::Sendmail,
        }
    }
}

/// What a `sendmail` command line asks for; set by the name and by `-b`, `-q` and `-I`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Submit the message on standard input.
    #[default]
    Deliver,
    /// List the queue (`-bp`).
    ListQueue,
    /// Print the number of queued messages (`-bP`).
    CountQueue,
    /// Try the queue now (`-q`).
    Flush,
    /// Check the alias files (`-bi`, `-I`).
    CheckAliases,
    /// Check the configuration (`-bC`).
    CheckConfig,
    /// SMTP on standard input and output (`-bs`).
    Smtp,
    /// Print the version.
    Version,
    /// Print the options.
    Help,
    /// Say what would become of the addresses on the command line (`-bv`).
    Verify,
    /// The same of addresses on standard input, a line each (`-bt`).
    AddressTest,
    /// Refused: the agent is no daemon that callers start (`-bd`, `-bD`, `-bl`).
    Daemon,
    /// Accepted, does nothing (`-bh`, `-bH`).
    Nothing,
}

impl From<Program> for Mode {
    fn from(program: Program) -> Self {
        match program {
            Program::Sendmail | Program::Admin => Self::Deliver,
            Program::Mailq => Self::ListQueue,
            Program::Newaliases => Self::CheckAliases,
            Program::Hoststat => Self::Nothing,
            Program::Runq => Self::Flush,
            Program::Smtpd => Self::Daemon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_wherever_the_link_lies_and_an_unknown_name_is_sendmail() {
        for (argv0, program) in [
            ("/usr/sbin/sendmail", Program::Sendmail),
            ("/usr/lib/sendmail", Program::Sendmail),
            ("send-mail", Program::Sendmail),
            ("", Program::Sendmail),
            ("/usr/bin/mailq", Program::Mailq),
            ("-mailq", Program::Mailq),
            ("./newaliases", Program::Newaliases),
            ("sendmail-shim", Program::Admin),
            ("/usr/bin/runq", Program::Runq),
            ("smtpd", Program::Smtpd),
        ] {
            assert_eq!(Program::of(argv0), program, "{argv0}");
        }
    }
}
