//! The status page: who has the token sees what waits and why, finds messages, and gives orders;
//! nobody else does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _};

use tests::{
    http::{Answer, get, request},
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// A relay with a page, and its token.
struct Site {
    relay: Smarthost,
    page: SocketAddr,
    token: String,
}

impl Site {
    fn start(config: &str) -> Self {
        let page = free_address();
        let relay = Smarthost::start(&format!("web = \"{page}\"\n{config}"));
        // The page begins with the daemon, and may be a moment later than its ports.
        let told = until("there is a token", || {
            Some(relay.admin(&["web", "token"])).filter(|told| told.status.success())
        });
        let token = String::from_utf8(told.stdout).unwrap().trim().to_owned();
        Self { relay, page, token }
    }

    /// As a program asks.
    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    fn see(&self, path: &str) -> Answer {
        request(self.page, "GET", path, &self.bearer(), "")
    }

    fn order(&self, form: &str) -> Answer {
        request(self.page, "POST", "/order", &self.bearer(), form)
    }

    fn own(&self) -> String {
        format!("Origin: http://{}\r\n", self.page)
    }

    /// The cookie of a browser that has shown the token.
    fn cookie(&self) -> String {
        let form = format!("token={}", self.token);
        let answer = request(self.page, "POST", "/login", &self.own(), &form);
        assert_eq!((answer.code, answer.field("location")), (303, Some("/")));
        let set = answer.field("set-cookie").unwrap().to_owned();
        for part in [
            "; HttpOnly",
            "; SameSite=Strict",
            "; Path=/",
            "; Max-Age=43200",
        ] {
            assert!(set.contains(part), "{set}");
        }
        format!("Cookie: {}\r\n", set.split(';').next().unwrap())
    }

    /// The id of the one message that waits.
    fn waiting(&self) -> String {
        let rows = self.relay.admin(&["queue", "list", "--json"]);
        let rows = String::from_utf8(rows.stdout).unwrap();
        let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        row["queue_id"].as_str().unwrap().to_owned()
    }
}

/// A relay that reaches nobody.
fn cut_off(config: &str) -> Site {
    Site::start(&format!(
        "relayhost = \"{}\"\n{config}",
        nexthop(free_address())
    ))
}

fn send(relay: &Smarthost, from: &str, to: &[&str], content: &str) {
    let mut session = Session::greeted(relay.address());
    session.delivers(from, to, content.as_bytes());
}

#[test]
fn without_the_token_nobody_sees_the_queue_or_orders_anything() {
    let site = cut_off("");
    let (relay, page) = (&site.relay, site.page);
    send(
        relay,
        "a@one.example",
        &["secret@far.example"],
        "Subject: x\r\n\r\nx\r\n",
    );
    let id = site.waiting();
    let message = format!("/message/{id}");
    let confirm = format!("/confirm?order=delete&id={id}");
    for path in [
        "/",
        "/queue",
        "/queue?q=secret",
        "/clients",
        &message,
        &confirm,
        "/nothing",
    ] {
        let refused = get(page, path);
        assert_eq!(refused.code, 401, "{path}: {refused:?}");
        assert!(refused.field("www-authenticate").is_some(), "{refused:?}");
        assert!(!refused.body.contains("secret@") && !refused.body.contains("far.example"));
        assert!(refused.body.contains("smarthost web token"), "{refused:?}");
    }
    let delete = format!("order=delete&id={id}");
    let wrong = [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer x\r\n".to_owned(),
        format!("Authorization: Basic {}\r\n", site.token),
        format!("Authorization: Bearer {}x\r\n", site.token),
        format!("Authorization: Bearer {}\r\n", &site.token[1..]),
        format!("Cookie: smarthost-session={}\r\n", site.token),
        "Cookie: smarthost-session=\r\n".to_owned(),
    ];
    for fields in wrong {
        let fields = fields + &site.own();
        let refused = request(page, "POST", "/order", &fields, &delete);
        assert_eq!(refused.code, 401, "{fields}: {refused:?}");
        assert_eq!(request(page, "GET", "/", &fields, "").code, 401, "{fields}");
    }
    assert!(relay.mailq().contains("secret@far.example"));
    let kept = relay.directory().join("state/web.token");
    assert_eq!(
        fs::metadata(kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_browser_shows_the_token_once_and_no_other_site_orders_in_its_name() {
    let site = cut_off("");
    let page = site.page;
    let login = |fields: &str, token: &str| {
        request(page, "POST", "/login", fields, &format!("token={token}"))
    };
    let wrong = login(&site.own(), "guessed");
    assert_eq!(wrong.code, 403, "{wrong:?}");
    assert!(wrong.field("set-cookie").is_none() && wrong.body.contains("not the token"));
    assert_eq!(login("", &site.token).code, 403, "from no page of ours");
    let cookie = site.cookie();
    let see = |fields: &str| request(page, "GET", "/", fields, "");
    assert_eq!(see(&cookie).code, 200);

    send(
        &site.relay,
        "a@one.example",
        &["b@far.example"],
        "Subject: x\r\n\r\nx\r\n",
    );
    let hold = format!("order=hold&id={}", site.waiting());
    let order = |fields: &str| request(page, "POST", "/order", &format!("{cookie}{fields}"), &hold);
    let near = page.port() ^ 1;
    for fields in [
        String::new(),
        "Origin: null\r\n".to_owned(),
        "Origin: http://evil.example\r\n".to_owned(),
        format!("Origin: http://127.0.0.1:{near}\r\n"),
        format!("Origin: http://{page}.evil.example\r\n"),
        format!("{}Sec-Fetch-Site: cross-site\r\n", site.own()),
        format!("{}Sec-Fetch-Site: same-site\r\n", site.own()),
        "Sec-Fetch-Site: none\r\n".to_owned(),
    ] {
        let refused = order(&fields);
        assert_eq!(refused.code, 403, "{fields}: {refused:?}");
    }
    assert_eq!(
        request(page, "GET", &format!("/order?{hold}"), &cookie, "").code,
        404
    );
    assert!(!site.relay.mailq().contains('!'), "nothing was held");
    let taken = order(&format!("{}Sec-Fetch-Site: same-origin\r\n", site.own()));
    assert!(
        taken.code == 200 && taken.body.contains("1 message."),
        "{taken:?}"
    );
    assert!(site.relay.mailq().contains('!'));

    let fields = format!("{cookie}{}", site.own());
    assert_eq!(request(page, "POST", "/logout", &fields, "").code, 303);
    assert_eq!(see(&cookie).code, 401, "the cookie is good no more");
    let cookie = site.cookie();
    fs::remove_file(site.relay.directory().join("state/web.token")).unwrap();
    assert_eq!(see(&cookie).code, 401, "another token");
    assert_ne!(
        site.relay.admin(&["web", "token"]).stdout,
        site.token.as_bytes()
    );
}

#[test]
fn orders_of_the_page_are_those_of_the_command_line() {
    let mut site = cut_off("limits = { per_client = [\"100/day\"] }\n");
    let relay = &site.relay;
    for to in ["b@far.example", "c@far.example", "d@near.example"] {
        send(relay, "a@one.example", &[to], "Subject: x\r\n\r\nx\r\n");
    }
    let asked = site.see("/confirm?order=delete&destination=far.example");
    assert!(
        asked
            .body
            .contains("Delete: all that wait for far.example?"),
        "{asked:?}"
    );
    assert!(
        relay.mailq().contains("b@far.example"),
        "a question changes nothing"
    );
    let deleted = site.order("order=delete&destination=far.example");
    assert!(
        deleted.code == 200 && deleted.body.contains("2 messages."),
        "{deleted:?}"
    );
    relay.wait_for_mailq("one message", |queue| {
        !queue.contains("far.example") && queue.contains("d@near.example")
    });
    let id = site.waiting();
    for (order, shown) in [
        ("hold", "on hold"),
        ("release", "waits"),
        ("flush", "Try now"),
    ] {
        assert_eq!(
            site.order(&format!("order={order}&id={id}")).code,
            200,
            "{order}"
        );
        until_true(shown, || {
            site.see(&format!("/message/{id}")).body.contains(shown)
        });
    }
    for wrong in [
        "order=delete",
        "order=delete&all=true",
        "order=delete&id=",
        "x",
        "",
    ] {
        assert_eq!(site.order(wrong).code, 400, "{wrong}");
    }
    let unknown = site.order("order=delete&id=0000000000001");
    assert!(
        unknown.code == 409 && unknown.body.contains("no such message"),
        "{unknown:?}"
    );
    let raised = site.order("order=raise&client=127.0.0.1&limit=500&hours=2");
    assert!(
        raised.code == 200 && raised.body.contains("raised to 500"),
        "{raised:?}"
    );
    let shown = relay.admin(&["limits", "show", "127.0.0.1"]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("raised to 500"),
        "{shown:?}"
    );
    let clients = site.see("/clients");
    assert!(clients.body.contains("3 of 500") && clients.body.contains("raised to 500"));
    assert_eq!(site.order("order=raise&client=127.0.0.1&limit=x").code, 400);
    let told = "ordered on the status page: delete far.example";
    site.relay.daemon().wait_for_log(told);
}

#[test]
fn a_message_is_found_by_id_address_and_message_id_also_when_it_has_left() {
    let sink = Sink::with(Script {
        after_message: "250 2.0.0 Ok <script>alert(1)</script>".to_owned(),
        ..Script::default()
    });
    let site = Site::start(&format!("relayhost = \"{}\"\n", nexthop(sink.address())));
    let mail = "Subject: <b>x</b>\r\nMessage-ID: <weekly.7@vm1.example>\r\n\r\nx\r\n";
    send(&site.relay, "cron@vm1.example", &["bob@far.example"], mail);
    until_true("it has left", || site.relay.mailq().contains("empty"));
    for words in [
        "bob%40far.example",
        "CRON%40vm1",
        "%3Cweekly.7%40vm1.example%3E",
    ] {
        let found = until("it is found", || {
            Some(site.see(&format!("/queue?q={words}")))
                .filter(|it| it.body.contains("status=sent"))
        });
        assert!(found.body.contains("No message in the queue."), "{found:?}");
        assert!(!found.body.contains("<script"), "{found:?}");
    }
    let found = site.see("/queue?q=bob%40far.example").body;
    let (_, behind) = found.split_once("/message/").unwrap();
    let id = behind.split('"').next().unwrap();
    let by_id = site.see(&format!("/queue?q={id}"));
    assert_eq!(
        by_id.field("location"),
        Some(format!("/message/{id}").as_str())
    );
    let story = site.see(&format!("/message/{id}")).body;
    let at = |text: &str| {
        story
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {story}"))
    };
    assert!(at("client=") < at("status=sent") && at("status=sent") < at("removed"));
    assert!(story.contains("It is not in the queue."), "{story}");

    let mut session = Session::greeted(site.relay.address());
    session.say("MAIL FROM:<eve@far.example>");
    session.say("RCPT TO:<nobody@mail.example.test>");
    let refused = site.see("/queue?q=eve%40").body;
    assert!(refused.contains("reject_unlisted_recipient"), "{refused}");
    let none = site.see("/queue?q=%3Cnone%3E").body;
    assert!(
        none.contains("None that is known here.") && !none.contains("<script"),
        "{none}"
    );
    assert_eq!(site.see("/message/0000000000001").code, 404);
    assert_eq!(site.see("/message/%3Cscript%3E").code, 404);
}

#[test]
fn the_page_tells_what_waits_and_why_and_can_be_read_without_a_script_or_a_picture() {
    let site = cut_off("limits = { per_client = [\"4/day\"] }\n");
    for _ in 0..3 {
        send(
            &site.relay,
            "a@one.example",
            &["b@far.example"],
            "Subject: x\r\n\r\nx\r\n",
        );
    }
    let page = until("why it waits", || {
        Some(site.see("/").body).filter(|page| page.contains("Connection refused"))
    });
    for part in [
        "<html lang=\"en\">",
        "Takes and sends mail",
        "<a class=\"skip\" href=\"#main\">",
        "<main id=\"main\"",
        "<nav aria-label=\"Pages\">",
        "role=\"search\"",
        "<label class=\"unseen\" for=\"q\">",
        "aria-current=\"page\"",
        "<a href=\"/queue?destination=far.example\">far.example</a>",
        "75 %",
        "3 of 4 in a day",
        "Received: 3 in 24 hours",
        "<th scope=\"col\"",
        "<th scope=\"row\"",
        "The same as a table, by the hour",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for absent in [
        "<script", "style=", "http://", "https://", "onclick", "<img",
    ] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    let style = get(site.page, "/style.css");
    assert_eq!(style.field("content-type"), Some("text/css; charset=utf-8"));
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
    let waits = site.see("/queue?destination=far.example").body;
    assert!(
        waits.contains("Waits for far.example") && waits.contains("Try all now"),
        "{waits}"
    );
}

/// What was counted in the last day is there again after a restart.
#[test]
fn the_last_day_outlives_a_restart() {
    let mut site = cut_off("");
    send(
        &site.relay,
        "a@one.example",
        &["b@far.example"],
        "Subject: x\r\n\r\nx\r\n",
    );
    let received = "Received: 1 in 24 hours";
    until_true("it is counted", || site.see("/").body.contains(received));
    let status = site.relay.daemon().stop();
    assert!(status.success(), "{status:?}");
    site.relay.run();
    assert!(site.see("/").body.contains(received));
}
