//! Access tokens of OAuth 2.0 for the relayhost: from a program or a file, kept while they are
//! good.
//!
//! Contract: the program has no shell, [`PATIENCE`], and [`LONGEST`] bytes; of our environment it
//! gets `CREDENTIALS_DIRECTORY` alone. What it prints is a token, or JSON as token servers answer
//! (RFC 6749 §5.1: `access_token`, `expires_in`); a token that says when it ends is kept until
//! shortly before, another for [`UNSAID`]. A file is read each time. One fetches, others wait for
//! it, and get what it got, token or failure: a program that hangs keeps nobody longer.
//! Failures: a text without the token, and without what the program has said: that may quote its
//! arguments, and the text goes to whoever's mail waits. What it said is for the log and for
//! administrators ([`complaint`]), without its arguments and what looks like a token: logs and
//! status are shown to others.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mail::{
    masked,
    outcome::{Failure, Stage, escape},
};
use serde::Deserialize;
use settings::rows::{list, path};
use smtp::sasl::{Credentials, Secret};
use system::{
    log::{Level, line},
    program::{self, End, Program},
    secret,
};

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest answer, bytes: tokens have two or three thousand.
const LONGEST: usize = 16 * 1024;
/// How long a token is kept that does not say how long it is good.
const UNSAID: Duration = Duration::from_mins(5);
/// So much before its end a token is fetched anew, or a tenth of its life.
const MARGIN: Duration = Duration::from_mins(2);
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Where tokens come from: `{ command = ["/usr/local/bin/token"] }` or `{ file = "token" }`.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Command(Words),
    File(#[serde(deserialize_with = "settings::secret_file")] PathBuf),
}

/// As a setting is written, in TOML.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => write!(f, "{{ command = {} }}", list(words.as_slice())),
            Self::File(file) => write!(f, "{{ file = {} }}", path(file)),
        }
    }
}

/// A program and its arguments.
#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(try_from = "Written")]
pub struct Words(Vec<String>);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a program's whole path and its arguments, as a list"
)]
enum Written {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Written> for Words {
    type Error = &'static str;
    fn try_from(written: Written) -> Result<Self, &'static str> {
        let words = match written {
            Written::One(line) if line.contains(char::is_whitespace) => {
                return Err(
                    "write a list of words: [\"/usr/local/bin/token\", \"argument\"]; no shell reads \
                     them, so that nothing takes this text apart",
                );
            }
            Written::One(program) => vec![program],
            Written::Many(words) => words,
        };
        match words.first() {
            Some(program) if program.starts_with('/') => Ok(Self(words)),
            _ => Err("write the program's full path first, then its arguments: \
                 [\"/usr/local/bin/token\", \"argument\"]; no shell reads them"),
        }
    }
}

