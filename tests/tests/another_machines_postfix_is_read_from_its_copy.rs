//! `import` and `init` of a copy of another machine's files read that machine's, and write there,
//! and never touch those that have the same paths here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tests::{
    agent::Agent,
    binaries::binaries,
    identity::write,
    installation::hermetic,
    smarthost::Smarthost,
    terminal::{self, Step},
};

const MAIN: &str = "myhostname = mx.other.example\nmydestination = other.example\nrelayhost = [relay.example]\n\
                    alias_maps = hash:/etc/aliases\nvirtual_alias_maps = hash:/etc/postfix/virtual\n\
                    virtual_alias_domains = v.example\nmyorigin = /etc/mailname\n";

/// A smarthost beside which such a copy lies, with these files of it.
fn copied(files: &[(&str, &str)]) -> (Smarthost, PathBuf) {
    let smarthost = Smarthost::prepare("");
    let root = smarthost.directory().join("copy");
    fs::create_dir_all(root.join("etc/postfix")).unwrap();
    write(&root.join("etc/postfix/main.cf"), MAIN);
    let master = "smtp inet n - y - - smtpd\n";
    write(&root.join("etc/postfix/master.cf"), master);
    for (name, text) in files {
        write(&root.join(name), text);
    }
    (smarthost, root)
}

/// The configuration that is made, and what was said.
fn taken_over(smarthost: &Smarthost, root: &Path) -> (String, String) {
    let directory = root.join("etc/postfix");
    let output = smarthost.admin(&["import", directory.to_str().unwrap(), "--apply", "--force"]);
    let said = String::from_utf8(output.stderr).unwrap();
    (fs::read_to_string(smarthost.config()).unwrap(), said)
}

#[test]
fn tables_of_the_other_machine_are_found_in_its_copy_and_copied_beside_the_configuration() {
    let (smarthost, root) = copied(&[
        ("etc/aliases", "root: theirs@far.example\n"),
        ("etc/mailname", "other.example\n"),
        ("etc/postfix/virtual", "x@v.example y@far.example\n"),
    ]);
    let (config, said) = taken_over(&smarthost, &root);
    let own = |name: &str| fs::read_to_string(smarthost.directory().join(name)).unwrap();
    assert!(config.contains("aliases = [\"aliases\"]"), "{config}");
    assert_eq!(own("aliases"), "root: theirs@far.example\n");
    assert!(config.contains("virtual = [\"hash:virtual\"]"), "{config}");
    assert_eq!(own("virtual"), "x@v.example y@far.example\n");
    assert!(said.contains("a copy of another machine's files"), "{said}");
    assert!(!said.contains("is not read)"), "{said}");
}

#[test]
fn what_the_copy_lacks_is_told_and_not_read_from_this_machine() {
    for link in [false, true] {
        let (smarthost, root) = copied(&[("etc/postfix/virtual", "x@v.example y@far.example\n")]);
        if link {
            symlink("/etc/aliases", root.join("etc/aliases")).unwrap();
        }
        let (config, said) = taken_over(&smarthost, &root);
        let copied = root.join("etc/aliases");
        let line = said
            .lines()
            .find(|line| line.contains(copied.to_str().unwrap()));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        assert!(
            line.contains("alias_maps") && line.contains("copy the"),
            "{line}"
        );
        assert!(config.contains("aliases = []"), "{config}");
        assert!(!config.contains("/etc/aliases"), "{config}");
        let name = root.join("etc/mailname").display().to_string();
        assert!(said.contains(&name), "{said}");
    }
}

