//! `sendmail-shim check` looks whether root's mail would come where it would really go.

use std::process::Output;

use tests::{
    agent::Agent,
    sink::{Script, Sink},
};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Aliases lead root's mail elsewhere: that is where `check` looks whether it would come.
#[test]
fn check_tries_everybody_to_whom_aliases_and_admin_lead_roots_mail() {
    let sink = Sink::with(Script {
        recipients: vec![(
            "gone@elsewhere.example".to_owned(),
            "550 5.1.1 no such user".to_owned(),
        )],
        ..Script::default()
    });
    let mut node = Agent::prepare("");
    let tried = |node: &mut Agent, more: &str, aliases: &str| {
        node.configure(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\naliases = \"$DIR/aliases\"\nrevaliases = \"$DIR/revaliases\"\n{more}",
            sink.nexthop()
        ));
        node.file("aliases", aliases);
        node.file("revaliases", "root: shop@elsewhere.example\n");
        text(&node.admin(&["check"]))
    };
    let admin = "admin = \"admins@example.test\"\n";
    let told = tried(
        &mut node,
        admin,
        "root: ops\nops: one@elsewhere.example, gone@elsewhere.example\n",
    );
    for way in [
        "from <shop@elsewhere.example> to <one@elsewhere.example>: 250",
        "to <gone@elsewhere.example>: host ",
        "550 5.1.1 no such user",
    ] {
        assert!(told.contains(way), "{way}: {told}");
    }
    assert!(!told.contains("to <admins@"), "{told}");
    let told = tried(&mut node, admin, "");
    assert!(told.contains("to <admins@example.test>: 250"), "{told}");
    // A domain in UTF-8 is one in ASCII on the way, and what follows it is not asked.
    for admin in ["chef@b\u{fc}cher.example", "chef@bu\u{308}cher.example"] {
        let told = tried(&mut node, &format!("admin = \"{admin}\"\n"), "");
        let found = "to <chef@xn--bcher-kva.example>: 250";
        assert!(told.contains(found), "{told}");
    }
    for name in ["localhost.localdomain", "vm1.localdomain"] {
        let told = tried(&mut node, &format!("hostname = \"{name}\"\n"), "");
        assert!(told.contains("each machine calls itself so"), "{told}");
    }
    let told = tried(&mut node, "", "root: :fail: nobody reads it\n");
    assert!(told.contains("nobody reads it"), "{told}");
    assert!(sink.journal().is_empty());
}
