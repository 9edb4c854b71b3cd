//! Whose eyes `check` sees with: those of the daemon's user, whom root becomes, or of whoever else
//! asks, to whom nothing is to be given for that.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
};

use control::findings::Findings;
use rustix::process::geteuid;
use system::read;

use super::failed::Failed;
use crate::config::Config;

/// What to do about what only the daemon's user can tell.
pub(super) const AS_ROOT: &str =
    "ask as root, who sees it as the daemon does: sudo smarthost check";

/// Who asks, and the daemon's user, where neither is root nor the other.
#[derive(Clone, Copy)]
pub(super) struct Stranger {
    own: u32,
    daemon: u32,
}

impl Stranger {
    /// `None`: whoever asks sees what the daemon sees, or nobody runs it yet.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let (own, daemon) = (geteuid(), directories(config).next()?.uid());
        let is_one = !own.is_root() && own.as_raw() != daemon;
        is_one.then(|| Self {
            own: own.as_raw(),
            daemon,
        })
    }

    pub(super) fn tell(self, findings: &mut Findings) {
        let Self { own, daemon } = self;
        let text = format!(
            "user {own} asks, and the daemon's is user {daemon}: files are judged as user {own} sees them, and \
             directories of the daemon not at all"
        );
        findings.warn("user", text, AS_ROOT);
    }
}

/// The daemon's directories that are there.
fn directories(config: &Config) -> impl Iterator<Item = fs::Metadata> {
    let both = [&config.state, &config.spool].into_iter();
    both.filter_map(|path| read::metadata(path).ok())
}

/// Becomes the daemon's user, if root asks; returns if there is none yet, or where nobody else
/// would run it.
pub(super) fn as_the_daemon(config: &Config) -> Result<(), Failed> {
    let Some(owner) = directories(config).find(|owner| owner.uid() != 0) else {
        return Ok(());
    };
    if !geteuid().is_root() {
        return Ok(());
    }
    let own = std::env::current_exe().map_err(|error: io::Error| Failed::new(error.to_string()))?;
    let error = Command::new("setpriv")
        .arg(format!("--reuid={}", owner.uid()))
        .arg(format!("--regid={}", owner.gid()))
        .args([groups(owner.uid()), "--"])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(Failed::new(format!(
        "cannot look as the daemon's user ({}): setpriv: {error}",
        owner.uid()
    )))
}

/// How `setpriv` sets the groups of a user: one without a name (a container's, or one that was
/// removed) is in none.
pub(super) fn groups(uid: u32) -> &'static str {
    let mut known = Command::new("getent");
    known.args(["passwd", &uid.to_string()]);
    let known = known.stdout(Stdio::null()).stderr(Stdio::null()).status();
    // 2: not found. Where nobody can say, setpriv does.
    match known.map(|status| status.code()) {
        Ok(Some(2)) => "--clear-groups",
        _ => "--init-groups",
    }
}

/// Whether it is not there; one that nobody can look for is not.
pub(super) fn is_missing(path: &Path) -> bool {
    let found = read::metadata(path);
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
