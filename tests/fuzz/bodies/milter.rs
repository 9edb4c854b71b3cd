//! A filter's answers to each step of a message. The first four bytes are the steps that it does
//! without, the fifth cuts the packets.
use std::{path::Path, sync::LazyLock, time::Instant};

use mail::message::Header;
use smarthost::{
    config::Config,
    milter::{Action, Dialog, EditedHeader, Event, Macros, Milter, Outcome, Stage},
};

/// As the configuration has one.
static MILTER: LazyLock<Milter> = LazyLock::new(|| {
    let text = "milters = [\"inet:127.0.0.1:1\"]";
    let config = Config::parse(Path::new("/etc/smarthost/config.toml"), text, "localhost");
    config.expect("it is right").milters.remove(0)
});

const HEADER: &[u8] =
    b"Received: ours\r\nReceived: theirs\r\nFrom: a\r\nnonsense\r\nTo:\tb\r\n c\r\n";

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let Some((steps, [cut, answers @ ..])) = input.split_first_chunk::<4>() else {
        return;
    };
    let now = Instant::now();
    let mut dialog = Dialog::new(&MILTER, now);
    let offer = [&[0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff], &steps[..]].concat();
    dialog.handle(Event::Opened, now);
    dialog.handle(Event::Received(&offer), now);
    assert_eq!(outcomes(&mut dialog, &mut EditedHeader::default()), 1);
    let mut header = EditedHeader::new(Header::parse(HEADER), 0);
    let mail = ["<a@ham.example>".to_owned()];
    let mut rest = answers.chunks(usize::from(*cut).max(1));
    for stage in [
        Stage::Helo("x"),
        Stage::Mail(&mail),
        Stage::Recipient(&mail),
        Stage::Data,
        Stage::Header {
            name: "X",
            value: b" y\r\n\tz",
        },
        Stage::EndOfHeader,
        Stage::Body(b"body\r\n"),
        Stage::EndOfMessage,
    ] {
        dialog.handle(Event::Tell(stage, &Macros::default()), now);
        let mut done = outcomes(&mut dialog, &mut header);
        while done == 0 {
            match rest.next() {
                Some(piece) => dialog.handle(Event::Received(piece), now),
                None => dialog.handle(Event::TimedOut, now),
            }
            done = outcomes(&mut dialog, &mut header);
        }
        assert_eq!(done, 1, "one outcome for each question");
    }
    dialog.handle(Event::MessageOver, now);
    dialog.handle(Event::Quit, now);
    assert_eq!(outcomes(&mut dialog, &mut header), 0);
}

fn outcomes(dialog: &mut Dialog, header: &mut EditedHeader) -> usize {
    let mut outcomes = 0;
    while let Some(action) = dialog.next_action() {
        match action {
            Action::Edit(edit) => {
                header.edit(&edit, dialog.leading_blank());
                let bytes = header.clone().into_header().to_bytes();
                assert_eq!(Header::parse(&bytes), header.clone().into_header());
                assert!(
                    !bytes.contains(&0) && bytes.windows(14).any(|part| part == b"Received: ours")
                );
            }
            Action::Done(outcome) => {
                outcomes += 1;
                if let Outcome::Refuse(reply) | Outcome::Close(reply) = outcome {
                    assert!((400..600).contains(&reply.code.value()));
                    let mut wire = Vec::new();
                    reply.encode(&mut wire);
                    let ends = wire.windows(2).filter(|pair| pair == b"\r\n").count();
                    assert_eq!(ends, reply.lines.len());
                }
            }
            Action::Send(_) | Action::Hold(_) | Action::Failed(_) => {}
        }
    }
    outcomes
}
