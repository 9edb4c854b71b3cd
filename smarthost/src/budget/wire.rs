//! A connection to the store that believes no answer without an end.
//!
//! Contract: of one answer no more than [`MOST`] bytes are read, whatever it announces; who sends
//! more loses the connection, and that counts as an outage. Redis' protocol, version 2.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, RedisError, RedisFuture,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use relay::{
    tls::{self, ClientTls, Trust},
    trust,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::JoinHandle,
    time,
};
use tokio_rustls::TlsConnector;

use crate::link::local;

/// Of one answer.
const MOST: u64 = 16 * 1024 * 1024;
/// Of a line that announces something, or is an answer by itself.
const LINE: usize = 64 * 1024;

/// Why it cannot be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unusable(pub(super) String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<RedisError> for Unusable {
    fn from(error: RedisError) -> Self {
        Self(format!("fails: {error}"))
    }
}

/// Where the store is, and how it is known there.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) at: ConnectionInfo,
    /// Keys of which it shows one; none: a web authority knows its name.
    pub(super) pins: Vec<trust::Pin>,
}

/// Cheap to clone; the last one that is dropped ends it.
#[derive(Clone)]
pub(super) struct Connection {
    inner: MultiplexedConnection,
    _driver: Arc<Driver>,
}

/// The task that reads and writes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(super) fn set_response_timeout(&mut self, timeout: Duration) {
        self.inner.set_response_timeout(timeout);
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.inner.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.inner.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}

/// Connects and logs in, within this time.
pub(super) async fn connect(place: &Place, patience: Duration) -> Result<Connection, Unusable> {
    let connecting = time::timeout(patience, dial(place, patience));
    match connecting.await {
        Ok(connected) => connected,
        Err(_) => Err(Unusable("does not answer in time".to_owned())),
    }
}

async fn dial(place: &Place, patience: Duration) -> Result<Connection, Unusable> {
    let at = &place.at;
    let fails = |error: &dyn fmt::Display| Unusable(format!("cannot be reached: {error}"));
    let tcp = async |host: &str, port: u16| {
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        stream.map_err(|error| fails(&error))
    };
    match at.addr() {
        ConnectionAddr::Tcp(host, port) => log_in(at, tcp(host, *port).await?, patience).await,
        ConnectionAddr::Unix(path) => {
            let stream = local::connect(path).await;
            log_in(at, stream.map_err(|error| fails(&error))?, patience).await
        }
        ConnectionAddr::TcpTls { host, port, .. } => {
            let trust = if place.pins.is_empty() {
                Trust::WebRoots
            } else {
                Trust::Pins(place.pins.clone())
            };
            let believed = ClientTls::new(&trust).map_err(|error| fails(&error))?;
            let name = ServerName::try_from(host.clone()).map_err(|error| fails(&error))?;
            let connector = TlsConnector::from(believed.config);
            let stream = connector.connect(name, tcp(host, *port).await?).await;
            let clear = "without TLS the store is written redis:// in budget.store";
            let stream = stream.map_err(|error| fails(&tls::explain_to(&error, clear)));
            log_in(at, stream?, patience).await
        }
        _ => Err(Unusable("is of an unknown kind".to_owned())),
    }
}

async fn log_in<S>(
    at: &ConnectionInfo,
    stream: S,
    patience: Duration,
) -> Result<Connection, Unusable>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = Bounded {
        inner: stream,
        answer: Answer::default(),
    };
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(patience));
    let login = at.redis_settings();
    let (inner, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    Ok(Connection {
        inner,
        _driver: Arc::new(Driver(tokio::spawn(driver))),
    })
}