impl Words {
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// What the last run of a program came to.
struct Kept {
    source: Source,
    token: Result<String, String>,
    /// How long the token is good, or when the program failed.
    until: Instant,
}

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
static SAID: Mutex<Option<String>> = Mutex::new(None);

fn kept() -> MutexGuard<'static, Option<Kept>> {
    lock(&KEPT)
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the program said when it failed last, until it works: for administrators alone.
pub fn complaint() -> Option<String> {
    lock(&SAID).clone()
}

/// It has failed with these words, or works; the log hears what is new.
fn said(complaint: Option<String>) {
    let mut known = lock(&SAID);
    if let Some(text) = complaint.as_ref().filter(|it| known.as_ref() != Some(it)) {
        line(Level::Warning, text);
    }
    *known = complaint;
}

impl Kept {
    /// The answer to who has waited for it since `came`.
    fn answer(
        &self,
        source: &Source,
        came: Instant,
        now: Instant,
    ) -> Option<Result<String, String>> {
        let since = if self.token.is_ok() { now } else { came };
        (self.source == *source && self.until > since).then(|| self.token.clone())
    }
}

/// User and token. Blocks.
pub fn credentials(user: &str, source: &Source) -> Result<Credentials, String> {
    Ok(Credentials {
        user: user.to_owned(),
        secret: Secret::Token(token(source)?),
    })
}

/// Whether a refusal is about a token that another fetch may mend; then the one that is kept is
/// forgotten.
pub fn is_stale(credentials: Option<&Credentials>, failure: &Failure) -> bool {
    let Some(Credentials {
        secret: Secret::Token(token),
        ..
    }) = credentials
    else {
        return false;
    };
    let refused = failure.reply.is_some_and(|code| code.value() >= 500);
    if failure.stage != Stage::Auth || !refused {
        return false;
    }
    // Somebody else may have fetched another meanwhile.
    kept().take_if(|kept| kept.token.as_ref() == Ok(token));
    true
}

fn token(source: &Source) -> Result<String, String> {
    match source {
        Source::File(path) => {
            let text = secret::text(path)?;
            let answer = read(&text).map_err(|why| format!("{}: {why}", path.display()))?;
            Ok(answer.0)
        }
        Source::Command(words) => {
            let came = Instant::now();
            let mut kept = kept();
            let known = kept.as_ref();
            if let Some(known) = known.and_then(|it| it.answer(source, came, Instant::now())) {
                return known;
            }
            let (token, life) = match fetch(&words.0) {
                Ok((token, life)) => {
                    said(None);
                    (Ok(token), life)
                }
                Err(failed) => {
                    said(failed.said);
                    (Err(failed.why), Some(Duration::ZERO))
                }
            };
            let life = life.map_or(UNSAID, |life| life.saturating_sub(MARGIN.min(life / 10)));
            let until = Instant::now().checked_add(life);
            *kept = until.map(|until| Kept {
                source: source.clone(),
                token: token.clone(),
                until,
            });
            token
        }
    }
}

/// Why there is no token.
struct Failed {
    why: String,
    /// The same with what the program said, if it said anything.
    said: Option<String>,
}

fn fetch(words: &[String]) -> Result<(String, Option<Duration>), Failed> {
    let name = words.first().map_or("", String::as_str);
    let mut environment = vec![("PATH", PATH.to_owned()), ("LANG", "C.UTF-8".to_owned())];
    if let Some(directory) = secret::credentials_directory() {
        environment.push(("CREDENTIALS_DIRECTORY", directory.display().to_string()));
    }
    let program = Program {
        arguments: words.iter().map(OsString::from).collect(),
        environment,
        directory: Path::new("/"),
        timeout: PATIENCE,
        kept: LONGEST,
        errors_apart: true,
    };
    let ended = program::run(&program, &mut io::empty());
    let tell = |why: &str| format!("{name}: {}", escape(why.as_bytes(), 300));
    let why = match ended.end {
        End::Exited(status) if status.success() => match ended.output.len() {
            LONGEST => "it prints too much for a token".to_owned(),
            _ => match read(&String::from_utf8_lossy(&ended.output)) {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            },
        },
        End::Exited(status) => {
            let how = status.code().map(|code| format!("exit status {code}"));
            let how = how.unwrap_or_else(|| status.to_string());
            format!("the token program failed ({how})")
        }
        End::Stopped => "it was stopped, because this program ends".to_owned(),
        End::TimedOut => format!("it takes more than {} seconds", PATIENCE.as_secs()),
        End::Failed(error) => error.to_string(),
    };
    let [errors, printed] = [&ended.errors, &ended.output].map(|it| String::from_utf8_lossy(it));
    let said = without_secrets(&errors, words, &printed);
    let said = Some(said.trim()).filter(|said| !said.is_empty());
    Err(Failed {
        said: said.map(|said| tell(&format!("{why}; it said: {said}"))),
        why: tell(&why),
    })
}

/// What a program said, without what it was called with, what it has printed, and whatever else
/// looks like a token.
fn without_secrets(said: &str, words: &[String], printed: &str) -> String {
    let given = words.iter().skip(1).map(String::as_str);
    let given: Vec<&str> = given.chain(masked::printed(printed)).collect();
    masked::tokens(&masked::said(said, &given))
}

/// What a token server answers.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// Some write the number as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// A token, and how long it is good, if that is said.
fn read(text: &str) -> Result<(String, Option<Duration>), String> {
    let text = text.trim();
    let (token, life) = if text.starts_with('{') {
        let answer: Answer =
            serde_json::from_str(text).map_err(|_| "its JSON holds no access_token".to_owned())?;
        let seconds = match answer.expires_in {
            Some(Seconds::Number(seconds)) => Some(seconds),
            Some(Seconds::Text(text)) => text.trim().parse().ok(),
            Some(Seconds::Other(_)) | None => None,
        };
        (answer.access_token, seconds.map(Duration::from_secs))
    } else {
        (text.to_owned(), None)
    };
    if token.is_empty() {
        return Err("there is no token in it".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "what it holds is no token: one word of ASCII, or JSON with access_token".to_owned(),
        );
    }
    Ok((token, life))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_bare_or_from_what_a_token_server_answers() {
        let hour = Some(Duration::from_hours(1));
        for (text, token, life) in [
            ("tok1\n", "tok1", None),
            (
                "{\"access_token\":\"a.b-c\",\"expires_in\":3600,\"token_type\":\"Bearer\"}",
                "a.b-c",
                hour,
            ),
            (
                "\n {\"expires_in\":\"3600\",\"access_token\":\"x\"}\n",
                "x",
                hour,
            ),
            ("{\"access_token\":\"x\",\"expires_in\":null}", "x", None),
            ("{\"access_token\":\"x\",\"expires_in\":-1}", "x", None),
            ("{\"access_token\":\"x\",\"expires_in\":1.5e3}", "x", None),
        ] {
            assert_eq!(read(text), Ok((token.to_owned(), life)), "{text}");
        }
        for text in [
            "",
            "\n",
            "two words",
            "a\u{1}b",
            "{\"error\":\"invalid_client\"}",
            "{",
            "é",
            "{\"access_token\":\"\"}",
            "{\"access_token\":\"a\\r\\nb\"}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_token_program_says_repeats_neither_its_arguments_nor_a_token() {
        let words = ["/usr/local/bin/token", "-s", "SECRET01"].map(str::to_owned);
        let printed = "{\"access_token\": \"tok-0815\", \"expires_in\": 3599";
        for (said, shown) in [
            ("bad SECRET01: tok-0815", "bad ***: ***"),
            (
                "/usr/local/bin/token: HTTP 401",
                "/usr/local/bin/token: HTTP 401",
            ),
            (
                "+ curl -H 'Authorization: Bearer ya29.x' -d x",
                "+ curl -H 'Authorization: Bearer ***' -d x",
            ),
            ("ya29.Sekret_TOKEN-0815xyz is expired", "*** is expired"),
        ] {
            assert_eq!(without_secrets(said, &words, printed), shown, "{said}");
        }
    }

    #[test]
    fn who_has_waited_for_a_program_that_failed_gets_its_failure_and_who_comes_later_a_run_anew() {
        let source = |word: &str| Source::Command(Words(vec![word.to_owned()]));
        let failed = Instant::now();
        let kept = |token, until| Kept {
            source: source("/a"),
            token,
            until,
        };
        let second = Duration::from_secs(1);
        let (before, after) = (failed.checked_sub(second).unwrap(), failed + second);
        let no = kept(Err("no".to_owned()), failed);
        for (word, came, answer) in [
            ("/a", before, Some(Err("no".to_owned()))),
            ("/a", after, None),
            ("/b", before, None),
        ] {
            assert_eq!(no.answer(&source(word), came, after), answer, "{word}");
        }
        let good = kept(Ok("tok".to_owned()), failed);
        for (now, answer) in [(before, Some(Ok("tok".to_owned()))), (after, None)] {
            assert_eq!(good.answer(&source("/a"), before, now), answer);
        }
    }

    #[test]
    fn a_program_says_to_administrators_why_it_has_no_token_and_floods_nobody() {
        let run = |script: &str| {
            let words = ["/bin/sh", "-c", script].map(str::to_owned);
            fetch(&words).map(|(token, _)| token)
        };
        let works = run("echo careful >&2; echo tok1");
        assert_eq!(works.ok().as_deref(), Some("tok1"));
        let failed = run("echo no client: s3cret >&2; exit 3").err().unwrap();
        let open = "/bin/sh: the token program failed (exit status 3)";
        assert_eq!(failed.why, open);
        let said = format!("{open}; it said: no client: s3cret");
        assert_eq!(failed.said, Some(said));
        for (script, told) in [
            ("exit 1", "the token program failed (exit status 1)"),
            ("head -c 1000000 /dev/zero | tr '\\0' x", "too much"),
            ("true", "no token in it"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let Failed { why, said } = run(script).err().unwrap();
            assert!(
                why.starts_with("/bin/sh: ") && why.contains(told) && said.is_none(),
                "{script}: {why}"
            );
        }
        let nowhere = fetch(&["/nowhere/token".to_owned()]).err().unwrap();
        assert!(nowhere.why.contains("No such file"));
    }
}
