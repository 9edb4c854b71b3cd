//! The real rspamd, with a configuration of its own, over its milter socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{os::unix::net::UnixStream, process::Command};

use tests::{
    daemon::Daemon, peers, session::Session, sink::Sink, smarthost::Smarthost, wait::until,
};

const STRANGER: &str = "127.0.0.66";
const TO: &[&str] = &["u@public.example"];

/// One worker that looks at mail by itself, and asks nobody else.
const CONFIG: &str = r#"
lua = "$DIR/rules.lua";
options {
  pidfile = "$DIR/rspamd.pid";
  control_socket = "$DIR/rspamd.control mode=0600";
  cores_dir = "$DIR"; hs_cache_dir = "$DIR"; tempdir = "$DIR";
  filters = "regexp";
  disable_hyperscan = true; url_tld = "$DIR/tld.dat";
  local_addrs = [];
  dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }
}
logging { type = "console"; level = "warning"; color = false; }
worker "rspamd_proxy" {
  bind_socket = "$DIR/milter.sock mode=0666";
  milter = yes;
  timeout = 20s;
  count = 1;
  upstream "local" { default = yes; self_scan = yes; }
}
actions { reject = 15; add_header = 6; }
modules { path = "/usr/share/rspamd/plugins/milter_headers.lua"; }
milter_headers {
  use = ["x-spamd-result", "x-rspamd-queue-id"];
  skip_local = false;
}
"#;

/// As its greylisting does: a temporary refusal, of mail with this subject.
const RULES: &str = r#"
dofile("/usr/share/rspamd/rules/rspamd.lua")
rspamd_config:register_symbol{
  name = "AWAY", type = "prefilter", callback = function(task)
    if task:get_subject() == "greylist me" then
      task:set_pre_result("soft reject", "Try again later", "away")
    end
  end }
"#;

fn mail(server: &Smarthost, subject: &str, body: &str) -> String {
    let mut session = Session::connect_from(STRANGER.parse().unwrap(), server.address()).ehlo();
    let message = format!(
        "From: Ann <ann@ham.example>\r\nTo: u@public.example\r\nSubject: {subject}\r\n\
         Date: Sun, 22 Nov 2026 07:51:52 +0100\r\nMessage-ID: <1@ham.example>\r\n\r\n{body}\r\n"
    );
    let reply = session
        .mail("ann@ham.example", TO, message.as_bytes())
        .unwrap();
    format!("{} {}", reply.code, reply.text())
}

/// Rows B5, B10.
#[test]
fn rspamd_refuses_spam_has_mail_come_again_and_writes_its_fields() {
    let Some(rspamd) = peers::find("rspamd") else {
        return;
    };
    let sink = Sink::start();
    let mut server = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\nrelayhost = \"{}\"\ndomains = {{ relay = [\"public.example\"] }}\n\
         milters = [\"unix:$DIR/milter.sock\"]\n",
        sink.nexthop()
    ));
    let directory = server.directory().display().to_string();
    server.file("rspamd.conf", &CONFIG.replace("$DIR", &directory));
    server.file("rules.lua", RULES);
    // It compiles the list of all domains at each start, which takes half a minute.
    server.file("tld.dat", "example\n");
    let config = server.directory().join("rspamd.conf");
    let socket = server.directory().join("milter.sock");
    let mut command = Command::new(rspamd);
    command.args(["--no-fork", "--insecure", "--config", peers::text(&config)]);
    let mut filter = Daemon::start("rspamd", &mut command);
    until("rspamd listens", || {
        assert!(filter.ended().is_none(), "{}", filter.log());
        UnixStream::connect(&socket).ok()
    });
    server.run();
    let output = server.admin(&["check"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("speaks the milter protocol"), "{text}");
    let gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
    assert_eq!(mail(&server, "spam", gtube), "554 5.7.1 Gtube pattern");
    assert_eq!(
        mail(&server, "greylist me", "hello"),
        "451 4.7.1 Try again later"
    );
    assert!(mail(&server, "hello", "Dear u,\r\n\r\nhow are you?").starts_with("250 "));
    let received = sink.journal().wait_for(1).pop().unwrap();
    assert!(
        received.text().starts_with("Received: "),
        "{}",
        received.text()
    );
    assert!(
        received
            .field("X-Spamd-Result")
            .starts_with("default: False"),
        "{}",
        received.text()
    );
    let trace = received.field("Received");
    let id = received.field("X-Rspamd-Queue-Id");
    assert!(trace.contains(&format!(" id {id}")), "{id} {trace}");
    let log = server.daemon().wait_for_log("milter-reject: END-OF-MESSAGE from unknown[127.0.0.66]: 5.7.1 Gtube pattern; from=<ann@ham.example> to=<u@public.example>");
    assert!(!log.contains("meanwhile"), "it never failed:\n{log}");
    filter.stop();
}
