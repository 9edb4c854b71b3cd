use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use mail::{clock, maps::expand};

use super::*;

struct Place {
    directory: tempfile::TempDir,
    now: Timestamp,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            now: clock::now(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, text: &str) -> String {
        text.replace("$DIR", &self.directory.path().display().to_string())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        system::fs::replace(&path, self.text(text).as_bytes(), 0o644).unwrap();
        path
    }

    fn aliases(&self, text: &str, missing: Missing) -> Aliases {
        Aliases::new(&[self.write("aliases", text)], missing, Table::aliases)
    }

    /// What is told, once all that was written has been left alone.
    fn later(&mut self, aliases: &mut Aliases) -> Vec<String> {
        self.now = self.now.max(clock::now()).after(Duration::from_mins(1));
        self.at_once(aliases)
    }

    fn at_once(&self, aliases: &mut Aliases) -> Vec<String> {
        let problems = aliases.refresh(self.now).problems;
        let here = self.directory.path().display().to_string();
        let shown = problems
            .iter()
            .map(|problem| problem.to_string().replace(&here, ""));
        shown.collect()
    }
}

fn values(aliases: &Aliases, name: &str) -> Vec<String> {
    let entry = aliases.table().get(name);
    let targets = entry.iter().flat_map(|entry| &entry.targets);
    targets.map(ToString::to_string).collect()
}

#[test]
fn a_list_in_a_file_takes_the_place_of_its_name_and_is_read_again_when_it_changes() {
    let mut place = Place::new();
    place.write(
        "staff",
        "# everybody\na@x.example, b@x.example\n\n:include:$DIR/more\n",
    );
    place.write("more", "root\n:include:$DIR/staff\n");
    let text = "staff: first@x.example, :include:$DIR/staff, last@x.example\n";
    let mut aliases = place.aliases(text, Missing::EmptyAtFirst);
    let told = place.at_once(&mut aliases);
    assert_eq!(
        values(&aliases, "staff"),
        [
            "first@x.example",
            "a@x.example",
            "b@x.example",
            "root",
            "last@x.example"
        ]
    );
    assert_eq!(told, ["/aliases:1: /staff includes itself"]);
    assert_eq!(place.later(&mut aliases), Vec::<String>::new());
    place.write("more", "other@x.example\n");
    place.later(&mut aliases);
    assert!(values(&aliases, "staff").contains(&"other@x.example".to_owned()));
    assert!(!values(&aliases, "staff").contains(&"root".to_owned()));
}

#[test]
fn an_alias_file_that_is_included_into_itself_is_told_and_its_lines_are_no_addresses() {
    for name in ["$DIR/aliases", "$DIR/./aliases", "$DIR/link"] {
        let place = Place::new();
        std::os::unix::fs::symlink("aliases", place.path("link")).unwrap();
        let text = format!("all: a@x.example, :include:{name}\nroot: b@x.example\n");
        let mut aliases = place.aliases(&text, Missing::EmptyAtFirst);
        let told = place.at_once(&mut aliases);
        assert!(
            matches!(&told[..], [one] if one.ends_with("includes itself")),
            "{told:?}"
        );
        assert_eq!(values(&aliases, "all"), ["a@x.example"], "{name}");
    }
}

#[test]
fn a_file_that_others_may_write_or_that_is_none_is_not_followed_and_the_rest_of_the_alias_is() {
    let place = Place::new();
    let open = place.write("open", "evil@x.example\n");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, place.path("fifo"), kind, mode, 0).unwrap();
    for (name, why) in [
        ("$DIR/open", "o-w"),
        ("$DIR/fifo", "not a regular file"),
        ("$DIR", "not a regular file"),
        ("$DIR/missing", "No such file"),
        ("relative", "whole path"),
    ] {
        let mut aliases = place.aliases(
            &format!("staff: a@x.example, :include:{name}\n"),
            Missing::EmptyAtFirst,
        );
        let told = place.at_once(&mut aliases);
        assert!(
            told[0].starts_with("/aliases:1: ") && told[0].contains(why),
            "{name}: {told:?}"
        );
        let values = values(&aliases, "staff");
        assert_eq!(values[0], "a@x.example");
        assert!(values[1].starts_with(":include:"), "{name}: {values:?}");
    }
}

