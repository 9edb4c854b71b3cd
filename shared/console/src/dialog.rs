//! A guided set-up: questions one after the other in a terminal, or answered beforehand as
//! `KEY=VALUE`.
//!
//! Contract: what was answered beforehand is not asked; with `yes` the rest has its proposed
//! answer. An answer that cannot be used is told and asked again, or fails where nobody is there to
//! answer again. An empty line is the proposed answer, `-` is none.
//! Failures: a text. The end of the input (Ctrl-D) is one: nothing was decided.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write};

use crate::target::Target;

/// Longest answer, bytes.
const MOST: u64 = 4096;

/// One thing that only an administrator knows.
#[derive(Clone, Debug)]
pub struct Question {
    pub key: &'static str,
    pub text: &'static str,
    /// More about it, in lines.
    pub help: &'static str,
    /// What is proposed; empty: nothing.
    pub proposed: String,
}

/// Where questions are asked.
pub struct Dialog<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
    /// Somebody is there.
    people: bool,
    /// What is proposed is taken.
    yes: bool,
    given: Vec<(String, String)>,
    /// Keys that were asked for.
    asked: Vec<&'static str>,
}

/// Whether somebody can be asked.
pub fn people() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What was answered beforehand, and to what there can be answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answers<'a> {
    given: Vec<(String, String)>,
    keys: &'a [&'a str],
}

impl<'a> Answers<'a> {
    /// Of the words of a command line, each `KEY=VALUE` with one of these keys; the error is about
    /// the command line.
    pub fn of(words: &[String], keys: &'a [&'a str]) -> Result<Self, String> {
        let parted = words.iter().map(|word| {
            let (key, value) = word.split_once('=').ok_or_else(|| {
                let keys = keys.join(", ");
                format!("{word:?}: write KEY=VALUE; the keys are {keys}")
            })?;
            if !keys.contains(&key) {
                let keys = keys.join(", ");
                return Err(format!(
                    "{word:?}: {key:?} is not asked; the keys are {keys}"
                ));
            }
            Ok((key.to_owned(), value.to_owned()))
        });
        let given = parted.collect::<Result<Vec<(String, String)>, String>>()?;
        let mut before = given.iter().enumerate();
        if let Some((_, (key, _))) =
            before.find(|(at, (key, _))| given.iter().take(*at).any(|(other, _)| other == key))
        {
            return Err(format!(
                "{key} is answered twice: write its values as one answer"
            ));
        }
        Ok(Self { given, keys })
    }
}

impl<'a> Dialog<'a> {
    pub fn new(
        (input, output): (&'a mut dyn BufRead, &'a mut dyn Write),
        people: bool,
        yes: bool,
        answers: Answers<'_>,
    ) -> Result<Self, String> {
        let Answers { given, keys } = answers;
        if !people && !yes {
            let keys = keys.join(", ");
            return Err(format!(
                "there is no terminal to ask questions on: answer with KEY=VALUE ({keys}), and \
                 add --yes to accept the rest and write"
            ));
        }
        Ok(Self {
            input,
            output,
            people: people && !yes,
            yes,
            given,
            asked: Vec::new(),
        })
    }

    /// Whether somebody answers.
    pub fn is_asking(&self) -> bool {
        self.people
    }

