//! Clients that no network of a smarthost covers, and that log in.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use relay::tls::{ClientTls, Trust};
use rustls::ClientConfig;

use crate::{
    session::{Reply, Session},
    sink::Sink,
    smarthost::Smarthost,
};

pub const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Nobody is covered by networks; everything goes to the sink.
pub fn server(sink: &Sink, config: &str) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.77/32\"]\nrelayhost = \"{}\"\n{config}",
        sink.nexthop()
    ))
}

pub fn anybody() -> Arc<ClientConfig> {
    ClientTls::new(&Trust::Opportunistic).unwrap().config
}

/// Gives somebody a login; the password.
pub fn password(smarthost: &Smarthost, login: &str) -> String {
    let output = smarthost.admin(&["passwd", login, "--generate"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim_end().lines().last().unwrap().to_owned()
}

pub fn plain(session: &mut Session, login: &str, password: &str) -> Reply {
    let response = BASE64_STANDARD.encode(format!("\0{login}\0{password}"));
    session.say(&format!("AUTH PLAIN {response}"))
}

pub fn from(smarthost: &Smarthost, client: &str) -> Session {
    Session::connect_from(client.parse().unwrap(), smarthost.address())
        .ehlo()
        .starttls(anybody())
}

pub fn to_elsewhere(session: &mut Session) -> Reply {
    session
        .mail("scan@example.org", &["someone@elsewhere.example"], MESSAGE)
        .unwrap()
}
