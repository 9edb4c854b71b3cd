//! The programs whose configuration can be taken over.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use system::{copied, sysexits::Exit};

use crate::import::{dma, exim, msmtp, nullmailer, plan::Plan, postfix, source::Lookup, ssmtp};
use crate::terminal::CommandError;

/// Programs whose configuration can be taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Program {
    Ssmtp,
    Nullmailer,
    Dma,
    Msmtp,
    Postfix,
    Exim,
}

impl Program {
    pub(in crate::admin) fn name(self) -> &'static str {
        match self {
            Self::Ssmtp => "ssmtp",
            Self::Nullmailer => "nullmailer",
            Self::Dma => "dma",
            Self::Msmtp => "msmtp",
            Self::Postfix => "postfix",
            Self::Exim => "exim",
        }
    }

    /// Debian's packages of it; the first is the one to go back to.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Ssmtp => &["ssmtp"],
            Self::Nullmailer => &["nullmailer"],
            Self::Dma => &["dma"],
            Self::Msmtp => &["msmtp-mta", "msmtp"],
            Self::Postfix => &["postfix"],
            Self::Exim => &["exim4-daemon-light", "exim4-daemon-heavy", "exim4-base"],
        }
    }

    /// How to have it again, in one line.
    pub(in crate::admin) fn way_back(self) -> String {
        let package = self.packages().first().unwrap_or(&"");
        let file = self.source().0;
        format!("to go back: apt install {package}; {file} and what belongs to it are as they were")
    }

    /// The file without which there is nothing to take over, and who reads it.
    pub(super) fn source(self) -> (&'static str, fn(&Lookup<'_>) -> Plan) {
        match self {
            Self::Ssmtp => (ssmtp::CONFIG, ssmtp::read),
            Self::Nullmailer => (nullmailer::CONFIG, nullmailer::read),
            Self::Dma => (dma::CONFIG, dma::read),
            Self::Msmtp => (msmtp::CONFIG, msmtp::read),
            Self::Postfix => (postfix::CONFIG, postfix::read),
            Self::Exim => (exim::CONFIG, exim::read),
        }
    }
}

/// A file of the other system, never this machine's own in its place.
pub(in crate::admin) fn under(root: &Path, path: &str) -> Result<PathBuf, CommandError> {
    copied::below(root, path).map_err(|error| {
        let file = root.join(path.trim_start_matches('/'));
        CommandError::new(Exit::NoInput, format!("{} {error}", file.display()))
    })
}
