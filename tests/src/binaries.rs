//! The programs, built once, in the profile that the tests themselves were built in.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The daemon and its commands.
    pub smarthost: PathBuf,
    /// The binary behind `sendmail`, `mailq` and `newaliases`.
    pub sendmail: PathBuf,
    /// The agent and its administrator's commands.
    pub sendmail_shim: PathBuf,
    /// The disk that fails.
    pub disk: PathBuf,
}

impl Binaries {
    /// The names that an installed system has, and what is behind them.
    pub fn names(&self) -> [(&'static str, &Path); 4] {
        [
            ("sendmail", &self.sendmail),
            ("mailq", &self.sendmail),
            ("newaliases", &self.sendmail),
            ("sendmail-shim", &self.sendmail_shim),
        ]
    }
}

/// Builds the programs (cargo does nothing where they are fresh).
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Binaries> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Binaries {
    // This test runs from TARGET/PROFILE/deps/NAME-HASH.
    let test = env::current_exe().expect("a test knows its own path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("tests lie in TARGET/PROFILE/deps");
    let target = profile.parent().expect("a profile lies in TARGET");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        // All at once, as the tests were built: no crate is compiled twice with other features.
        .args(["build", "--quiet", "--workspace", "--bins", "--target-dir"])
        .arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo told this test about its own package would make cargo build other packages anew.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_")
            || name.to_string_lossy().starts_with("CARGO_MANIFEST_")
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .current_dir(repository())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the programs do not build");
    let [smarthost, sendmail, sendmail_shim, disk] =
        ["smarthost", "sendmail", "sendmail-shim", "disk"].map(|name| profile.join(name));
    for built in [&smarthost, &sendmail, &sendmail_shim, &disk] {
        assert!(built.is_file(), "cargo did not leave {}", built.display());
    }
    Binaries {
        smarthost,
        sendmail,
        sendmail_shim,
        disk,
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the repository")
}

/// Links the names that an installed system has into `directory`/bin.
pub fn install_names(directory: &Path) -> PathBuf {
    let bin = directory.join("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, program) in binaries().names() {
        symlink(program, bin.join(name)).unwrap();
    }
    bin
}

/// Writes a program that can be run at once.
///
/// A process of its own writes it: while this one has it open, another thread may start a program,
/// which inherits the open file for a moment, and what is open for writing cannot be run ("Text
/// file busy").
pub fn write_program(path: &Path, content: &str) {
    let mut install = installing("/dev/stdin".as_ref(), path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = install.stdin.take().expect("it is piped");
    input.write_all(content.as_bytes()).unwrap();
    drop(input);
    assert!(install.wait().unwrap().success());
}

/// Copies a program, which can then be run at once.
pub fn copy_program(from: &Path, to: &Path) {
    assert!(installing(from, to).status().unwrap().success());
}

fn installing(from: &Path, to: &Path) -> Command {
    let mut install = Command::new("install");
    install.args(["-m", "755"]).args([from, to]);
    install
}
