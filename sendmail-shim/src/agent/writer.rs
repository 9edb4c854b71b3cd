//! Which program writes mail, as the kernel tells of the process that connected: its systemd unit,
//! and who started `sendmail`.
//!
//! Contract: no file is opened that a user names; of a command line only the program and its script
//! are read, never options, which may be secrets. What cannot be seen is empty: the process may be
//! gone, or in another container. proc(5), cgroups(7).

use std::{fs::File, io::Read as _, os::unix::net::UnixStream, path::Path};

use control::serve::Asker;
use mail::message::writer::Writer;

/// Most of a file in /proc that is read, bytes.
const MOST: u64 = 4096;
/// Processes between `sendmail` and who started it.
const SHELLS: usize = 3;

/// The unit of who is at the other end of a socket.
pub(super) fn unit(stream: &UnixStream) -> String {
    unit_of_process(pid(stream)).unwrap_or_default()
}

/// Who that is.
pub(super) fn writer(stream: &UnixStream, user: &str, unit: &str) -> Writer {
    Writer {
        user: user.to_owned(),
        unit: unit.to_owned(),
        command: command(pid(stream)),
        test: false,
    }
}

fn pid(stream: &UnixStream) -> i32 {
    Asker::of(stream).map_or(0, |asker| asker.pid)
}

fn read(pid: i32, name: &str) -> Option<String> {
    let file = File::open(format!("/proc/{pid}/{name}"))
        .ok()
        .filter(|_| pid > 0)?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn unit_of_process(pid: i32) -> Option<String> {
    unit_of(&read(pid, "cgroup")?)
}

/// The innermost unit of `0::/system.slice/php8.4-fpm.service`.
fn unit_of(cgroup: &str) -> Option<String> {
    let of_systemd = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        (controllers.is_empty() || controllers == "name=systemd").then(|| path.to_owned())
    };
    let path = cgroup.lines().find_map(of_systemd)?;
    let mut parts = path.rsplit('/');
    let is_unit = |part: &&str| [".service", ".scope"].iter().any(|it| part.ends_with(it));
    parts.find(is_unit).map(str::to_owned)
}

/// Who started `sendmail`, over shells that only do that.
fn command(pid: i32) -> String {
    let mut pid = pid;
    let mut told = String::new();
    for _ in 0..=SHELLS {
        let Some(line) = read(pid, "cmdline") else {
            break;
        };
        let words: Vec<&str> = line.split('\0').filter(|word| !word.is_empty()).collect();
        let (found, passes) = command_of(&words);
        told = found;
        match read(pid, "stat").as_deref().and_then(parent) {
            Some(parent) if passes && parent > 1 => pid = parent,
            _ => break,
        }
    }
    told
}

/// The program with its script, and whether it only hands on what another one writes.
fn command_of(words: &[&str]) -> (String, bool) {
    let (program, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let name = Path::new(program).file_name();
    let name = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let sends =
        ["sendmail", "mail", "mailx", "s-nail", "mutt"].contains(&name.trim_start_matches('-'));
    let is_shell = ["sh", "dash", "bash"].contains(&name.as_str());
    let runs_text = is_shell
        && arguments
            .first()
            .is_some_and(|first| first.starts_with('-') && first.contains('c'));
    // An interpreter's script, and the directory of what is run as a module.
    let script = arguments.iter().find(|word| !word.starts_with('-'));
    let script = script.filter(|word| word.starts_with('/') || is_script(word));
    let told = match script {
        Some(script) if !sends && !runs_text => format!("{program} {script}"),
        _ => program.to_owned(),
    };
    (told, sends || runs_text)
}

fn is_script(word: &str) -> bool {
    let kinds = [".php", ".py", ".pl", ".rb", ".sh", ".js", ".cgi", ".phar"];
    kinds.iter().any(|kind| word.ends_with(kind))
}

/// The fourth field of `/proc/PID/stat`; the second may hold anything.
fn parent(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_one() {
        for (cgroup, unit) in [
            (
                "0::/system.slice/php8.4-fpm.service\n",
                Some("php8.4-fpm.service"),
            ),
            (
                "12:cpu:/x\n1:name=systemd:/system.slice/cron.service/a\n",
                Some("cron.service"),
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app.scope\n",
                Some("app.scope"),
            ),
            (
                "0::/user.slice/user-0.slice/session-1.scope\n",
                Some("session-1.scope"),
            ),
            ("0::/\n", None),
            ("12:cpu:/system.slice/x.service\n", None),
            ("", None),
        ] {
            assert_eq!(unit_of(cgroup).as_deref(), unit, "{cgroup}");
        }
    }

    #[test]
    fn a_program_is_named_with_its_script_and_never_with_its_options() {
        for (words, told, passes) in [
            (
                &["/usr/sbin/sendmail", "-t", "-i"][..],
                "/usr/sbin/sendmail",
                true,
            ),
            (&["sh", "-c", "/usr/sbin/sendmail -t -i"], "sh", true),
            (
                &["/usr/bin/php", "-d", "a=b", "/srv/x.php"],
                "/usr/bin/php",
                false,
            ),
            (
                &["/usr/bin/php", "/srv/x.php", "--key=secret"],
                "/usr/bin/php /srv/x.php",
                false,
            ),
            (
                &["python3", "backup.py", "-psecret"],
                "python3 backup.py",
                false,
            ),
            (&["mysqldump", "-psecret", "secret"], "mysqldump", false),
            (
                &["/bin/bash", "/etc/cron.daily/x"],
                "/bin/bash /etc/cron.daily/x",
                false,
            ),
            (&["php-fpm: pool www"], "php-fpm: pool www", false),
            (&[], "", false),
        ] {
            assert_eq!(command_of(words), (told.to_owned(), passes), "{words:?}");
        }
        assert_eq!(parent("17 (a) b) S 4 17 17 0"), Some(4));
        assert_eq!(parent("17 (x"), None);
    }

    #[test]
    fn the_kernel_tells_of_this_very_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        let found = writer(&one, "me", &unit(&one));
        assert_eq!(found.user, "me");
        let own = std::env::args().next().unwrap();
        let own = Path::new(&own)
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        assert!(found.command.contains(&own), "{found:?}");
    }
}
