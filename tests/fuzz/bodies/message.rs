//! What a program pipes into `sendmail`: intake, then the header. The first byte chooses the
//! pieces.
use mail::message::{Header, intake::Intake, recipients};
use smtp::data::{Checker, Encoder};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let [piece, input @ ..] = input else { return };
    let canonical = take_in(input, usize::MAX);
    assert_eq!(
        take_in(input, usize::from(*piece).max(1)),
        canonical,
        "pieces change nothing"
    );
    assert_eq!(
        take_in(&canonical, usize::MAX),
        canonical,
        "put in again, it comes out unchanged"
    );

    let mut checker = Checker::default();
    checker.check(&canonical).expect("CRLF lines");
    assert_eq!(checker.finish(), Ok(false), "the last line is complete");
    let mut wire = Vec::new();
    Encoder::default()
        .encode(&canonical, &mut wire)
        .expect("it can be sent");

    let end = canonical
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(0, |at| at + 2);
    let mut header = Header::parse(&canonical[..end]);
    assert_eq!(
        header.to_bytes(),
        &canonical[..end],
        "fields are kept byte for byte"
    );
    let _ = recipients::extract(&header);
    recipients::withhold(&mut header);
    assert!(header.first("Bcc").is_none());
}

fn take_in(input: &[u8], piece: usize) -> Vec<u8> {
    let (mut intake, mut out) = (Intake::default(), Vec::new());
    input
        .chunks(piece)
        .for_each(|piece| intake.feed(piece, &mut out));
    intake.finish(&mut out);
    out
}