/// A stream that fails where an answer is too long.
struct Bounded<S> {
    inner: S,
    answer: Answer,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if self.answer.goes_on(new) {
            return Poll::Ready(Ok(()));
        }
        buffer.set_filled(before);
        Poll::Ready(Err(io::Error::other("its answer has no end")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// How far an answer has come. Pure.
#[derive(Debug, Default)]
pub struct Answer {
    /// Bytes of it, with those that it has announced.
    bytes: u64,
    /// Values of it that are to come; 0: the next one begins an answer.
    values: u64,
    /// Bytes of a text that are to come.
    text: u64,
    /// Of a line that is not at its end.
    line: Vec<u8>,
}

impl Answer {
    /// Reads on; `false`: it is too long, or none.
    pub fn goes_on(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.text > 0 {
                let here = usize::try_from(self.text).unwrap_or(usize::MAX);
                let (skipped, rest) = bytes.split_at(here.min(bytes.len()));
                self.text -= u64::try_from(skipped.len()).unwrap_or(u64::MAX);
                bytes = rest;
                self.end_value(0);
                continue;
            }
            bytes = rest;
            self.line.push(byte);
            if self.line.len() > LINE {
                return false;
            }
            if byte == b'\n' && !self.read_line() {
                return false;
            }
        }
        true
    }

    /// A text that is complete, or a value that holds so many others.
    fn end_value(&mut self, holds: u64) {
        if self.text > 0 {
            return;
        }
        self.values = self.values.saturating_sub(1).saturating_add(holds);
        if self.values == 0 {
            self.bytes = 0;
        }
    }

    fn read_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let text = std::str::from_utf8(&line).unwrap_or_default().trim_end();
        let number = || text.get(1..).and_then(|number| number.parse::<i64>().ok());
        self.values = self.values.max(1);
        let (announced, holds) = match (line.first(), number()) {
            (Some(b'+' | b'-' | b':'), _) => (0, 0),
            (Some(b'$'), Some(length)) => match u64::try_from(length) {
                // And the end of its line.
                Ok(length) => (length.saturating_add(2), 0),
                Err(_) => (0, 0),
            },
            (Some(b'*'), Some(holds)) => (0, u64::try_from(holds).unwrap_or(0)),
            _ => return false,
        };
        // A value takes four bytes at least.
        let more = length
            .saturating_add(announced)
            .saturating_add(holds.saturating_mul(4));
        self.bytes = self.bytes.saturating_add(more);
        self.text = announced;
        self.end_value(holds);
        self.bytes <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: String, pins: Vec<trust::Pin>) -> Place {
        let at = redis::IntoConnectionInfo::into_connection_info(url).unwrap();
        Place { at, pins }
    }

    fn read(bytes: &[u8], piece: usize) -> bool {
        let mut answer = Answer::default();
        bytes.chunks(piece).all(|piece| answer.goes_on(piece))
    }

    #[test]
    fn an_answer_of_the_store_is_read_in_any_pieces_and_never_without_end() {
        let many =
            b"*3\r\n$5\r\nab\r\nc\r\n:5\r\n*2\r\n$-1\r\n*0\r\n+OK\r\n-ERR no\r\n".repeat(400_000);
        for piece in [1, 3, 7, 4096] {
            assert!(
                read(&many, piece),
                "answers that are complete add up to nothing"
            );
        }
        for endless in [
            &b"$1000000000\r\n"[..],
            b"$9223372036854775807\r\nabc",
            b"*9223372036854775807\r\n",
            b"*2147483647\r\n:1\r\n",
            b"%1\r\n",
            b"abc\r\n",
            b"$x\r\n",
            &b"+".repeat(LINE + 1),
            &b"*1\r\n".repeat(4_000_000),
            &[
                b"*9\r\n".to_vec(),
                b"$9999999\r\n".to_vec(),
                vec![b'a'; 10_000_001],
                b"$9999999\r\n".to_vec(),
            ]
            .concat(),
        ] {
            let told =
                String::from_utf8_lossy(endless.get(..20.min(endless.len())).unwrap()).into_owned();
            assert!(!read(endless, 1000), "{told}");
        }
    }

    #[tokio::test]
    async fn a_store_whose_key_no_authority_of_the_web_knows_is_an_outage_that_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::self_signed("localhost").unwrap();
        let files = ["it.pem", "it.key"].map(|name| directory.path().join(name));
        for (file, text) in files.iter().zip([certificate, key]) {
            system::fs::replace(file, text.as_bytes(), 0o600).unwrap();
        }
        let server = tls::server_config(&files[0], &files[1], tls::TlsVersion::V1_2).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shows = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(server);
            acceptor.accept(stream).await.is_ok()
        });
        let url = format!("rediss://127.0.0.1:{port}");
        let place = place(url, Vec::new());
        let failed = connect(&place, Duration::from_mins(1)).await.err().unwrap();
        assert!(
            failed
                .0
                .contains("not signed by a public certificate authority"),
            "{failed}"
        );
        assert!(!shows.await.unwrap(), "and nothing was told to it");
    }

    #[tokio::test]
    async fn a_store_without_tls_is_told_in_the_words_of_its_own_setting() {
        use tokio::io::AsyncWriteExt as _;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"-ERR unknown command\r\n").await;
        });
        let place = place(format!("rediss://127.0.0.1:{port}"), Vec::new());
        let failed = connect(&place, Duration::from_mins(1)).await.err().unwrap();
        let text = failed.to_string();
        assert!(
            text.contains("redis://") && !text.contains("starttls"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_store_whose_answer_has_no_end_is_an_outage() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let hostile = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let mut sent = 0u64;
            let _ = stream.write_all(b"$1000000000\r\n").await;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {
                sent += 4096;
            }
            sent
        });
        let url = format!("unix:{}", path.display());
        let place = place(url, Vec::new());
        let failed = async {
            let mut connection = connect(&place, Duration::from_mins(1)).await?;
            let said: Result<String, _> = redis::cmd("PING").query_async(&mut connection).await;
            said.map_err(Unusable::from)
        };
        let failed = failed.await.unwrap_err();
        assert!(failed.0.contains("no end"), "{failed}");
        assert!(hostile.await.unwrap() < MOST, "and it is not read on");
    }
}
