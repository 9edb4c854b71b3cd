//! `sendmail-shim import`: another program's configuration made into ours.
//!
//! Contract: the other program's files are read and never touched. Without `--apply` nothing is
//! written. Nothing is overwritten without `--force`.
//! Exit status: 0 taken over, 1 something needs a decision (no certificate check, a relay for each
//! user, a password that everybody can read), 2 there is a configuration already, 66 the other
//! program has none.
//! The mail that waits in its queue is [`super::takeover`]'s.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use system::sysexits::Exit;

use crate::terminal::{CommandError, complain, say};
use crate::{
    config::{places::SYSTEM, settings::Settings},
    import::{person, plan::Plan, source::Source},
};

mod found;
mod program;

pub use program::Program;
pub(super) use program::under;

/// Largest file that is read, bytes.
const MAX: u64 = 1024 * 1024;
const REVALIASES: &str = "/etc/sendmail-shim/revaliases";
const PASSWORD: &str = "/etc/sendmail-shim/password";

/// `import …`
#[derive(Debug, Args)]
pub struct Options {
    /// The program whose configuration to convert; by default the one that is found.
    #[arg(long, value_enum)]
    pub from: Option<Program>,
    /// Root directory of another system: its files are read and written there.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Write the files instead of showing them.
    #[arg(long)]
    pub apply: bool,
    /// Overwrite sendmail-shim's files.
    #[arg(long, requires = "apply", conflicts_with = "queue")]
    pub force: bool,
    /// Take over queued mail instead of the configuration; without --from, of every program that
    /// has a queue.
    #[arg(long)]
    pub queue: bool,
    /// With --queue: also mail that is on hold there, or has failed for good.
    #[arg(long, requires = "queue")]
    pub held: bool,
}

/// Shows or writes it.
pub fn run(options: &Options) -> Result<Exit, CommandError> {
    let root = &options.root;
    let program = match options.from {
        Some(program) => program,
        None => found::program(root)?,
    };
    let (main, read) = program.source();
    let file = under(root, main)?;
    system::read::metadata(&file).map_err(|error| {
        CommandError::new(Exit::NoInput, format!("{}: {error}", file.display()))
    })?;
    let mut plan = read(&|path| source(root, path));
    person::note(&mut plan, &|path| source(root, path));
    plan.conclude(main);
    let config = plan.config(program.name(), PASSWORD);
    Settings::parse(None, &config).map_err(|error| CommandError::new(Exit::Software, error))?;
    plan.report()
        .iter()
        .for_each(|line| complain("import", line));
    if options.apply {
        write(root, &plan, &config, options.force)?;
    } else {
        show(&plan, &config);
    }
    complain("import", program.way_back());
    Ok(if plan.is_unsafe() {
        Exit::WARNING
    } else {
        Exit::Ok
    })
}

/// Which program's configuration would be taken over.
pub(super) fn program(root: &Path) -> Option<&'static str> {
    found::program(root).ok().map(Program::name)
}

/// A file of the other program; one that cannot be read is told, and counts as missing.
pub(super) fn source(root: &Path, path: &str) -> Option<Source> {
    let file = match under(root, path) {
        Ok(file) => file,
        Err(error) => {
            complain("import", error.text);
            return None;
        }
    };
    match system::read::piped_bytes(&file, MAX) {
        Ok((bytes, about)) => Some(Source {
            path: path.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            world_readable: about.permissions().mode() & 0o004 != 0,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            complain("import", format_args!("{}: {error}", file.display()));
            None
        }
    }
}

fn show(plan: &Plan, config: &str) {
    say(format_args!("# {SYSTEM}\n{}", config.trim_end()));
    if !plan.revaliases.is_empty() {
        say(format_args!("\n# {REVALIASES}"));
        plan.revaliases
            .iter()
            .for_each(|line| say(format_args!("# {line}")));
    }
    if plan.credentials.is_some() {
        say(format_args!(
            "\n# the password goes into {PASSWORD}, which only the agent may read"
        ));
    }
}

fn write(root: &Path, plan: &Plan, config: &str, force: bool) -> Result<(), CommandError> {
    let mut files = vec![(under(root, SYSTEM)?, config.to_owned(), 0o644)];
    if !plan.revaliases.is_empty() {
        let lines = plan.revaliases.iter().map(|line| format!("{line}\n"));
        files.push((under(root, REVALIASES)?, lines.collect(), 0o644));
    }
    if let Some(credentials) = &plan.credentials {
        files.push((
            under(root, PASSWORD)?,
            format!("{}\n", credentials.password),
            0o600,
        ));
    }
    let existing = files.iter().find(|(path, ..)| path.exists());
    if let Some((path, ..)) = existing.filter(|_| !force) {
        let text = format!("{} is there already: --force overwrites it", path.display());
        return Err(CommandError::new(Exit::Arguments, text));
    }
    for (path, content, mode) in files {
        let parent = path.parent().unwrap_or(Path::new("/"));
        system::fs::create_directory(parent, 0o755)
            .and_then(|()| match mode {
                0o600 => system::fs::replace(&path, content.as_bytes(), mode),
                _ => system::fs::replace_in_place(&path, content.as_bytes(), mode),
            })
            .and_then(|()| {
                if mode == 0o600 {
                    give_to_agent(&path)
                } else {
                    Ok(())
                }
            })
            .map_err(|error| {
                CommandError::new(Exit::NoPerm, format!("{}: {error}", path.display()))
            })?;
        say(format_args!("{} written", path.display()));
    }
    Ok(())
}

/// The agent reads the password; root only, where it has no user of its own yet.
fn give_to_agent(path: &Path) -> io::Result<()> {
    match uzers::get_user_by_name("sendmail-shim") {
        Some(agent) if rustix::process::geteuid().is_root() => {
            std::os::unix::fs::chown(path, Some(agent.uid()), None)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_is_found_and_nothing_is_overwritten_unless_forced() {
        let root = tempfile::tempdir().unwrap();
        let options = |apply, force| Options {
            from: None,
            root: root.path().to_owned(),
            apply,
            force,
            queue: false,
            held: false,
        };
        assert_eq!(run(&options(true, false)).unwrap_err().exit, Exit::NoInput);
        let conf = root.path().join("etc/ssmtp/ssmtp.conf");
        system::fs::create_directory(conf.parent().unwrap(), 0o755).unwrap();
        let text = b"mailhub=mail.example.org\nAuthUser=u\nAuthPass=p\n";
        system::fs::replace(&conf, text, 0o640).unwrap();
        let written = root.path().join("etc/sendmail-shim/config.toml");
        assert_eq!(run(&options(false, false)), Ok(Exit::WARNING), "clear text");
        assert!(!written.exists());
        assert_eq!(run(&options(true, false)), Ok(Exit::WARNING));
        let config = fs::read_to_string(&written).unwrap();
        assert!(
            config.contains("relayhost = \"[mail.example.org]\""),
            "{config}"
        );
        let password = root.path().join("etc/sendmail-shim/password");
        let mode = fs::metadata(&password).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            run(&options(true, false)).unwrap_err().exit,
            Exit::Arguments
        );
        assert_eq!(run(&options(true, true)), Ok(Exit::WARNING));
        assert_eq!(
            fs::read(&conf).unwrap(),
            text,
            "the other's file is as it was"
        );
    }
}
