//! What `init` can be told.

use std::path::PathBuf;

/// `init …`
#[derive(clap::Args, Debug)]
pub(crate) struct Init {
    /// Answers in advance, such as hostname=mail.example.org; several words are a list, and an
    /// empty value leaves the setting out
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) answers: Vec<String>,
    /// Ask nothing: use what is proposed for the rest, and write the file
    #[arg(long)]
    pub(crate) yes: bool,
    /// With --yes: replace a file with your own settings, and write a configuration that does not
    /// pass the check
    #[arg(long, requires = "yes")]
    pub(crate) force: bool,
    /// Root directory of another system: its files are read and written there
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    #[command(flatten)]
    pub(crate) trial: console::trial::Trial,
}
