//! `smarthost import` of a copy of another machine's `/etc/postfix` reads that machine's tables,
//! and never those that have the same paths here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use tests::{identity::write, smarthost::Smarthost};

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
fn taken_over(smarthost: &Smarthost, root: &std::path::Path) -> (String, String) {
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
