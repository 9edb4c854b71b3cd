//! What the other services of the network say that a smarthost asks, and who stands in front of it:
//! PROXY headers, XCLIENT, policy servers, MTA-STS.
use mail::clock::Timestamp;
use smarthost::{
    mta_sts::{Known, record},
    policy::service,
};
use smtp::{command::xclient::xclient, proxy};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    proxy_header(input);
    if let Ok(Some(action)) = service::answer(input) {
        assert!(!action.contains('\n'), "an action is one line");
        let whole = service::answer(&[b"action=", action.as_bytes(), b"\n\n"].concat());
        assert_eq!(whole, Ok(Some(action)), "it is read back");
    }
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let _ = xclient(text);
    let texts: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if let Some(id) = record::id(&texts) {
        let now = Timestamp::from_secs(1_800_000_000);
        if let Ok(known) = Known::new(id, text, now) {
            assert_eq!(
                Known::of_file(&known.to_file()),
                Some(known),
                "kept as it was served"
            );
        }
    }
}

/// As the daemon reads it: never a byte more than was asked for.
fn proxy_header(input: &[u8]) {
    let mut length = 0;
    loop {
        match proxy::read(&input[..length]) {
            Ok(proxy::Progress::More(more)) => {
                assert!(more > 0, "it asks for something, or is done");
                length += more;
                assert!(length <= 8192, "bounded");
                if length > input.len() {
                    return;
                }
            }
            Ok(proxy::Progress::Done(_)) | Err(_) => return,
        }
    }
}
