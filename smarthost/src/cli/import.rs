//! `smarthost import`: Postfix's configuration made into ours.
//!
//! Contract: Postfix's files are read and never touched. Without `--apply` nothing is written.
//! Nothing is overwritten without `--force`, and nothing written that lets more pass than Postfix
//! did without `--looser`.
//! Exit status: 0 taken over as it was, 1 something is not, or needs a decision.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use system::copied;

use super::{arguments::Import as Request, failed::Failed, owner::give};
use crate::{
    config::{Config, STATE},
    import::{
        self, Place,
        report::{Import, Note, Verdict},
    },
};

/// Shows or writes it: what is said on standard output, and the exit status.
pub(super) fn run(path: &Path, request: &Request) -> Result<(String, ExitCode), Failed> {
    let directory = std::path::absolute(&request.directory);
    let directory = directory.unwrap_or_else(|_| request.directory.clone());
    let directory = directory.to_string_lossy();
    let directory = match directory.trim_end_matches('/') {
        "" => "/",
        directory => directory,
    };
    let machine = Config::machine_default()?.hostname.to_string();
    let whose = whose(directory, request.of_another);
    let root = match whose {
        Whose::Machine(root) if request.of_another => root,
        _ => "/",
    };
    let import = match whose {
        Whose::Own => import::read(Place::own(directory), &machine, &text),
        Whose::Machine(root) => {
            let files = |path: &str| text_below(root, path);
            let named = files("/etc/hostname").ok();
            let named = named.and_then(|text| Some(text.lines().next()?.trim().to_owned()));
            let name = named.filter(|name| !name.is_empty()).unwrap_or(machine);
            let named = directory.strip_prefix(root).unwrap_or(directory);
            let place = Place {
                directory,
                named,
                root,
            };
            import::read(place, &name, &files)
        }
        Whose::Copy => {
            let of_here = RefCell::new(BTreeSet::new());
            let files = |path: &str| text_beside(directory, path, &of_here);
            let place = Place {
                named: USUAL,
                ..Place::own(directory)
            };
            import::read(place, &machine, &files).map(|mut import| {
                import.notes.extend(told_of(directory, &of_here.take()));
                import
            })
        }
    };
    let import = import.map_err(Failed::new)?;
    let config = format!(
        "# Taken over from Postfix ({directory}) by smarthost import.\n{}",
        import.config()
    );
    Config::of_files(&[(path.to_owned(), config.clone())])?;
    let back = "start Postfix again; its files and its queue are as they were";
    let mut told: Vec<_> = import.notes.iter().map(ToString::to_string).collect();
    told.retain(|_| !request.json);
    told.push(format!("to go back: {back}\n"));
    let told = told.join("\n");
    // Nobody to tell if standard error is closed.
    let _ = io::stderr().write_all(told.as_bytes());
    let mut text = Vec::new();
    if request.json {
        let json = serde_json::json!({ "report": import.notes, "config": config });
        text.push(json.to_string());
    }
    if request.apply {
        is_decided(&import, request)?;
        text.extend(write((path, root), &import, &config, request.force)?);
    } else if !request.json {
        text.push(shown(path, &import, &config));
    }
    let text = text.join("\n");
    let exit = if import.wants_attention() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    Ok((text, exit))
}

/// Whom a rule lets pass, in the one list that there is here, is asked about nothing behind it: if
/// Postfix asked him, the administrator says that this is right.
fn is_decided(import: &Import, request: &Request) -> Result<(), Failed> {
    if import.looser.is_empty() || request.looser {
        return Ok(());
    }
    let rules: Vec<_> = import.looser.iter().map(|it| format!("`{it}`")).collect();
    Err(Failed::new(format!(
        "nothing is written: whom {} lets pass would no longer be asked what Postfix asked him (DECIDE). In main.cf, put it into \
         one list with what it is to skip, behind all else, and import again; or accept it with --looser",
        rules.join(", ")
    )))
}

/// The directory of Postfix, as it is called on most machines.
const USUAL: &str = "/etc/postfix";
/// Below them lie configurations of this machine's own: `/etc/postfix-out`.
const OWN: [&str; 3] = ["/etc/", "/usr/", "/opt/"];

/// Whose configuration a directory holds.
enum Whose<'a> {
    Own,
    /// Another machine's, whose other files lie below this root.
    Machine(&'a str),
    /// A copy of such a directory alone.
    Copy,
}