#[test]
fn a_copy_of_the_directory_alone_is_read_for_what_it_names_there_and_the_rest_is_told() {
    let smarthost = Smarthost::prepare("");
    let folder = smarthost.directory().join("theirs");
    fs::create_dir_all(&folder).unwrap();
    let other = smarthost.directory().join("domains");
    write(&other, "r.example x\n");
    let main = MAIN.replace("/etc/aliases", "/etc/postfix/lists")
        + &format!("relay_domains = hash:{}\n", other.display());
    write(&folder.join("main.cf"), &main);
    write(&folder.join("virtual"), "x@v.example y@far.example\n");
    let output = smarthost.admin(&["import", folder.to_str().unwrap(), "--apply", "--force"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let config = fs::read_to_string(smarthost.config()).unwrap();
    assert!(config.contains("virtual = [\"hash:virtual\"]"), "{config}");
    let copied = fs::read_to_string(smarthost.directory().join("virtual")).unwrap();
    assert_eq!(copied, "x@v.example y@far.example\n");
    let lists = folder.join("lists").display().to_string();
    for told in [
        format!("{lists}: No such file or directory (os error 2); copy /etc/postfix/lists there"),
        format!("{} is this machine's", other.display()),
    ] {
        assert!(said.contains(&told), "{told}: {said}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8([&*output.stdout, &output.stderr].concat()).unwrap()
}

/// `init` below this root, with answers to all that it asks.
fn init(root: &Path, more: &[&str]) -> Command {
    let mut command = hermetic(&binaries().smarthost);
    command.arg("init").arg("--root").arg(root);
    let answers = ["networks", "domains.local", "relayhost"].map(|key| format!("{key}="));
    command.args(answers).args(more);
    command.args(["hostname=mx.other.example", "admins=admin@other.example"]);
    command
}

#[test]
fn a_guided_set_up_of_another_system_writes_its_configuration_there_and_none_here() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("copy");
    fs::create_dir_all(root.join("etc")).unwrap();
    let written = root.join("etc/smarthost/config.toml");
    let shown = format!("# {}", written.display());
    let steps = [
        Step::Sees(&shown),
        Step::Sees("Write it? "),
        Step::Types("n\n"),
    ];
    // Before it may write anything.
    let Some(ended) = terminal::run(&init(&root, &[]), 200, &steps) else {
        return;
    };
    assert!(ended.status == 1 && !written.exists(), "{ended:?}");
    let output = init(&root, &["--yes"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(&written).unwrap();
    assert!(text.contains("mx.other.example"), "{text}");
    let tested = init(&root, &["--yes", "--force", "--test"]);
    let tested = { tested }.output().unwrap();
    assert_eq!(tested.status.code(), Some(2), "{tested:?}");
    // A link there leads nowhere else.
    let here = directory.path().join("here");
    fs::create_dir(&here).unwrap();
    fs::remove_dir_all(root.join("etc/smarthost")).unwrap();
    symlink(&here, root.join("etc/smarthost")).unwrap();
    let refused = init(&root, &["--yes"]).output().unwrap();
    assert!(
        !refused.status.success() && said(&refused).contains("not in the copy"),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
}

#[test]
fn a_link_out_of_the_copy_of_a_machine_shows_and_takes_nothing_of_this_one() {
    let machine = Agent::prepare("");
    let directory = machine.directory();
    let (root, here) = (directory.join("copy"), directory.join("here"));
    for folder in ["queue", "spool/queue", "shim"] {
        fs::create_dir_all(here.join(folder)).unwrap();
    }
    for folder in ["etc/ssmtp", "etc/nullmailer", "var/spool/nullmailer"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let own = here.join("ssmtp.conf");
    write(
        &own,
        "mailhub=wrong.example\nAuthUser=u\nAuthPass=Hunter2\n",
    );
    symlink(&own, root.join("etc/ssmtp/ssmtp.conf")).unwrap();
    let queued = "a@here.example\nb@there.example\n\nSubject: of this machine\n\nx\n";
    for folder in ["queue", "spool/queue"] {
        write(&here.join(folder).join("1234.5"), queued);
    }
    write(&root.join("etc/nullmailer/remotes"), "right.example\n");
    symlink(here.join("queue"), root.join("var/spool/nullmailer/queue")).unwrap();
    let import = |words: &[&str]| {
        let line = [&["import", "--root", root.to_str().unwrap()], words].concat();
        let output = machine.admin(&line);
        let told = said(&output);
        assert!(
            !output.status.success() && told.contains("not in the copy"),
            "{words:?}: {told}"
        );
        for theirs in ["wrong.example", "Hunter2", "there.example"] {
            assert!(!told.contains(theirs), "{words:?}: {told}");
        }
    };
    import(&["--from", "ssmtp"]);
    import(&["--from", "ssmtp", "--apply", "--force"]);
    import(&["--from", "nullmailer", "--queue"]);
    let spool = root.join("var/spool/nullmailer");
    fs::remove_dir_all(&spool).unwrap();
    symlink(here.join("spool"), &spool).unwrap();
    import(&["--from", "nullmailer", "--queue"]);
    symlink(here.join("shim"), root.join("etc/sendmail-shim")).unwrap();
    import(&["--from", "nullmailer", "--apply"]);
    assert_eq!(fs::read_dir(here.join("shim")).unwrap().count(), 0);
}
