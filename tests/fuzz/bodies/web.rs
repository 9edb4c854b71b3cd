//! What a browser, or whoever plays one, asks the status page: a line with method and path, fields,
//! an empty line, a form.
use std::{
    io,
    sync::{Arc, OnceLock},
};

use control::{listing::Row, order, status::Status};
use hyper::{HeaderMap, Method, Version, header::HeaderName};
use mail::clock::Timestamp;
use smarthost::{
    activity::Slot,
    admin::{Answer, Request},
    policy::refusals::Refusal,
    trail::Trail,
    web::{self, Asked, Daemon, Site},
};

/// In each row of the queue: only whoever shows the token sees it.
const GUARDED: &str = "guarded-sender";

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let Some((directory, site)) = site() else {
        return;
    };
    let Some(mut asked) = asked(input) else {
        return;
    };
    for known in [false, true] {
        if known {
            let token = std::fs::read_to_string(web::access::file(directory.path()));
            let token = format!("Bearer {}", token.unwrap_or_default().trim());
            let Ok(token) = token.parse() else { return };
            asked.fields.insert(hyper::header::AUTHORIZATION, token);
        }
        let response = web::answer(site, &asked);
        let fields = response.headers();
        assert!(fields.contains_key("content-security-policy"));
        assert!(!fields.contains_key("access-control-allow-origin"));
        let body = response.body();
        assert!(known || !body.contains(GUARDED), "shown to a stranger");
        let lower = body.to_ascii_lowercase();
        for tag in ["<script", "<img", "<iframe", "javascript:"] {
            assert!(!lower.contains(tag), "{body}");
        }
        assert!(body.len() < 1 << 20, "bounded");
    }
}

fn site() -> Option<&'static (tempfile::TempDir, Site)> {
    static SITE: OnceLock<Option<(tempfile::TempDir, Site)>> = OnceLock::new();
    let made = SITE.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let site = Site::new(Arc::new(Relay::default()), directory.path());
        Some((directory, site))
    });
    made.as_ref()
}

fn asked(input: &[u8]) -> Option<Asked> {
    let end = input.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = input.split_at_checked(end)?;
    let mut lines = str::from_utf8(head).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut fields = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let name: HeaderName = name.parse().ok()?;
        fields.append(name, value.parse().ok()?);
    }
    Some(Asked {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        version: Version::HTTP_11,
        path: path.to_owned(),
        query: query.to_owned(),
        fields,
        body: body.get(2..)?.to_vec(),
    })
}

/// A daemon with one message, whose words are hostile.
#[derive(Default)]
struct Relay {
    status: Arc<Status>,
    trail: Trail,
}

impl Daemon for Relay {
    fn hostname(&self) -> String {
        "mail.example.org".to_owned()
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    fn day(&self) -> Vec<(u64, Slot)> {
        vec![(0, Slot::default())]
    }

    fn trail(&self) -> &Trail {
        &self.trail
    }

    fn refusals(&self, _: &str, _: usize) -> Vec<Refusal> {
        Vec::new()
    }

    fn ask(
        &self,
        request: Request,
        each: &mut dyn FnMut(&Answer) -> io::Result<()>,
    ) -> io::Result<()> {
        match request {
            Request::Queue(order::Request::Change { selection, .. }) => {
                assert!(!selection.is_everything(), "no form means the whole queue");
                each(&Answer::Queue(order::Answer::Changed(1)))
            }
            Request::Queue(_) => each(&Answer::Queue(order::Answer::Row(Row {
                queue_id: "9KH3K7X5HSDVZ".to_owned(),
                queue_name: "deferred".to_owned(),
                arrival: Timestamp::from_secs(1_800_000_000),
                size: 1,
                sender: format!("{GUARDED}\"<script>@example.org"),
                recipients: Vec::new(),
                next_attempt: None,
                origin: "<img src=x>[192.0.2.1]".to_owned(),
            }))),
            other => {
                let known = matches!(
                    other,
                    Request::LimitsRaise { .. } | Request::LimitsShow { .. } | Request::LimitsList
                );
                assert!(known, "no page asks that: {other:?}");
                Ok(())
            }
        }
    }
}
