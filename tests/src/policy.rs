//! Policy servers, as restrictions ask them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// One that does this with each connection, on a free port of loopback; ends with the test's
/// process.
pub fn policy_server(act: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let act = Arc::new(act);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let act = Arc::clone(&act);
            thread::spawn(move || act(stream));
        }
    });
    address
}

/// Answers each request as `decide` says, as long as the connection lasts.
pub fn converse(mut stream: TcpStream, decide: impl Fn(&str) -> String) {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        while let Some(end) = text.find("\n\n") {
            let request: String = text.drain(..end + 2).collect();
            if stream.write_all(decide(&request).as_bytes()).is_err() {
                return;
            }
        }
    }
}
