//! What administrators are told by mail: few mails, each with what to do.

use tests::{
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

fn told(sink: &Sink, what: &str) -> String {
    until("the administrators are told", || {
        let messages = sink.journal().messages();
        let told = messages.iter().map(tests::sink::Received::text);
        let mut told = told.filter(|text| text.contains(what));
        told.next()
    })
}

/// Dead mail is counted and told once, and a restart repeats neither.
#[test]
fn what_was_told_is_not_told_again_after_a_restart() {
    let sink = Sink::start();
    let dead = Sink::with(Script {
        answers: vec![("RCPT".to_owned(), "550 5.1.1 nobody".to_owned())],
        ..Script::default()
    });
    let mut smarthost = Smarthost::start(&format!(
        "admins = [\"admin@here.example\"]\n[routes]\n\"here.example\" = \"{}\"\n\"gone.example\" = \"{}\"\n",
        sink.nexthop(),
        dead.nexthop()
    ));
    let die = |smarthost: &Smarthost| {
        let mut session = Session::greeted(smarthost.address());
        session.delivers("", &["a@gone.example"], b"Subject: bounce\r\n\r\nx\r\n");
    };
    die(&smarthost);
    let text = told(&sink, "a bounce cannot be delivered and is kept");
    assert!(text.contains("550 5.1.1 nobody"), "{text}");
    for _ in 0..3 {
        die(&smarthost);
    }
    let held = |smarthost: &Smarthost, number| {
        smarthost.wait_for_mailq("held", |queue| {
            queue.matches("a@gone.example").count() == number
        });
    };
    held(&smarthost, 4);
    assert!(smarthost.daemon().stop().success());
    smarthost.run();
    die(&smarthost);
    held(&smarthost, 5);
    assert_eq!(sink.journal().messages().len(), 1);
}

/// A web application that floods is found by its script.
#[test]
fn a_limit_is_told_with_who_wrote_the_mail_and_that_leaves_with_none() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "admins = [\"admin@here.example\"]\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"5/day\"] }}\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    let fields = [
        "Sendmail-Shim-Writer: user=www-data;\r\n\tunit=php8.4-fpm.service;\r\n\tcommand=/usr/bin/php /srv/x%3By.php\r\n",
        "sendmail-shim-writer: user=root\r\nSENDMAIL-SHIM-WRITER: user=nobody\r\n",
    ];
    for field in [fields[0], fields[0], fields[0], fields[1]] {
        let message = format!("{field}Subject: order\r\n\r\nx\r\n");
        session.delivers("shop@example.org", &["a@example.org"], message.as_bytes());
    }
    let text = told(
        &sink,
        "has sent most of the mail it may send (4 of 5 in a day)",
    );
    // As quoted-printable has it.
    let text = text.replace("=\r\n", "").replace("=\n", "");
    let by = "Written by: user www-data, unit php8.4-fpm.service, /usr/bin/php /srv/x;y.php (75 %)";
    assert!(
        text.contains(by) && text.contains("Written by: user root (25 %)"),
        "{text}"
    );
    smarthost
        .daemon()
        .wait_for_log("written by user www-data, unit php8.4-fpm.service");
    let messages = sink.journal().wait_for(5);
    let told = messages
        .iter()
        .filter(|it| it.text().to_lowercase().contains("sendmail-shim-writer:"));
    assert_eq!(told.count(), 0);
}
