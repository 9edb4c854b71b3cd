//! Who may see the queue and give orders: whoever shows the token, as Bearer or, in a browser,
//! once, for a cookie.
//!
//! Contract: the token is in a file of its own, 0600, made where there is none: who deletes it has
//! made all tokens and cookies of before worthless. Cookies are random and end after [`LIFE`] or
//! with the daemon. Compared is in constant time.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::header::{AUTHORIZATION, COOKIE};
use ring::hmac;
use system::fs;

use super::request::Asked;

/// How long a cookie is good, and how many there are.
pub(super) const LIFE: Duration = Duration::from_hours(12);
const SESSIONS: usize = 64;
/// Its name.
pub(super) const NAME: &str = "smarthost-session";

/// Where the token is.
pub fn file(state: &Path) -> PathBuf {
    state.join("web.token")
}

/// By what somebody is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// What a program sends by itself; no browser does so for another site.
    Bearer,
    Cookie,
}

/// A browser that has shown the token.
struct Session {
    id: String,
    token: String,
    until: Instant,
}

pub(super) struct Access {
    file: PathBuf,
    sessions: Mutex<VecDeque<Session>>,
}

impl Access {
    /// The token's file is made where there is none.
    pub(super) fn new(state: &Path) -> Self {
        let access = Self {
            file: file(state),
            sessions: Mutex::default(),
        };
        // Told when somebody wants to be let in.
        let _ = access.token();
        access
    }

    /// The token as it is now.
    fn token(&self) -> Result<String, String> {
        if !self.file.exists() {
            let token = random().ok_or("no random numbers")?;
            let line = format!("{token}\n");
            fs::replace(&self.file, line.as_bytes(), 0o600)
                .map_err(|error| format!("{}: {error}", self.file.display()))?;
        }
        let token = system::secret::password(&self.file)?;
        if token.len() < 16 {
            return Err(format!("{}: too short; delete it", self.file.display()));
        }
        Ok(token)
    }

    /// Whether whoever asks has shown the token; the error is for the log.
    pub(super) fn of(&self, asked: &Asked) -> Result<Option<Known>, String> {
        if let Some(shown) = asked.field(AUTHORIZATION) {
            let (scheme, shown) = shown.split_once(' ').unwrap_or_default();
            let bearer = scheme.eq_ignore_ascii_case("Bearer");
            let shown = if bearer { shown } else { "" };
            let token = self.token()?;
            return Ok(same(shown, &token).then_some(Known::Bearer));
        }
        let Some(id) = cookie(asked) else {
            return Ok(None);
        };
        let token = self.token()?;
        let now = Instant::now();
        let mut sessions = self.sessions();
        sessions.retain(|session| session.until > now && session.token == token);
        let known = sessions.iter().any(|session| same(&session.id, id));
        Ok(known.then_some(Known::Cookie))
    }

    /// The cookie for whoever types the token.
    pub(super) fn enter(&self, shown: &str) -> Result<Option<String>, String> {
        let token = self.token()?;
        if !same(shown.trim(), &token) {
            return Ok(None);
        }
        let id = random().ok_or("no random numbers")?;
        let mut sessions = self.sessions();
        sessions.push_back(Session {
            id: id.clone(),
            token,
            until: Instant::now() + LIFE,
        });
        if sessions.len() > SESSIONS {
            sessions.pop_front();
        }
        Ok(Some(id))
    }

    /// The cookie is good no more.
    pub(super) fn leave(&self, asked: &Asked) {
        if let Some(id) = cookie(asked) {
            self.sessions().retain(|session| !same(&session.id, id));
        }
    }

    fn sessions(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last of ours: one that a page on another port set does not hide it.
fn cookie(asked: &Asked) -> Option<&str> {
    let pairs = asked.field(COOKIE)?.split(';').map(str::trim);
    let mut own = pairs.filter_map(|pair| pair.strip_prefix(NAME)?.strip_prefix('='));
    own.next_back()
}

/// 256 random bits.
fn random() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether two texts are the same, in a time that tells nothing of where they differ.
fn same(one: &str, other: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"smarthost web");
    let tag = hmac::sign(&key, one.as_bytes());
    hmac::verify(&key, other.as_bytes(), tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hyper::{HeaderMap, Method, header::HeaderName};

    use super::*;

    fn asked(name: HeaderName, value: &str) -> Asked {
        let fields = HeaderMap::from_iter([(name, value.parse().unwrap())]);
        Asked {
            version: hyper::Version::HTTP_11,
            method: Method::GET,
            path: "/".to_owned(),
            query: String::new(),
            fields,
            body: Vec::new(),
        }
    }

    fn browser(cookie: &str) -> Asked {
        asked(COOKIE, &format!("a=b; {NAME}={cookie}"))
    }

    #[test]
    fn the_token_lets_in_and_a_deleted_one_lets_nobody_in_any_more() {
        let state = tempfile::tempdir().unwrap();
        let access = Access::new(state.path());
        let path = file(state.path());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let token = system::secret::password(&path).unwrap();
        assert!(token.len() >= 43);
        let bearer = |token: &str| access.of(&asked(AUTHORIZATION, &format!("Bearer {token}")));
        assert_eq!(bearer(&token), Ok(Some(Known::Bearer)));
        let lower = asked(AUTHORIZATION, &format!("bearer {token}"));
        assert_eq!(access.of(&lower), Ok(Some(Known::Bearer)));
        let longer = format!("{token}x");
        for wrong in ["", "x", &token[1..], &longer] {
            assert_eq!(bearer(wrong), Ok(None), "{wrong}");
            assert_eq!(access.enter(wrong), Ok(None), "{wrong}");
        }
        let cookie = access.enter(&token).unwrap().unwrap();
        assert_ne!(cookie, token);
        assert_eq!(access.of(&browser(&cookie)), Ok(Some(Known::Cookie)));
        assert_eq!(access.of(&browser("")), Ok(None));
        assert_eq!(access.of(&browser(&token)), Ok(None));
        access.leave(&browser(&cookie));
        assert_eq!(access.of(&browser(&cookie)), Ok(None));

        let cookie = access.enter(&token).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(access.of(&browser(&cookie)), Ok(None));
        assert_eq!(bearer(&token), Ok(None));
        assert_ne!(system::secret::password(&path).unwrap(), token);
    }

    #[test]
    fn a_token_that_others_may_read_lets_nobody_in() {
        let state = tempfile::tempdir().unwrap();
        let access = Access::new(state.path());
        let path = file(state.path());
        let token = system::secret::password(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(access.enter(&token).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn browsers_that_came_are_forgotten_beyond_a_number() {
        let state = tempfile::tempdir().unwrap();
        let access = Access::new(state.path());
        let token = system::secret::password(&file(state.path())).unwrap();
        let first = access.enter(&token).unwrap().unwrap();
        for _ in 0..SESSIONS {
            access.enter(&token).unwrap();
        }
        assert_eq!(access.sessions().len(), SESSIONS);
        assert_eq!(access.of(&browser(&first)), Ok(None));
    }
}
