//! A file system on a disk that is slow, fails, and forgets at a power cut what was not flushed:
//! the program `disk` with a loop device on it.
//!
//! Contract: all mounts lie in a mount namespace of their own, and go with the disk; what is to see
//! the file system runs [`Disk::inside`]. Needs root, /dev/fuse and loop devices.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{
    binaries::binaries, identity::write, peers, sink::nexthop, smarthost::Smarthost,
    wait::until_true,
};

/// Mebibytes of a disk: the least that mkfs.xfs takes, and a little.
const SIZE: u32 = 320;

/// What is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filesystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl Filesystem {
    fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Arguments of its mkfs: few inodes, where their number is fixed or bounded.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &["-q", "-F", "-N", "1000"],
            Self::Xfs => &["-q", "-f", "-i", "maxpct=1"],
            Self::Btrfs => &["-q", "-f"],
        }
    }
}

/// The program that stands for a disk, with what it has mounted.
#[derive(Debug)]
struct Server {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Process number of who holds the namespace.
    holder: String,
}

impl Server {
    /// `what`: its second argument.
    fn start(folder: &Path, what: &str) -> Self {
        fs::create_dir(folder).unwrap();
        let mut process = Command::new(&binaries().disk)
            .arg(folder)
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = Self {
            orders: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
            holder: String::new(),
        };
        let ready = server.answer();
        let holder = ready.strip_prefix("ready ");
        holder
            .expect("the disk is ready")
            .clone_into(&mut server.holder);
        server
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn inside(&self) -> Vec<String> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.holder);
        ["nsenter", &namespace, "--"].map(str::to_owned).to_vec()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is mounted on it fails from now on, and goes with the last process in its namespace.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file system that is away: whoever looks for a file in it waits, and cannot be killed, until it
/// is dropped.
#[derive(Debug)]
pub struct Away {
    server: Server,
    directory: TempDir,
}

impl Away {
    /// One that is mounted; `None`, after saying so, where this machine cannot have it.
    pub fn mounted() -> Option<Self> {
        if !peers::mounts() {
            return None;
        }
        if !Path::new("/dev/fuse").exists() {
            peers::not_here("this kernel has no /dev/fuse");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(&directory.path().join("away"), "away");
        Some(Self { server, directory })
    }

    /// A file on it, for those who are [inside](Self::inside).
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("away").join(name)
    }

    /// Words to put before a command that is to see it.
    pub fn inside(&self) -> Vec<String> {
        self.server.inside()
    }
}

/// A disk with a file system that is mounted.
#[derive(Debug)]
pub struct Disk {
    server: Server,
    directory: TempDir,
    kind: Filesystem,
}

impl Disk {
    /// A new one; `None`, after saying so, where this machine cannot have it.
    pub fn with(kind: Filesystem) -> Option<Self> {
        if !peers::mounts() {
            return None;
        }
        let mkfs = peers::find(&format!("mkfs.{}", kind.name()))?;
        if let Some(reason) = lacking(kind) {
            peers::not_here(&reason);
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let (fuse, mounted) = (
            directory.path().join("fuse"),
            directory.path().join("mounted"),
        );
        fs::create_dir(mounted).unwrap();
        let disk = Self {
            server: Server::start(&fuse, &SIZE.to_string()),
            directory,
            kind,
        };
        disk.run(&format!(
            "{} {} DEVICE",
            mkfs.display(),
            kind.arguments().join(" ")
        ));
        disk.mount();
        Some(disk)
    }

    /// Where the file system is mounted, for those who are [inside](Self::inside).
    pub fn mounted(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    /// A file on it, as all the others see it.
    pub fn file(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.server.holder));
        let mounted = self.mounted();
        root.join(mounted.strip_prefix("/").unwrap()).join(name)
    }

    /// Words to put before a command that is to see the file system.
    pub fn inside(&self) -> Vec<String> {
        self.server.inside()
    }