/// Each change is bad in its own way; what was read before stays, and it is said once.
#[test]
fn a_table_that_is_broken_emptied_or_taken_away_keeps_what_was_read_before() {
    let mut place = Place::new();
    place.write("staff", "a@x.example\n");
    let good = "root: first@x.example\nstaff: :include:$DIR/staff\n";
    let mut aliases = place.aliases(good, Missing::EmptyAtFirst);
    assert_eq!(place.at_once(&mut aliases), Vec::<String>::new());
    for (file, text, why) in [
        (
            "aliases",
            "",
            "/aliases: is suddenly empty; what was read before stays in force",
        ),
        ("aliases", "# nothing\n\n", "is suddenly empty"),
        ("aliases", "root: other@x.example\nnocolon\n", "is faulty"),
        ("aliases", "root: other@x.example, a@@b\n", "is faulty"),
        ("staff", "\n", "/staff: is suddenly empty"),
        ("staff", "b@x.example\nb b\n", "is faulty"),
    ] {
        place.write(file, text);
        let told = place.later(&mut aliases);
        assert!(told[0].contains(why), "{text:?}: {told:?}");
        assert_eq!(place.later(&mut aliases), Vec::<String>::new(), "once");
        assert_eq!(values(&aliases, "root"), ["first@x.example"], "{text:?}");
        assert_eq!(values(&aliases, "staff"), ["a@x.example"], "{text:?}");
    }
    for file in ["aliases", "staff"] {
        fs::remove_file(place.path(file)).unwrap();
        assert_eq!(place.later(&mut aliases), Vec::<String>::new(), "just gone");
        let told = place.later(&mut aliases);
        assert!(told[0].contains("stays in force"), "{file}: {told:?}");
        assert_eq!(values(&aliases, "staff"), ["a@x.example"], "{file}");
    }
    // Mended, it is taken by itself.
    place.write("aliases", "root: second@x.example\n");
    place.later(&mut aliases);
    assert_eq!(values(&aliases, "root"), ["second@x.example"]);
}

#[test]
fn a_change_counts_once_the_file_was_left_alone_for_two_seconds() {
    let mut place = Place::new();
    let mut aliases = place.aliases("root: first@x.example\n", Missing::Fault);
    place.at_once(&mut aliases);
    place.write("aliases", "root: second@x.example\n");
    place.now = clock::now();
    place.at_once(&mut aliases);
    assert_eq!(values(&aliases, "root"), ["first@x.example"]);
    place.now = place.now.after(crate::watch::SETTLED);
    place.at_once(&mut aliases);
    assert_eq!(values(&aliases, "root"), ["second@x.example"]);
}

#[test]
fn what_cannot_be_done_is_found_with_file_and_line() {
    let place = Place::new();
    place.write("list", "|/bin/y\nok@x.example\nbroken@@x\n");
    let mut aliases = place.aliases(
        "a: b\nb: a\nprog: \"|/bin/x\"\nfile: /var/mail/x\n\ngood: ok@x.example\nlist: :include:$DIR/list\n\
         none: :include:$DIR/none\nno: :fail: gone\n",
        Missing::EmptyAtFirst,
    );
    let mut told = place.at_once(&mut aliases);
    told.extend(unusable(aliases.table(), false).iter().map(|problem| {
        let here = place.directory.path().display().to_string();
        problem.to_string().replace(&here, "")
    }));
    told.sort();
    assert_eq!(
        told,
        [
            "/aliases:1: a: the alias comes back to itself: a -> b -> a",
            "/aliases:2: b: the alias comes back to itself: b -> a -> b",
            "/aliases:3: prog: delivery to programs is not supported: |/bin/x",
            "/aliases:4: file: delivery to files is not supported: /var/mail/x",
            "/aliases:7: list: delivery to programs is not supported: a line of /list",
            "/aliases:8: /none is not followed: No such file or directory (os error 2)",
            "/list:3: it holds what is no address",
        ]
    );
}

#[test]
fn ten_thousand_members_are_one_list_in_an_alias_and_by_include() {
    let place = Place::new();
    let members: Vec<String> = (0..10_000).map(|n| format!("m{n}@x.example")).collect();
    place.write("members", &members.join("\n"));
    let text = format!(
        "all: {}\nlist: :include:$DIR/members\n",
        members.join(",\n ")
    );
    let mut aliases = place.aliases(&text, Missing::Fault);
    assert_eq!(place.at_once(&mut aliases), Vec::<String>::new());
    assert_eq!(values(&aliases, "all"), members);
    assert_eq!(values(&aliases, "list"), members);
    assert_eq!(unusable(aliases.table(), false), []);
}

/// Who may write an alias file and is neither root nor we. Only root can make one whose it is.
fn give_away(path: &Path) -> bool {
    let nobody = rustix::fs::Uid::from_raw(65534);
    rustix::fs::chown(path, Some(nobody), None).is_ok()
}

