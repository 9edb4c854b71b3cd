//! What a filter is told, as packets.

use std::net::IpAddr;

use super::{
    options::{Options, Step},
    packet::{self, PAYLOAD},
};

/// A step of a session, with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub enum Stage<'a> {
    /// The client's name, or its address in brackets.
    Connect {
        name: &'a str,
        address: IpAddr,
        port: u16,
    },
    Helo(&'a str),
    /// `<address>`, then each parameter as it is written.
    Mail(&'a [String]),
    Recipient(&'a [String]),
    Data,
    /// A field: its name, and all behind the colon, CRLFs included but for the last.
    Header {
        name: &'a str,
        value: &'a [u8],
    },
    EndOfHeader,
    /// A piece of the body, at most [`PAYLOAD`] bytes.
    Body(&'a [u8]),
    EndOfMessage,
}

impl Stage<'_> {
    pub(super) const fn step(&self) -> Step {
        match self {
            Self::Connect { .. } => Step::CONNECT,
            Self::Helo(_) => Step::HELO,
            Self::Mail(_) => Step::MAIL,
            Self::Recipient(_) => Step::RECIPIENT,
            Self::Data => Step::DATA,
            Self::Header { .. } => Step::HEADER,
            Self::EndOfHeader => Step::END_OF_HEADER,
            Self::Body(_) => Step::BODY,
            Self::EndOfMessage => Step::END_OF_MESSAGE,
        }
    }

    /// It is about the session, not about a message.
    pub(super) const fn is_of_session(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Helo(_))
    }

    /// The message's content comes, for which filters take their time.
    pub(super) const fn is_content(&self) -> bool {
        matches!(
            self,
            Self::Header { .. } | Self::EndOfHeader | Self::Body(_) | Self::EndOfMessage
        )
    }

    pub(super) fn write(&self, out: &mut Vec<u8>, options: &Options) {
        let mut payload = Vec::new();
        match self {
            Self::Connect {
                name,
                address,
                port,
            } => {
                packet::string(&mut payload, name.as_bytes());
                payload.push(if address.is_ipv4() { b'4' } else { b'6' });
                payload.extend_from_slice(&port.to_be_bytes());
                packet::string(&mut payload, address.to_string().as_bytes());
            }
            Self::Helo(name) => packet::string(&mut payload, name.as_bytes()),
            Self::Mail(arguments) | Self::Recipient(arguments) => {
                for argument in *arguments {
                    packet::string(&mut payload, argument.as_bytes());
                }
            }
            Self::Header { name, value } => field(&mut payload, name, value, options),
            Self::Body(piece) => payload.extend_from_slice(piece),
            Self::Data | Self::EndOfHeader | Self::EndOfMessage => {}
        }
        packet::write(out, self.step().letter, &payload);
    }
}

/// Lines of a folded value are parted by LF, and without `SMFIP_HDR_LEADSPC` it has lost the blank
/// behind the colon, as filters know it of Sendmail. What is too long for a packet is cut: the
/// filter sees its beginning, and the message keeps all of it.
fn field(payload: &mut Vec<u8>, name: &str, value: &[u8], options: &Options) {
    packet::string(payload, name.as_bytes());
    let value = match value.strip_prefix(b" ") {
        Some(rest) if !options.leading_blank() => rest,
        _ => value,
    };
    let room = PAYLOAD.saturating_sub(payload.len()).saturating_sub(1);
    let lines = value.iter().filter(|byte| !matches!(byte, b'\r' | 0));
    payload.extend(lines.take(room));
    payload.push(0);
}
