//! `KEY=VALUE` as typed, of which the value may be a secret: what is wrong with a word is told
//! without it, where clap would quote all of it.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{StringValueParser, TypedValueParser},
    error::ErrorKind,
};
use settings::layers;

/// Reads an answer to one of the package's questions.
#[derive(Clone, Copy, Debug)]
pub struct AnswerParser;

impl TypedValueParser for AnswerParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        typed: &OsStr,
    ) -> Result<String, Error> {
        let typed = StringValueParser::new().parse_ref(command, argument, typed)?;
        let wrong = |why| Error::raw(ErrorKind::ValueValidation, format!("{why}\n"));
        layers::answer(&typed).map_err(|why| wrong(why).with_cmd(command))
    }
}
