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