    /// Who has gone does not read it.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.output, "{text}");
    }

    /// The answer, which `check` has nothing against; empty: none.
    pub fn ask(
        &mut self,
        question: &Question,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<String, String> {
        let Question { key, proposed, .. } = question;
        self.asked.push(key);
        if let Some((_, given)) = self.given.iter().find(|(it, _)| it == key) {
            check(given).map_err(|why| format!("{key}: {why}"))?;
            return Ok(given.clone());
        }
        if !self.people {
            check(proposed).map_err(|why| format!("{key}: {why}; answer with {key}=VALUE"))?;
            return Ok(proposed.clone());
        }
        self.say(&format!("\n{}\n{}", question.text, question.help));
        loop {
            let answer = match self.line(&format!("{key} [{proposed}]: "))?.as_str() {
                "" => proposed.clone(),
                "-" => String::new(),
                answer => answer.to_owned(),
            };
            match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(why) => self.say(&why),
            }
        }
    }

    /// That every answer was used which was given beforehand: one to what is not asked, as the
    /// others are, would be lost.
    pub fn all_used(&self) -> Result<(), String> {
        let mut given = self.given.iter().map(|(key, _)| key);
        match given.find(|key| !self.asked.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(format!(
                "{key} does not apply with the other answers: leave it out, or answer the \
                 question that it depends on"
            )),
        }
    }

    /// Yes or no; `usual` is what an empty line and `yes` mean.
    pub fn agree(&mut self, text: &str, usual: bool) -> Result<bool, String> {
        if self.yes {
            return Ok(usual);
        }
        let choice = if usual { "[Y/n]" } else { "[y/N]" };
        loop {
            match self
                .line(&format!("{text} {choice} "))?
                .to_lowercase()
                .as_str()
            {
                "" => return Ok(usual),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.say("y or n?"),
            }
        }
    }

    /// Whether a file may be replaced in the end. `force`: whatever is in it.
    pub fn may_replace(&mut self, target: &Target<'_>, force: bool) -> Result<bool, String> {
        match target.is_own().filter(|_| !force) {
            None => Ok(true),
            Some(why) if self.yes => Err(format!("{why}: --force replaces it, and keeps a copy")),
            Some(why) => self.agree(
                &format!("{why}. Replace it at the end, and keep a copy?"),
                false,
            ),
        }
    }

    fn line(&mut self, prompt: &str) -> Result<String, String> {
        let told = write!(self.output, "{prompt}").and_then(|()| self.output.flush());
        let mut line = Vec::new();
        told.and_then(|()| (&mut *self.input).take(MOST).read_until(b'\n', &mut line))
            .map_err(|error| format!("the terminal cannot be read: {error}"))?;
        if line.pop() != Some(b'\n') {
            return Err("no answer: nothing was written".to_owned());
        }
        let line = String::from_utf8(line).map_err(|_| "that is no UTF-8".to_owned())?;
        Ok(line.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[&str] = &["name", "to"];

    fn question(proposed: &str) -> Question {
        Question {
            key: "name",
            text: "Its name",
            help: "Like a.example.",
            proposed: proposed.to_owned(),
        }
    }

    fn no_blank(text: &str) -> Result<(), String> {
        if text.is_empty() || text.contains(' ') {
            return Err("one word".to_owned());
        }
        Ok(())
    }

    fn asked(
        typed: &str,
        (people, yes): (bool, bool),
        given: &[&str],
    ) -> (Result<String, String>, String) {
        let given: Vec<_> = given.iter().map(|it| (*it).to_owned()).collect();
        let (mut input, mut output) = (typed.as_bytes(), Vec::new());
        let answers = Answers::of(&given, KEYS);
        let dialog = answers.and_then(|it| Dialog::new((&mut input, &mut output), people, yes, it));
        let answer = dialog.and_then(|mut dialog| dialog.ask(&question("here"), &no_blank));
        (answer, String::from_utf8(output).unwrap())
    }

    #[test]
    fn an_answer_is_asked_for_until_it_can_be_used_and_an_empty_line_is_what_is_proposed() {
        let (answer, said) = asked("a b\n-\n there \n", (true, false), &[]);
        assert_eq!(answer.as_deref(), Ok("there"));
        assert_eq!(said.matches("one word\n").count(), 2, "{said}");
        assert!(
            said.contains("Its name\nLike a.example.\nname [here]: "),
            "{said}"
        );
        assert_eq!(asked("\n", (true, false), &[]).0.as_deref(), Ok("here"));
        for cut in ["", "half a li", "\u{4}"] {
            let (answer, _) = asked(cut, (true, false), &[]);
            assert!(
                answer.unwrap_err().contains("nothing was written"),
                "{cut:?}"
            );
        }
        let long = "x".repeat(10_000) + "\n";
        assert!(asked(&long, (true, false), &[]).0.is_err());
    }

    #[test]
    fn scripts_answer_beforehand_and_nobody_is_waited_for_without_a_terminal() {
        let (answer, said) = asked("", (false, true), &["name=x"]);
        assert_eq!((answer.as_deref(), said.as_str()), (Ok("x"), ""));
        assert_eq!(asked("", (true, true), &[]).0.as_deref(), Ok("here"));
        assert_eq!(asked("", (true, false), &["name=x"]).0.as_deref(), Ok("x"));
        let refused = |way, given: &[&str]| asked("", way, given).0.unwrap_err();
        assert!(refused((false, false), &[]).contains("no terminal"));
        assert!(refused((false, true), &["name=a b"]).contains("name: one word"));
        let twice = refused((false, true), &["name=x", "name=y"]);
        assert!(twice.contains("name is answered twice"), "{twice}");
        for wrong in ["nam=x", "name", ""] {
            let told = refused((false, true), &[wrong]);
            assert!(told.contains("the keys are name, to"), "{told}");
        }
    }

    #[test]
    fn nothing_is_agreed_to_but_by_yes() {
        let agreed = |typed: &str, usual| {
            let (mut input, mut output) = (typed.as_bytes(), Vec::new());
            let answers = Answers::of(&[], KEYS).unwrap();
            let dialog = Dialog::new((&mut input, &mut output), true, false, answers);
            dialog.unwrap().agree("Write it?", usual)
        };
        assert_eq!(agreed("\n", true), Ok(true));
        assert_eq!(agreed("\n", false), Ok(false));
        assert_eq!(agreed("what\nYES\n", false), Ok(true));
        assert_eq!(agreed("n\n", true), Ok(false));
        assert!(agreed("", true).is_err());
    }
}
