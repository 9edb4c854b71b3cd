//! The header that a proxy writes in front of a session: whose connection it carries.
//!
//! Contract: total and bounded. It never asks for a byte behind the header: what the client sent
//! stays in the socket, for the session or the TLS handshake.
//! Failures: [`ProxyError`]; the connection is then closed without a word, for nobody knows who is
//! at its other end.
//! `HAProxy`'s "The PROXY protocol", §2.1 (version 1, a line), §2.2 (version 2, binary).
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How version 1 begins.
const WORD: &[u8; 6] = b"PROXY ";
/// Longest line of version 1, with its CRLF.
const MAX_LINE: usize = 107;
/// What stands before the addresses of version 2.
const FIXED: usize = 16;
/// Longest header of version 2 that is taken, with all that a proxy may add about TLS and itself.
const MAX_BINARY: usize = 4096;

/// What the bytes so far are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The beginning of a header, at least so many bytes of which are still to come.
    More(usize),
    /// A whole header, and nothing else.
    Done(Header),
}

/// Whose connection it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// A client's, who connected to `server`.
    Carried {
        client: SocketAddr,
        server: SocketAddr,
    },
    /// The proxy's own (a health check), or of somebody whom it cannot name.
    Own,
}

/// Why it is no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyError {
    NoHeader,
    TooLong,
    Malformed,
    Family,
    Address,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "the connection does not begin with a PROXY header",
            Self::TooLong => "the PROXY header is too long",
            Self::Malformed => "the PROXY header is malformed",
            Self::Family => "the PROXY header names no client of TCP over IPv4 or IPv6",
            Self::Address => "the PROXY header names an address that no client can have",
        })
    }
}

impl std::error::Error for ProxyError {}

/// What these bytes from the beginning of a connection are.
pub fn read(bytes: &[u8]) -> Result<Progress, ProxyError> {
    if bytes.is_empty() {
        Ok(Progress::More(1))
    } else if is_begun(bytes, SIGNATURE) {
        binary(bytes)
    } else if is_begun(bytes, WORD) {
        line(bytes)
    } else {
        Err(ProxyError::NoHeader)
    }
}

/// Whether one of them is the beginning of the other.
fn is_begun(bytes: &[u8], with: &[u8]) -> bool {
    bytes.iter().zip(with).all(|(a, b)| a == b)
}

fn line(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let Some((b'\n', before)) = bytes.split_last() else {
        if bytes.len() >= MAX_LINE {
            return Err(ProxyError::TooLong);
        }
        // The shortest is `PROXY UNKNOWN`; from there on byte by byte, since one more may be the
        // client's.
        let shortest = WORD.len().saturating_add(b"UNKNOWN\r\n".len());
        return Ok(Progress::More(shortest.saturating_sub(bytes.len()).max(1)));
    };
    let text = before.strip_suffix(b"\r").ok_or(ProxyError::Malformed)?;
    let text = str::from_utf8(text).map_err(|_| ProxyError::Malformed)?;
    if text.contains(char::is_control) {
        return Err(ProxyError::Malformed);
    }
    let words: Vec<&str> = text.split(' ').collect();
    let (client, server) = match words.as_slice() {
        [_, "UNKNOWN", ..] => return Ok(Progress::Done(Header::Own)),
        [_, "TCP4", client, server, from, to] => (
            SocketAddr::new(v4(client)?, port(from)?),
            SocketAddr::new(v4(server)?, port(to)?),
        ),
        [_, "TCP6", client, server, from, to] => (
            SocketAddr::new(v6(client)?, port(from)?),
            SocketAddr::new(v6(server)?, port(to)?),
        ),
        _ => return Err(ProxyError::Malformed),
    };
    carried(client, server)
}

fn v4(text: &str) -> Result<IpAddr, ProxyError> {
    let address = text.parse::<Ipv4Addr>();
    address.map(IpAddr::V4).map_err(|_| ProxyError::Malformed)
}

fn v6(text: &str) -> Result<IpAddr, ProxyError> {
    let address = text.parse::<Ipv6Addr>();
    address.map(IpAddr::V6).map_err(|_| ProxyError::Malformed)
}

fn port(text: &str) -> Result<u16, ProxyError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (text.len() > 1 && text.starts_with('0')) {
        return Err(ProxyError::Malformed);
    }
    text.parse().map_err(|_| ProxyError::Malformed)
}

