//! What `init` can be told.

use std::path::PathBuf;

/// `init …`
#[derive(clap::Args, Debug)]
pub(crate) struct Init {
    /// Answers beforehand, such as hostname=mail.example.org; several words are a list, and nothing
    /// is no setting
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) answers: Vec<String>,
    /// Ask nothing: take what is proposed for the rest, and write
    #[arg(long)]
    pub(crate) yes: bool,
    /// With --yes: replace a file with settings of yours, and take a configuration over that does
    /// not pass the check
    #[arg(long, requires = "yes")]
    pub(crate) force: bool,
    /// Where the machine's files are (etc/postfix, proc/net)
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    #[command(flatten)]
    pub(crate) trial: console::trial::Trial,
}