/// By group, by owner, by a directory, by a link, and by a list on the way.
#[test]
fn who_may_write_an_alias_file_reads_no_file_with_the_daemons_rights() {
    let place = Place::new();
    let mode = |name: &str, mode| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(place.path("theirs")).unwrap();
    fs::create_dir(place.path("private")).unwrap();
    mode("", 0o755);
    place.write("secret", "hunter2\n");
    place.write("private/secret", "hunter2\n");
    place.write("public", "member@x.example\n");
    place.write("nested", ":include:$DIR/secret\n");
    mode("secret", 0o600);
    mode("private", 0o700);
    mode("nested", 0o664);
    // The group that may write is not root's.
    let group = rustix::fs::Gid::from_raw(65534);
    let grouped = rustix::fs::chown(place.path("nested"), None, Some(group)).is_ok();
    for (link, to) in [("theirs/link", "secret"), ("link", "theirs/link")] {
        std::os::unix::fs::symlink(place.path(to), place.path(link)).unwrap();
    }
    mode("theirs", 0o777);
    let follow = |name: &str, file: &str| {
        let text = place.text(&format!("list: :include:{name}\n"));
        let path = place.write("aliases", &text);
        match file {
            "others" => mode("aliases", 0o666),
            "given" => _ = give_away(&path),
            _ => {}
        }
        let mut aliases = Aliases::new(&[path], Missing::Fault, Table::aliases);
        let told = place.at_once(&mut aliases).concat();
        assert!(!told.contains("hunter2"), "{told}");
        (values(&aliases, "list").concat(), told)
    };
    for file in ["others", "given"] {
        if file == "given" && !give_away(&place.path("public")) {
            continue;
        }
        for name in ["secret", "private/secret", "link", "theirs/link", "nested"] {
            let (read, told) = follow(&format!("$DIR/{name}"), file);
            assert!(read.starts_with(":include:"), "{file}, {name}: {read}");
            assert!(told.contains("not everybody can read it"), "{name}: {told}");
        }
    }
    place.write("public", "member@x.example\n");
    assert_eq!(follow("$DIR/public", "others").0, "member@x.example");
    // The alias file is ours alone, and what is on the way is not.
    assert_eq!(follow("$DIR/secret", "ours").0, "hunter2");
    assert_eq!(follow("$DIR/private/secret", "ours").0, "hunter2");
    for name in ["link", "theirs/link"] {
        assert!(
            follow(&format!("$DIR/{name}"), "ours")
                .1
                .contains("not everybody"),
            "{name}"
        );
    }
    if grouped {
        assert!(follow("$DIR/nested", "ours").1.contains("not everybody"));
    }
    // What its owner owns, he may read.
    place.write("theirs/own", "own@x.example\n");
    mode("theirs/own", 0o600);
    if give_away(&place.path("theirs/own")) {
        assert_eq!(follow("$DIR/theirs/own", "given").0, "own@x.example");
        assert!(
            follow("$DIR/theirs/own", "ours")
                .1
                .contains("belongs neither")
        );
        assert!(
            follow("$DIR/theirs/own", "others")
                .1
                .contains("belongs neither")
        );
    }
    assert!(follow("/proc/self/status", "ours").1.contains("the kernel"));
}

#[test]
fn nothing_that_an_included_file_holds_is_repeated_in_a_warning() {
    let place = Place::new();
    let secret = "pass word@@x\n|hunter2\n/hunter2\n\"hunter2\n:hunter2:\nhunter2@x hunter2@@\nhunter2 # hunter2\n";
    place.write("secret", secret);
    let mut aliases = place.aliases("list: :include:$DIR/secret\n", Missing::Fault);
    let mut told = place.at_once(&mut aliases).join("\n");
    for runs in [false, true] {
        let problems = unusable(aliases.table(), runs);
        told.extend(problems.iter().map(ToString::to_string));
    }
    assert!(
        told.contains("/secret:1: it holds what is no address"),
        "{told}"
    );
    assert!(told.contains("delivery to files"), "{told}");
    for content in ["hunter2", "pass", "word"] {
        assert!(!told.contains(content), "{content}: {told}");
    }
}

#[test]
fn an_alias_whose_list_names_nobody_is_told_with_its_line_and_expands_to_an_error() {
    for list in [
        "",
        "# all have left\n",
        "\n \n",
        "undisclosed-recipients:;\n",
        "a:::\n",
        ":include:$DIR/none\n",
    ] {
        let place = Place::new();
        place.write("none", "");
        place.write("list", list);
        let text = "\nlist: :include:$DIR/list\nchain: list\nsome: list, a@x.example\n";
        let mut aliases = place.aliases(text, Missing::Fault);
        let told = place.at_once(&mut aliases);
        assert!(
            told.iter()
                .any(|it| it.starts_with("/aliases:2: it stands for nobody")),
            "{told:?}"
        );
        for name in ["list", "chain"] {
            let error = expand(aliases.table(), &LocalPart::new(name).unwrap());
            assert_eq!(
                error,
                Err(mail::maps::ExpandError::Nobody),
                "{list:?}: {name}"
            );
        }
        let some = expand(aliases.table(), &LocalPart::new("some").unwrap()).unwrap();
        assert_eq!(some.len(), 1, "{list:?}");
        let found = unusable(aliases.table(), false);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, 3);
    }
}

#[test]
fn lists_that_name_one_another_are_looked_at_for_so_long_and_how_many_were_not_is_told() {
    let names: Vec<_> = (0..40).map(|number| format!("k{number}")).collect();
    let lines = names.iter().map(|name| {
        let others = names.join(", ");
        format!("{name}: {others}, {name}@x.example\n")
    });
    let text: String = lines.collect();
    let (table, _) = Table::aliases("aliases".into(), &text);
    let told = unusable(&table, false);
    assert_eq!(told.len(), names.len());
    let loops = told
        .iter()
        .filter(|it| it.text.contains("comes back to itself"));
    assert_eq!(loops.count(), names.len());
    let told = unusable_within(&table, false, 2000);
    let whole = told.iter().find(|it| it.line == 0).unwrap();
    assert!(whole.text.contains("names were not looked at"), "{whole}");
    assert!(told.len() < names.len());
}