fn binary(bytes: &[u8]) -> Result<Progress, ProxyError> {
    let more = |whole: usize| Progress::More(whole.saturating_sub(bytes.len()));
    let Some((&[version, family, high, low], rest)) = bytes
        .get(SIGNATURE.len()..)
        .and_then(<[u8]>::split_first_chunk)
    else {
        return Ok(more(FIXED));
    };
    let (2, command @ (0 | 1)) = (version >> 4, version & 0x0f) else {
        return Err(ProxyError::Malformed);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = FIXED.saturating_add(length);
    if whole > MAX_BINARY {
        return Err(ProxyError::TooLong);
    }
    if rest.len() < length {
        return Ok(more(whole));
    }
    if rest.len() > length {
        return Err(ProxyError::Malformed);
    }
    match (command, family) {
        (0, _) | (1, 0x00) => Ok(Progress::Done(Header::Own)),
        (_, 0x11) => {
            let (client, server, ports) = ends::<4>(rest)?;
            carried(
                SocketAddr::new(Ipv4Addr::from(client).into(), ports.0),
                SocketAddr::new(Ipv4Addr::from(server).into(), ports.1),
            )
        }
        (_, 0x21) => {
            let (client, server, ports) = ends::<16>(rest)?;
            carried(
                SocketAddr::new(Ipv6Addr::from(client).into(), ports.0),
                SocketAddr::new(Ipv6Addr::from(server).into(), ports.1),
            )
        }
        _ => Err(ProxyError::Family),
    }
}

type Ends<const N: usize> = ([u8; N], [u8; N], (u16, u16));

/// Both addresses and ports; what stands behind them is about the proxy.
fn ends<const N: usize>(bytes: &[u8]) -> Result<Ends<N>, ProxyError> {
    let split = || {
        let (client, rest) = bytes.split_first_chunk::<N>()?;
        let (server, rest) = rest.split_first_chunk::<N>()?;
        let (from, rest) = rest.split_first_chunk::<2>()?;
        let (to, _) = rest.split_first_chunk::<2>()?;
        let ports = (u16::from_be_bytes(*from), u16::from_be_bytes(*to));
        Some((*client, *server, ports))
    };
    split().ok_or(ProxyError::Malformed)
}

fn carried(client: SocketAddr, server: SocketAddr) -> Result<Progress, ProxyError> {
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    let (client, server) = (canonical(client), canonical(server));
    if is_nobodys(client.ip()) {
        return Err(ProxyError::Address);
    }
    Ok(Progress::Done(Header::Carried { client, server }))
}

/// Whether no client can have this address.
pub(crate) fn is_nobodys(address: IpAddr) -> bool {
    address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn carries(client: &str, server: &str) -> Progress {
        let [client, server] = [client, server].map(|end| end.parse().unwrap());
        Progress::Done(Header::Carried { client, server })
    }

    /// Version 2, as the proxy says it.
    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, family][..], &length, rest].concat()
    }

    /// As the driver does it: never more than is asked for.
    fn drive(input: &[u8]) -> (Result<Progress, ProxyError>, usize) {
        let mut taken = 0;
        loop {
            match read(&input[..taken]) {
                Ok(Progress::More(more)) => {
                    assert!(more > 0);
                    if taken + more > input.len() {
                        return (Ok(Progress::More(more)), taken);
                    }
                    taken += more;
                }
                ended => return (ended, taken),
            }
        }
    }

    fn samples() -> Vec<(Vec<u8>, Result<Progress, ProxyError>)> {
        let own = || Ok(Progress::Done(Header::Own));
        let v4 = [198, 51, 100, 7, 192, 0, 2, 1, 199, 56, 0, 25];
        let v4_with_tlv = [&v4[..], &[4, 0, 3, b'a', b'b', b'c']].concat();
        let mapped: Ipv6Addr = "::ffff:198.51.100.7".parse().unwrap();
        let v6 = [
            &mapped.octets()[..],
            &"2001:db8::25".parse::<Ipv6Addr>().unwrap().octets(),
            &[199, 56, 0, 25],
        ]
        .concat();
        vec![
            (
                b"PROXY TCP4 198.51.100.7 192.0.2.1 51000 25\r\n".to_vec(),
                Ok(carries("198.51.100.7:51000", "192.0.2.1:25")),
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::25 51000 465\r\n".to_vec(),
                Ok(carries("[2001:db8::7]:51000", "[2001:db8::25]:465")),
            ),
            (
                b"PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.1 1 25\r\n".to_vec(),
                Ok(carries("198.51.100.7:1", "192.0.2.1:25")),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), own()),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
                own(),
            ),
            (version_2(0, 0, b""), own()),
            (version_2(0, 0x11, &v4), own()),
            (version_2(1, 0, b"whatever"), own()),
            (
                version_2(1, 0x11, &v4),
                Ok(carries("198.51.100.7:51000", "192.0.2.1:25")),
            ),
            (
                version_2(1, 0x11, &v4_with_tlv),
                Ok(carries("198.51.100.7:51000", "192.0.2.1:25")),
            ),
            (
                version_2(1, 0x21, &v6),
                Ok(carries("198.51.100.7:51000", "[2001:db8::25]:25")),
            ),
        ]
    }

    #[test]
    fn a_header_in_both_versions_names_the_client_and_no_byte_behind_it_is_taken() {
        for (header, means) in samples() {
            let whole = [&header[..], b"EHLO c.example\r\n"].concat();
            assert_eq!(drive(&whole), (means, header.len()), "{header:?}");
            for cut in 0..header.len() {
                let (so_far, _) = drive(&header[..cut]);
                assert!(matches!(so_far, Ok(Progress::More(_))), "{header:?} {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_it_is_seen() {
        use ProxyError::{Address, Family, Malformed, NoHeader, TooLong};
        let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        let v4 = [198, 51, 100, 7, 192, 0, 2, 1, 199, 56, 0, 25];
        for (input, why) in [
            (b"EHLO c.example\r\n".to_vec(), NoHeader),
            (b"\x16\x03\x01\x02\x00".to_vec(), NoHeader),
            (b"proxy TCP4 1.2.3.4 1.2.3.5 1 2\r\n".to_vec(), NoHeader),
            (long, TooLong),
            (b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n".to_vec(), Malformed),
            (b"PROXY  TCP4 1.2.3.4 1.2.3.5 1 2\r\n".to_vec(), Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.5 1 2 3\r\n".to_vec(), Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.5 +1 2\r\n".to_vec(), Malformed),
            (b"PROXY TCP4 1.2.3.4 1.2.3.5 01 2\r\n".to_vec(), Malformed),
            (
                b"PROXY TCP4 1.2.3.4 1.2.3.5 65536 2\r\n".to_vec(),
                Malformed,
            ),
            (b"PROXY TCP4 ::1 1.2.3.5 1 2\r\n".to_vec(), Malformed),
            (b"PROXY TCP6 1.2.3.4 ::1 1 2\r\n".to_vec(), Malformed),
            (b"PROXY TCP4 1.2.3 1.2.3.5 1 2\r\n".to_vec(), Malformed),
            (b"PROXY TCP4 1.2.3.4\0 1.2.3.5 1 2\r\n".to_vec(), Malformed),
            (b"PROXY UNKNOWN\r \r\n".to_vec(), Malformed),
            (b"PROXY TCP4 0.0.0.0 1.2.3.5 1 2\r\n".to_vec(), Address),
            (b"PROXY TCP6 ff02::1 ::1 1 2\r\n".to_vec(), Address),
            (version_2(2, 0x11, &v4), Malformed),
            (version_2(1, 0x11, &v4[..11]), Malformed),
            (version_2(1, 0x21, &v4), Malformed),
            (version_2(1, 0x12, &v4), Family),
            (version_2(1, 0x31, &[0; 216]), Family),
            (version_2(1, 0x11, &[0; 5000]), TooLong),
            ([SIGNATURE, &[0x11, 0x11, 0, 0][..]].concat(), Malformed),
        ] {
            assert_eq!(drive(&input).0, Err(why), "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it_and_it_never_asks_for_more_than_a_header(
            start in 0_usize..4,
            tail in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let starts: [&[u8]; 4] = [b"", WORD, b"PROXY TCP4 ", SIGNATURE];
            let input = [starts[start], &tail].concat();
            for end in 0..=input.len() {
                if let Ok(Progress::More(more)) = read(&input[..end]) {
                    prop_assert!(more > 0 && end + more <= MAX_BINARY);
                }
            }
            let (_, taken) = drive(&input);
            prop_assert!(taken <= input.len());
        }
    }
}
