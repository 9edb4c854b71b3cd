//! What transports need: programs, folders and sockets, seen with the eyes of the daemon's user.

use std::path::Path;

use control::findings::Findings;
use mail::maps::{Table, Target};
use rustix::fs::{Access, access};

use crate::{
    config::{Config, Pipe, Type},
    destination::Kind,
    transport::pipe::words,
};

/// Where local mail ends.
pub(super) fn maildir(config: &Config, findings: &mut Findings) {
    let Some(Kind::Maildir(path)) = config.local.as_ref().map(|local| &local.kind) else {
        return;
    };
    let shown = path.display();
    match written_by_us(path) {
        None => findings.ok("maildir", shown.to_string()),
        Some(place) => {
            let what = format!(
                "{shown} cannot be made or written: {} forbids it",
                place.display()
            );
            let error = config.wrong("maildir", &what);
            findings.fail("maildir", error.text, "give it to the daemon's user");
        }
    }
}

/// Each transport of the settings, and the files of `transport`.
pub(super) fn all(config: &Config, findings: &mut Findings) {
    let own = config.transports.iter().filter(|(_, it)| !it.shipped);
    for (name, transport) in own {
        match &transport.kind {
            Type::Pipe(pipe) => self::pipe(name, pipe, findings),
            Type::Maildir(Some(path)) => match written_by_us(path) {
                None => findings.ok("transports", format!("{name}: {}", path.display())),
                Some(place) => findings.fail(
                    "transports",
                    format!(
                        "{name}: {} cannot be written: {} forbids it",
                        path.display(),
                        place.display()
                    ),
                    "give it to the daemon's user",
                ),
            },
            Type::Smtp(_) | Type::Lmtp(_) | Type::Maildir(None) => {}
        }
    }
    // What cannot be read at all is told with the configuration.
    let Ok((_, problems)) = config.read_transport() else {
        return;
    };
    for problem in &problems {
        findings.fail("transport", problem.to_string(), "correct the line");
    }
    if problems.is_empty() && !config.transport.is_empty() {
        findings.ok("transport", format!("{} files", config.transport.len()));
    }
}

/// The programs that alias files name, and whether they are run.
pub(super) fn programs(config: &Config, aliases: &Table, findings: &mut Findings) -> bool {
    let runners = config.runners();
    let mut fine = true;
    for (name, entry) in aliases.all() {
        let commands = entry.targets.iter().filter_map(|target| match target {
            Target::Program(command) => Some(command),
            _ => None,
        });
        for command in commands {
            let why = match runners.get(&*entry.path) {
                Some(Err(why)) => Some(format!("it is not run, for {why}")),
                Some(Ok(transport)) => {
                    let elsewhere = transport.as_ref().and_then(|name| config.pipe(name));
                    let elsewhere = elsewhere.is_some_and(|pipe| pipe.socket.is_some());
                    cannot_run(command).filter(|_| !elsewhere)
                }
                None => None,
            };
            if let Some(why) = why {
                fine = false;
                let place = format!("{entry}: {name}: |{command}: {why}");
                findings.fail(
                    "aliases",
                    place,
                    "correct the line, or the file's owner and mode",
                );
            }
        }
    }
    fine
}

fn cannot_run(command: &str) -> Option<String> {
    match words::split(command) {
        Err(why) => Some(why),
        Ok(words) => {
            let program = words.first().map_or("", String::as_str);
            let error = access(program, Access::EXEC_OK).err()?;
            Some(format!("{program} cannot be run: {error}"))
        }
    }
}

fn pipe(name: &str, pipe: &Pipe, findings: &mut Findings) {
    if let Some(socket) = &pipe.socket {
        let shown = socket.display();
        match access(socket, Access::WRITE_OK) {
            Ok(()) => findings.ok("transports", format!("{name}: {shown}")),
            Err(error) => findings.fail(
                "transports",
                format!("{name}: {shown}: {error}"),
                "start the socket unit in which `smarthost pipe` runs the program; its SocketUser is the daemon's user",
            ),
        }
        return;
    }
    if !pipe.directory.is_dir() {
        findings.fail(
            "transports",
            format!("{name}: {} is no directory", pipe.directory.display()),
            "create it, or name another with directory",
        );
    }
    let Some(program) = pipe.command.first() else {
        return;
    };
    match access(program.as_str(), Access::EXEC_OK) {
        Ok(()) if Path::new(program.as_str()).is_file() => {
            findings.ok("transports", format!("{name}: {program}"));
        }
        Ok(()) => findings.fail(
            "transports",
            format!("{name}: {program} is no program"),
            "write the program's whole path",
        ),
        Err(error) => findings.fail(
            "transports",
            format!("{name}: {program} cannot be run: {error}"),
            "install it, or correct its path; it must be a program that the daemon's user may run",
        ),
    }
}

/// `None`: it is there, or can be made, and we may write in it; otherwise what forbids it.
fn written_by_us(path: &Path) -> Option<&Path> {
    // Writing and searching.
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    let nearest = path.ancestors().find(|it| it.symlink_metadata().is_ok());
    let place = nearest
        .filter(|it| !it.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let usable = place.is_dir() && access(place, wanted).is_ok();
    (!usable).then_some(place)
}
