//! Which path is answered by what, and the fields that every answer has.

use control::status::Status;
use hyper::{
    Method, Response, StatusCode,
    header::{
        ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
        HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use mail::clock;
use maud::Markup;
use spool::QueueId;
use system::log::{Level, Role, line, line_about};

use super::{
    access::{Known, LIFE, NAME},
    health::Health,
    metrics::{self, Form},
    order::{self, Wanted},
    page::{self, Place},
    request::{Asked, Fields, Refused},
    search,
    site::Site,
};
use crate::admin;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// Nothing but what this site itself serves, and no script at all.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Answers a request.
pub fn to(site: &Site, asked: &Asked) -> Response<String> {
    if let Err(refusal) = asked.is_for_us(&site.daemon.hostname()) {
        return refused(refusal);
    }
    let get = matches!(asked.method, Method::GET | Method::HEAD);
    match (asked.path.as_str(), get) {
        ("/metrics", true) => metrics(site, asked),
        ("/health" | "/health/ready", true) => health(site, asked),
        ("/style.css", true) => response(StatusCode::OK, CSS, page::STYLE.to_owned()),
        ("/metrics" | "/health" | "/health/ready" | "/health/live" | "/style.css", false) => {
            refused(Refused::Method)
        }
        ("/login", false) => enter(site, asked),
        ("/logout", false) => leave(site, asked),
        _ => guarded(site, asked, get),
    }
}

fn metrics(site: &Site, asked: &Asked) -> Response<String> {
    let status = site.daemon.status();
    let form = Form::accepted(asked.field(ACCEPT).unwrap_or_default());
    let ready = Health::of(&status).is_ready();
    let text = metrics::text(&status, ready, form, clock::now());
    response(StatusCode::OK, form.content_type(), text)
}

/// Whoever shows the token hears all; a token's file that cannot be used lets nobody in.
fn health(site: &Site, asked: &Asked) -> Response<String> {
    let status = site.daemon.status();
    let health = match site.access.of(asked) {
        Ok(Some(_)) => Health::of(&status),
        Ok(None) | Err(_) => Health::of(&Status::clone(&status).openly()),
    };
    let code = if health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    response(code, JSON, health.json())
}

/// What wants the token.
fn guarded(site: &Site, asked: &Asked, get: bool) -> Response<String> {
    let known = match site.access.of(asked) {
        Ok(known) => known,
        Err(why) => return unusable(&why),
    };
    let Some(known) = known else {
        return login(site, StatusCode::UNAUTHORIZED, false);
    };
    let query = || Fields::read(asked.query.as_bytes());
    match (asked.path.as_str(), get) {
        ("/", true) => overview(site),
        ("/queue", true) => queue(site, &query()),
        ("/clients", true) => clients(site),
        ("/confirm", true) => confirm(site, &query()),
        ("/login", true) => to_page("/"),
        ("/order", false) => {
            // No browser sends a token of its own accord.
            let from_us = match known {
                Known::Bearer => Ok(()),
                Known::Cookie => asked.is_from_us(),
            };
            match from_us {
                Ok(()) => ordered(site, &Fields::read(&asked.body)),
                Err(refusal) => refused(refusal),
            }
        }
        (_, false) => refused(Refused::Method),
        (path, true) => match path.strip_prefix("/message/") {
            Some(id) => message(site, id),
            None => none(site),
        },
    }
}

fn overview(site: &Site) -> Response<String> {
    let (status, day) = (site.daemon.status(), site.daemon.day());
    let main = page::overview::page(&status, &day, clock::now());
    shown(site, StatusCode::OK, "Overview", Place::Overview, &main)
}

fn queue(site: &Site, query: &Fields) -> Response<String> {
    let said = |name| query.get(name).unwrap_or_default().trim().to_owned();
    let wanted = page::queue::Wanted {
        words: said("q"),
        destination: said("destination"),
    };
    if QueueId::parse(&wanted.words).is_some() {
        return to_page(&format!("/message/{}", page::encoded(&wanted.words)));
    }
    let found = search::find(&*site.daemon, &wanted);
    let main = page::queue::page(&wanted, &found, clock::now());
    shown(site, StatusCode::OK, "Queue", Place::Queue, &main)
}

fn message(site: &Site, id: &str) -> Response<String> {
    let Some(known) = search::message(&*site.daemon, id) else {
        let text = "No message with this id is in the queue, and none is known here that has left it. The log may know it: journalctl -u smarthost -g ID";
        let main = page::login::plain("No such message", text);
        return shown(
            site,
            StatusCode::NOT_FOUND,
            "No such message",
            Place::Queue,
            &main,
        );
    };
    let main = page::message::page(&known, clock::now());
    let title = format!("Message {}", known.id);
    shown(site, StatusCode::OK, &title, Place::Queue, &main)
}

fn clients(site: &Site) -> Response<String> {
    let (mut reports, mut all) = (Vec::new(), 0usize);
    let asked = site.daemon.ask(admin::Request::LimitsList, &mut |answer| {
        if let admin::Answer::Report(report) = answer {
            all = all.saturating_add(1);
            if reports.len() < page::clients::MOST {
                reports.push(report.clone());
            }
        }
        Ok(())
    });
    if let Err(error) = asked {
        return unusable(&error.to_string());
    }
    let main = page::clients::page(&reports, all);
    shown(site, StatusCode::OK, "Clients", Place::Clients, &main)
}

fn confirm(site: &Site, query: &Fields) -> Response<String> {
    let asked = Wanted::read(query).and_then(|wanted| {
        let counts = order::counts(&*site.daemon, &wanted)?;
        Ok(wanted.question(counts))
    });
    match asked {
        Ok(question) => {
            let main = page::confirm::page(&question);
            shown(site, StatusCode::OK, &question.title, Place::Queue, &main)
        }
        Err(why) => wrong(site, &why),
    }
}

fn ordered(site: &Site, fields: &Fields) -> Response<String> {
    let wanted = match Wanted::read(fields) {
        Ok(wanted) => wanted,
        Err(why) => return wrong(site, &why),
    };
    let request = match wanted.request(fields, clock::now()) {
        Ok(request) => request,
        Err(why) => return wrong(site, &why),
    };
    line(
        Level::Notice,
        &format_args!("ordered on the status page: {}", wanted.told()),
    );
    let (done, lines) = order::carry_out(&*site.daemon, request);
    let main = page::confirm::result(done, &lines, &wanted.back());
    let code = if done {
        StatusCode::OK
    } else {
        StatusCode::CONFLICT
    };
    let title = if done { "Done" } else { "Not done" };
    shown(site, code, title, Place::Queue, &main)
}

fn wrong(site: &Site, why: &str) -> Response<String> {
    let main = page::login::plain("This cannot be done", why);
    shown(
        site,
        StatusCode::BAD_REQUEST,
        "Not done",
        Place::Queue,
        &main,
    )
}

fn none(site: &Site) -> Response<String> {
    let main = page::login::plain("No such page", "There is nothing here.");
    shown(
        site,
        StatusCode::NOT_FOUND,
        "No such page",
        Place::Queue,
        &main,
    )
}

fn shown(
    site: &Site,
    code: StatusCode,
    title: &str,
    place: Place,
    main: &Markup,
) -> Response<String> {
    let page = page::frame(title, &site.daemon.hostname(), place, main);
    response(code, HTML, page)
}

/// Wants the token.
fn login(site: &Site, code: StatusCode, was_wrong: bool) -> Response<String> {
    let main = page::login::page(was_wrong);
    let mut response = shown(site, code, "Log in", Place::Login, &main);
    let bearer = HeaderValue::from_static("Bearer realm=\"smarthost\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    response
}

fn enter(site: &Site, asked: &Asked) -> Response<String> {
    if let Err(refusal) = asked.is_from_us() {
        return refused(refusal);
    }
    let fields = Fields::read(&asked.body);
    match site.access.enter(fields.get("token").unwrap_or_default()) {
        Err(why) => unusable(&why),
        Ok(None) => {
            let text = "status page: a wrong token";
            line_about("status page", Role::Master, Level::Warning, &text);
            login(site, StatusCode::FORBIDDEN, true)
        }
        Ok(Some(id)) => {
            let mut response = to_page("/");
            set_cookie(&mut response, &id, LIFE.as_secs());
            response
        }
    }
}

fn leave(site: &Site, asked: &Asked) -> Response<String> {
    if let Err(refusal) = asked.is_from_us() {
        return refused(refusal);
    }
    site.access.leave(asked);
    let mut response = to_page("/");
    set_cookie(&mut response, "", 0);
    response
}

fn set_cookie(response: &mut Response<String>, value: &str, seconds: u64) {
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

/// There is a page instead of this one.
fn to_page(path: &str) -> Response<String> {
    let mut response = response(StatusCode::SEE_OTHER, TEXT, String::new());
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// Nobody can be let in: the token's file cannot be used.
fn unusable(why: &str) -> Response<String> {
    line_about(
        "status page",
        Role::Master,
        Level::Error,
        &format_args!("status page: {why}"),
    );
    let text = "The token's file cannot be used; the log says why.\n";
    response(StatusCode::INTERNAL_SERVER_ERROR, TEXT, text.to_owned())
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
        Refused::Origin => (
            StatusCode::FORBIDDEN,
            "Orders are taken from this site's own pages only.",
        ),
        Refused::Ending => (StatusCode::SERVICE_UNAVAILABLE, "The relay is ending."),
    };
    let mut response = response(code, TEXT, format!("{text}\n"));
    if why == Refused::Method {
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allowed);
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
