//! A web server that answers each request with the same bytes, on port 443 of a loopback address of
//! its own (root only).

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running one. Ends with the test's process.
#[derive(Debug)]
pub struct Https {
    address: Ipv4Addr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    answer: Mutex<Option<String>>,
    requests: AtomicUsize,
}

impl Https {
    /// With this certificate; `None`: it is down.
    pub fn start(tls: Arc<ServerConfig>, answer: impl Into<Option<String>>) -> Self {
        let process = std::process::id().to_be_bytes();
        let mut addresses =
            (1..=254).map(|last| Ipv4Addr::new(127, process[2] | 64, process[3], last));
        let (address, listener) = addresses
            .find_map(|address| Some((address, TcpListener::bind((address, 443)).ok()?)))
            .expect("a loopback address whose port 443 is free");
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer.into()),
            requests: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = serving.answer.lock().unwrap().clone();
                let (tls, shared) = (Arc::clone(&tls), Arc::clone(&serving));
                // Whoever goes away in the middle is no fault of the server.
                thread::spawn(move || serve(stream, tls, answer?.as_bytes(), &shared).ok());
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Another answer from now on.
    pub fn play(&self, answer: impl Into<Option<String>>) {
        *self.shared.answer.lock().unwrap() = answer.into();
    }

    /// Requests that were answered.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

fn serve(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    answer: &[u8],
    shared: &Shared,
) -> std::io::Result<()> {
    let session = ServerConnection::new(tls).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    stream.write_all(answer)?;
    stream.conn.send_close_notify();
    stream.flush()?;
    shared.requests.fetch_add(1, Ordering::SeqCst);
    Ok(())
}
