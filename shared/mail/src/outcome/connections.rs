//! Whether a peer says that it has too many connections of ours, in whatever words.
//!
//! Contract: what it says of messages, recipients, errors or time in a session is something else,
//! and so is what it quotes of another server.

/// The words of a reply, in lower case.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

fn begins(word: &str, with: &[&str]) -> bool {
    with.iter().any(|beginning| word.starts_with(beginning))
}

fn is_connection(word: &str) -> bool {
    begins(word, &["connection", "session", "conn"]) && !word.starts_with("connected")
}

/// Row C7.
pub(super) fn too_many(text: &str) -> bool {
    let own = text.split(" said: ").next().unwrap_or_default();
    let words = words(own);
    if words.iter().any(|word| begins(word, &["time", "idle"])) {
        return false;
    }
    let after = |at: usize, count: usize| words.iter().skip(at + 1).take(count);
    words.iter().enumerate().any(|(at, word)| match &**word {
        "many" => {
            let other = [
                "message",
                "mail",
                "recipient",
                "command",
                "error",
                "in",
                "on",
                "per",
            ];
            let mut named = after(at, 4).take_while(|word| !begins(word, &other));
            named.any(|word| is_connection(word) || begins(word, &["concurren", "simultan"]))
        }
        word if begins(word, &["concurren", "simultan", "parallel"]) => {
            let mut around = words.iter().skip(at.saturating_sub(4)).take(9);
            around.any(|word| is_connection(word) || begins(word, &["limit", "smtp"]))
        }
        word if begins(word, &["max", "exceed"]) => {
            after(at, 4).any(|word| begins(word, &["connections", "sessions", "connection"]))
        }
        word if begins(word, &["connection", "conn"]) => after(at, 3)
            .any(|word| begins(word, &["limit", "exceed", "maximum", "reached", "quota"])),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::too_many;

    #[test]
    fn too_many_connections_are_understood_in_the_words_of_many_providers() {
        for text in [
            "421 4.7.0 Too many connections",
            "421 mwinf5c22 ME Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR004_104",
            "421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing transmission channel",
            "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded: concurrent connections",
            "451 4.7.1 Too many concurrent SMTP connections from your IP address; please try again later",
            "450 4.7.1 client exceeded the maximum number of connections",
            "421 4.7.0 mx.example Error: too many sessions from 192.0.2.1",
            "452 4.3.1 Connection limit reached",
            "421 Max connections reached",
            "421 too many simultaneous sessions",
            "421 4.4.5 Too many SMTP connections on this host, try later",
            "421 concurrency limit for your network",
        ] {
            assert!(too_many(text), "{text}");
        }
    }

    #[test]
    fn other_reasons_to_wait_say_nothing_about_connections() {
        for text in [
            "421 4.7.0 Too many messages in this session",
            "421 4.7.0 mx.example Error: too many errors on this connection",
            "421 4.4.2 mx.example Error: timeout exceeded, closing connection",
            "421 4.4.2 Connection timed out: session time limit",
            "452 4.5.3 Too many recipients received this session",
            "450 4.2.0 greylisted, this connection is closed",
            "450 4.7.1 rate limit exceeded",
            "421 Service not available, closing connection",
            "450 4.2.2 mailbox quota exceeded",
            "450 4.1.1 unverified address: host mx.example said: 421 4.7.0 Too many connections",
        ] {
            assert!(!too_many(text), "{text}");
        }
    }
}
