//! Which path is answered by what, and the fields that every answer has.

use hyper::{
    Method, Response, StatusCode,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use mail::clock;

use super::{
    health::Health,
    metrics::{self, Form},
    request::{Asked, Refused},
    site::Site,
};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Nothing but what this site itself serves, and no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Answers a request.
pub(super) fn to(site: &Site, asked: &Asked) -> Response<String> {
    let status = site.daemon.status();
    if let Err(refusal) = asked.is_for_us(&status.hostname) {
        return refused(refusal);
    }
    let get = matches!(asked.method, Method::GET | Method::HEAD);
    match (asked.path.as_str(), get) {
        ("/metrics", true) => {
            let form = Form::accepted(asked.field(ACCEPT).unwrap_or_default());
            let ready = Health::of(&status).is_ready();
            let text = metrics::text(&status, ready, form, clock::now());
            response(StatusCode::OK, form.content_type(), text)
        }
        ("/health" | "/health/ready", true) => {
            let health = Health::of(&status);
            let code = if health.is_ready() {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            response(code, JSON, health.json())
        }
        ("/metrics" | "/health" | "/health/ready" | "/health/live", false) => {
            refused(Refused::Method)
        }
        _ => response(
            StatusCode::NOT_FOUND,
            TEXT,
            "There is no such page.\n".to_owned(),
        ),
    }
}

/// The daemon's runtime turns.
pub(super) fn live() -> Response<String> {
    response(StatusCode::OK, JSON, "{\"status\":\"live\"}".to_owned())
}

pub(super) fn refused(why: Refused) -> Response<String> {
    let (code, text) = match why {
        Refused::Malformed => (
            StatusCode::BAD_REQUEST,
            "This is no request that is understood.",
        ),
        Refused::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "This site is not known by that name: ask by address, as localhost, or by the relay's host name.",
        ),
        Refused::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "The request is too long."),
        Refused::Method => (StatusCode::METHOD_NOT_ALLOWED, "This cannot be done here."),
        Refused::Ending => (StatusCode::SERVICE_UNAVAILABLE, "The relay is ending."),
    };
    let mut response = response(code, TEXT, format!("{text}\n"));
    if why == Refused::Method {
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

fn response(code: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let fields = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}