    /// A smarthost that has spool and state on it, and for whom no client sends too much; not
    /// started yet.
    pub fn smarthost(&self, relayhost: SocketAddr) -> Smarthost {
        let mounted = self.mounted();
        let mounted = mounted.display();
        let mut smarthost = Smarthost::prepare(&format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\n\
             relayhost = \"{}\"\nretry = {{ minimal = \"1s\", maximal = \"2s\" }}\n\
             spool = \"{mounted}/spool\"\nstate = \"{mounted}/state\"\n",
            nexthop(relayhost),
        ));
        smarthost.run_within(self.inside());
        smarthost
    }

    /// Gives the disk one of its orders.
    pub fn order(&mut self, order: &str) -> String {
        writeln!(self.server.orders, "{order}").unwrap();
        let answer = self.server.answer();
        let told = answer.strip_prefix("ok");
        let told = told.unwrap_or_else(|| panic!("{order}: {answer}"));
        told.trim().to_owned()
    }

    /// Unmounts, and mounts again as a machine does at its start.
    pub fn remount(&mut self) {
        self.unmount();
        self.order("power");
        self.mount();
    }

    fn mount(&self) {
        // The device goes when it is unmounted.
        let mounted = self.mounted();
        let (kind, mounted) = (self.kind.name(), mounted.display());
        self.run(&format!("mount -t {kind} DEVICE {mounted}"));
    }

    fn unmount(&self) {
        // A process that was killed lets go of its files a moment later.
        let mounted = self.mounted();
        until_true("the file system is unmounted", || {
            self.command("umount")
                .arg(&mounted)
                .stderr(Stdio::null())
                .status()
                .unwrap()
                .success()
        });
    }

    /// A shell's command inside, with the name of a new loop device in place of DEVICE.
    fn run(&self, command: &str) {
        let image = self.directory.path().join("fuse/image");
        let output = self
            .command("losetup")
            .args(["--find", "--show", "--direct-io=on"])
            .arg(image)
            .output()
            .unwrap();
        let device = shown(&output, "losetup");
        let command = command.replace("DEVICE", &device);
        let output = self.command("sh").args(["-c", &command]).output().unwrap();
        // As often as it likes: one that is in use goes with its last user.
        let _ = self
            .command("losetup")
            .args(["--detach", &device])
            .stderr(Stdio::null())
            .status();
        shown(&output, &command);
    }

    fn command(&self, program: &str) -> Command {
        let inside = self.inside();
        let (first, rest) = inside.split_first().unwrap();
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}

fn shown(output: &Output, what: &str) -> String {
    assert!(output.status.success(), "{what}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What this kernel does not have.
fn lacking(kind: Filesystem) -> Option<String> {
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Some(format!("this kernel has no {device}"));
        }
    }
    let name = kind.name();
    let known = || {
        let all = fs::read_to_string("/proc/filesystems").unwrap();
        all.split_whitespace().any(|known| known == name)
    };
    if !known() {
        let _ = Command::new("modprobe").arg(name).status();
    }
    (!known()).then(|| format!("this kernel has no {name}"))
}

/// A library that, loaded before all others, takes a program's syncs away: what it lets a test see
/// is whether the test would notice.
pub fn without_syncs(directory: &Path) -> Option<PathBuf> {
    let compiler = peers::find("cc")?;
    let (source, library) = (directory.join("unsynced.c"), directory.join("unsynced.so"));
    let nothing = ["fsync", "fdatasync", "syncfs", "sync_file_range"]
        .map(|name| format!("int {name}(int file) {{ (void)file; return 0; }}\n"));
    write(&source, nothing.concat());
    let status = Command::new(compiler)
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status()
        .unwrap();
    assert!(status.success(), "cc does not compile");
    Some(library)
}

/// Takes all room of a file system, as a log that runs wild does, so that it stays taken.
pub fn fill(path: &Path) {
    use rustix::fs::{FallocateFlags, fallocate};
    let file = File::create(path).unwrap();
    let mut end = 0;
    for piece in [1 << 20, 1 << 12] {
        while fallocate(&file, FallocateFlags::empty(), end, piece).is_ok() {
            end += piece;
        }
    }
    file.sync_all().unwrap();
}
