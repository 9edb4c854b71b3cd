//! What a server presents in a handshake, and what an administrator writes as a pin.
use relay::trust::{PeerKey, Pin, public_key};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let key = public_key(input);
    assert_eq!(key.is_some(), PeerKey::of_certificate(input).is_some());
    if let Some(key) = key {
        assert!(
            input.windows(key.len()).any(|window| window == key),
            "the key is taken out of the certificate"
        );
    }
    if let Ok(text) = str::from_utf8(input)
        && let Ok(pin) = Pin::parse(text)
    {
        assert_eq!(Pin::parse(&pin.to_string()).ok(), Some(pin));
    }
}
