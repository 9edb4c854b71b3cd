//! `cargo demo [--remove]`: the whole way of a message with the programs built a moment ago. See
//! `tests::demo`.
#![expect(clippy::print_stdout, reason = "it tells its story to the terminal")]

use std::io;

use anyhow::{Context as _, ensure};
use tests::{binaries::binaries, demo};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ensure!(
        words.iter().all(|word| word == "--remove"),
        "cargo demo [--remove]: with --remove nothing is left of it"
    );
    let directory = tempfile::Builder::new()
        .prefix("mail-demo-")
        .tempdir()
        .context("no temporary directory")?;
    let told = demo::run(directory.path(), binaries(), &mut io::stdout());
    if words.is_empty() || told.is_err() {
        let kept = directory.keep();
        println!(
            "\nEverything is kept in {} (logs, queues, configurations).",
            kept.display()
        );
    }
    told
}
