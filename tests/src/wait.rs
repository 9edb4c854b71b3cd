//! Waiting for a condition, with a deadline.
//!
//! Contract: returns as soon as the condition holds; a test that waits in vain fails and says what
//! for.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::geteuid;

/// How long any condition may take on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "waited {PATIENCE:?} in vain for: {what}"
        );
        pause();
    }
}

/// Asks again and again until it is true.
pub fn until_true(what: &str, mut probe: impl FnMut() -> bool) {
    until(what, || probe().then_some(()));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition; nothing depends on its length"
)]
fn pause() {
    thread::sleep(Duration::from_millis(10));
}

/// A port on loopback that nobody uses: below the range that the kernel gives to outgoing
/// connections, and claimed, for as long as this process lives, before all others that ask here.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = env::temp_dir().join(format!("mail-test-ports-{}", geteuid().as_raw()));
    fs::create_dir_all(&folder).unwrap();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() % 400).unwrap_or(0) * 50;
        let port = 10_000 + (start + step) % 20_000;
        let claim = File::create(folder.join(port.to_string())).unwrap();
        if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            CLAIMS.lock().unwrap().push(claim);
            return port;
        }
    }
}

/// The same as an address on 127.0.0.1.
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}
