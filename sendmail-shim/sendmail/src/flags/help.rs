//! The option table as text, for `sendmail --help`.

use std::fmt::Write as _;

use super::table::{Argument, FLAGS, Flag};

/// Usage, then a line an option, grouped by what becomes of it.
pub fn text() -> String {
    let mut out = String::from(
        "usage: sendmail [OPTION]... [RECIPIENT]... < MESSAGE\n\n\
         Submits a message. Exit status 0: it is safe on disk, or the relayhost has it; 64 usage, 65 bad address or\n\
         message, 67 no such user, 69 refused, 75 not taken, try again; 78 configuration.\n\
         Administrators: see `sendmail-shim --help`.\n",
    );
    for support in ["honoured", "accepted and ignored", "refused"] {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\nOptions {support}:");
        for flag in FLAGS.iter().filter(|f| f.effect.support() == support) {
            let _ = writeln!(out, "  {:<32} {}", usage(flag), flag.help);
        }
    }
    out
}

/// `-f ADDRESS`
pub fn usage(flag: &Flag) -> String {
    match flag.argument {
        Argument::None => format!("-{}", flag.name),
        Argument::Required(value) => format!("-{} {value}", flag.name),
        Argument::Attached(value) => format!("-{}{value}", flag.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_one_row_and_stands_in_the_help_with_a_sentence() {
        let help = text();
        for flag in FLAGS {
            assert!(help.contains(&usage(flag)), "{}", flag.name);
            assert!(
                flag.help.ends_with('.') && flag.help.len() > 5,
                "{}",
                flag.name
            );
            assert_eq!(
                FLAGS.iter().filter(|other| other.name == flag.name).count(),
                1,
                "{}",
                flag.name
            );
        }
    }
}