fn whose(directory: &str, of_another: bool) -> Whose<'_> {
    if !of_another && OWN.iter().any(|own| directory.starts_with(own)) {
        return Whose::Own;
    }
    directory
        .strip_suffix(USUAL)
        .map_or(Whose::Copy, Whose::Machine)
}

/// A file that lies in a copy of the directory of Postfix, where its path names that; another as
/// it is called, which is noted.
fn text_beside(
    directory: &str,
    path: &str,
    of_here: &RefCell<BTreeSet<String>>,
) -> Result<String, String> {
    let inside = path.strip_prefix(USUAL).filter(|it| it.starts_with('/'));
    let Some(inside) = inside else {
        let found = text(path)?;
        if !path.starts_with(directory) {
            of_here.borrow_mut().insert(path.to_owned());
        }
        return Ok(found);
    };
    text(&format!("{directory}{inside}"))
        .map_err(|why| format!("{why}; copy {path} there (this machine's own is not read)"))
}

/// Files of this machine that the copy names.
fn told_of(directory: &str, paths: &BTreeSet<String>) -> Vec<Note> {
    let place = format!("{directory}/main.cf");
    let main = text(&place).unwrap_or_default();
    let named = paths.iter().filter(|path| main.contains(path.as_str()));
    let note = |path: &String| Note {
        verdict: Verdict::Decide,
        place: place.clone(),
        key: "main.cf".to_owned(),
        text: format!(
            "{path} is this machine's: if the configuration is another one's, import a copy of its whole tree, COPY{USUAL}"
        ),
    };
    named.map(note).collect()
}

/// A file of a machine whose files lie below a directory, by its path there. This machine's own is
/// never read in its place.
fn text_below(root: &str, path: &str) -> Result<String, String> {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let place = copied::below(Path::new(root), inside);
    let place = place.map_err(|error| format!("{root}{inside} {error}"))?;
    system::read::metadata(&place).map_err(|error| {
        format!(
            "{}: {error}; copy the other machine's {inside} there (this machine's own is not read)",
            place.display()
        )
    })?;
    text(&place.to_string_lossy())
}

/// A file of Postfix's, or why it cannot be read; none is larger than the daemon's tables.
fn text(path: &str) -> Result<String, String> {
    let bytes = system::read::bytes(Path::new(path), ::tables::watched::MAX);
    let bytes = bytes.map_err(|error| format!("{path}: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shown(path: &Path, import: &Import, config: &str) -> String {
    let mut text = format!("# {}\n{config}", path.display());
    let directory = path.parent().unwrap_or(Path::new("/"));
    for file in &import.files {
        let place = directory.join(&file.name);
        let (what, whose) = if file.secret {
            ("the password", ", which only the daemon may read")
        } else {
            ("a copy", "")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# --apply writes {}: {what} from {}{whose}",
            place.display(),
            file.from
        );
    }
    text
}

fn write(
    (path, root): (&Path, &str),
    import: &Import,
    config: &str,
    force: bool,
) -> Result<Vec<String>, Failed> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let own = (path.to_owned(), config, 0o644);
    let copies = import.files.iter().map(|file| {
        let mode = if file.secret { 0o600 } else { 0o644 };
        (directory.join(&file.name), file.content.as_str(), mode)
    });
    // What the configuration names is there before it.
    let files: Vec<_> = copies.chain([own]).collect();
    let existing = files.iter().find(|(path, ..)| path.exists());
    if let Some((path, ..)) = existing.filter(|_| !force) {
        let text = format!("{} is there already: --force overwrites it", path.display());
        return Err(Failed::new(text));
    }
    system::fs::create_directory(directory, 0o755)
        .map_err(|error| Failed::new(format!("{}: {error}", directory.display())))?;
    let mut written = Vec::new();
    for (path, content, mode) in files {
        let replaced = if mode == 0o600 {
            system::fs::replace(&path, content.as_bytes(), mode)
        } else {
            system::fs::replace_in_place(&path, content.as_bytes(), mode)
        };
        replaced
            .and_then(|()| {
                if mode == 0o600 {
                    copied::below(Path::new(root), STATE).and_then(|state| give(&path, &state))
                } else {
                    Ok(())
                }
            })
            .map_err(|error| Failed::new(format!("{}: {error}", path.display())))?;
        written.push(format!("{} written", path.display()));
    }
    Ok(written)
}
