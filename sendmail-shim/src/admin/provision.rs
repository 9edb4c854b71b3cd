//! `sendmail-shim provision`: settings from a credential of the machine, or from the answers to the
//! package's questions.

use std::path::{Path, PathBuf};

use clap::Args;
use settings::provision::{Given, write};
use system::sysexits::Exit;

use crate::config::{places::DIRECTORY, settings::Settings};
use crate::terminal::{CommandError, say};

/// `provision …`
#[derive(Debug, Args)]
pub struct Options {
    /// A file of settings as in config.toml; if it does not exist, nothing is done.
    #[arg(long, value_name = "FILE", required_unless_present = "answers")]
    pub credential: Option<PathBuf>,
    /// Settings one by one; a value of several words, separated by spaces or commas, is a list.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "credential", value_parser = console::answers::AnswerParser)]
    pub answers: Vec<String>,
    /// The directory of the configuration.
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    pub directory: PathBuf,
}

/// Writes the file, if it can be used.
pub fn run(file: Option<&Path>, options: &Options) -> Result<Exit, CommandError> {
    if let Some(file) = file {
        let file = file.display();
        return Err(CommandError::new(
            Exit::Arguments,
            format!(
                "settings are provided beside config.toml in a directory (--directory), and beside \
                 {file} nothing reads them: write them into {file}, or leave out --config"
            ),
        ));
    }
    let given = match &options.credential {
        Some(file) => Given::Credential(file),
        None => Given::Answers(&options.answers),
    };
    let check = |layers: Vec<_>| Settings::layered(&layers).map(drop);
    if let Some(path) = write(&options.directory, given, check)? {
        say(format_args!("{} written", path.display()));
    }
    Ok(Exit::Ok)
}
