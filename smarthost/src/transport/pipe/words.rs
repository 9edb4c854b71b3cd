//! The program that an alias names, as words: no shell reads it. Pure.
//!
//! Contract: blanks divide; single and double quotes and the backslash keep together, as in a
//! shell. Nothing else means anything.
//! Failures: what only a shell could do (pipes, redirections, variables, patterns), and a program
//! without its whole path.

/// What is left to a shell where it is not quoted.
const SHELL: &str = "|&;<>()$`*?[]{}~#\n";

/// The words of a command.
pub(crate) fn split(command: &str) -> Result<Vec<String>, String> {
    let wrong = |why: &str| Err(format!("`|{}`: {why}", command.escape_debug()));
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' | '"' => {
                let inside = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        None => return wrong("a quote is not closed"),
                        Some(end) if end == character => break,
                        Some('\\') if character == '"' => inside.extend(characters.next()),
                        Some('$' | '`') if character == '"' => return wrong(NO_SHELL),
                        Some(other) => inside.push(other),
                    }
                }
            }
            '\\' => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return wrong("nothing follows the backslash"),
            },
            shell if SHELL.contains(shell) => return wrong(NO_SHELL),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    match words.first() {
        Some(program) if program.starts_with('/') => Ok(words),
        Some(_) => wrong("write the program's whole path, from / on"),
        None => wrong("no program is named"),
    }
}

const NO_SHELL: &str = "no shell reads it, so that nothing of a message can be a command; write a script that does it, and name that";

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn an_aliass_program_is_split_into_words_and_no_shell_reads_it() {
        for (command, words) in [
            (
                "/var/lib/mailman/mail/mailman post list",
                &["/var/lib/mailman/mail/mailman", "post", "list"][..],
            ),
            (
                "/usr/bin/answer --from 'Gifts <g@x.example>' \"a \\\"b\\\"\"",
                &[
                    "/usr/bin/answer",
                    "--from",
                    "Gifts <g@x.example>",
                    "a \"b\"",
                ],
            ),
            ("/a\\ b  ''", &["/a b", ""]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
        for command in [
            "/usr/bin/a | /bin/sh",
            "/usr/bin/a > /tmp/x",
            "/usr/bin/a $HOME",
            "/usr/bin/a \"`id`\"",
            "/usr/bin/a || exit 75",
            "exec /usr/bin/a",
            "IFS=' ' && /a",
            "a",
            "",
            "'/a",
            "/a \\",
        ] {
            assert!(split(command).is_err(), "{command}");
        }
    }
}
