//! The status page in a browser, on a phone and on a desk, in light and in dark: nothing is cut off
//! or beyond the edge, all text can be read, all that can be pressed has a name, and nobody else is
//! asked for anything.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
};

use serde::Deserialize;
use tests::{
    http::request,
    peers,
    session::Session,
    sink::nexthop,
    smarthost::Smarthost,
    wait::{free_address, until},
};

/// Shows each page in a frame as wide as a screen, measures it there, and leaves what it found in
/// the document. WCAG 2.1, 1.4.3 (contrast), 1.4.10 (reflow), 4.1.2 (name).
const MEASURE: &str = r#"<!doctype html><meta charset="utf-8"><body><script>
const rgb = text => text.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b]
  .map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const ground = (w, e) => {
  for (; e; e = e.parentElement) {
    const colour = rgb(w.getComputedStyle(e).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const unseen = e => e.closest('.unseen, .skip') || !e.getClientRects().length;
function faint(w, d) {
  const found = [], walker = d.createTreeWalker(d.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walker.nextNode();) {
    const e = n.parentElement, style = w.getComputedStyle(e);
    if (!n.data.trim() || unseen(e) || /^(SCRIPT|STYLE)$/.test(e.tagName)) continue;
    const [one, two] = [light(rgb(style.color)), light(ground(w, e))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    const ratio = (one + .05) / (two + .05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${n.data.trim()}`);
  }
  return found;
}
const name = e => [e.getAttribute('aria-label'), e.labels?.[0]?.textContent,
  e.getAttribute('aria-labelledby'), e.textContent, e.title, e.type == 'submit' && e.value]
  .find(text => text && text.trim());
function nameless(d) {
  const pressed = [...d.querySelectorAll('a, button, select, textarea, summary, input:not([type=hidden])')];
  const shown = [...d.querySelectorAll('svg')].filter(e => !e.closest('[aria-hidden=true]'));
  return [...pressed.filter(e => !name(e)),
    ...shown.filter(e => !e.getAttribute('aria-label') && !e.querySelector('title'))]
    .map(e => e.outerHTML.slice(0, 100));
}
const told = {};
for (const [path, width] of WANTED) {
  const frame = document.createElement('iframe');
  frame.width = width; frame.height = 740; frame.src = path;
  frame.onload = () => {
    const w = frame.contentWindow, d = frame.contentDocument;
    told[`${width} ${path}`] = {
      dark: w.matchMedia('(prefers-color-scheme: dark)').matches,
      width: w.innerWidth,
      needed: d.documentElement.scrollWidth,
      title: d.title,
      words: d.body.innerText.split(/\s+/).length,
      faint: faint(w, d),
      nameless: nameless(d),
      asked: w.performance.getEntriesByType('resource').map(e => e.name),
      language: d.documentElement.lang,
      twice: [...d.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) < i),
    };
    document.body.dataset.told = JSON.stringify(told);
  };
  document.body.append(frame);
}
</script>"#;

/// What one page looks like.
#[derive(Deserialize, Debug)]
struct Seen {
    dark: bool,
    width: u32,
    /// The width that its content needs.
    needed: u32,
    title: String,
    words: usize,
    /// Text below the contrast that is asked for.
    faint: Vec<String>,
    nameless: Vec<String>,
    /// What was loaded besides.
    asked: Vec<String>,
    language: String,
    /// Ids that two elements have.
    twice: Vec<String>,
}

/// A site of its own for the browser: the page as whoever has the token sees it, in frames, which
/// it forbids others.
struct Front {
    address: SocketAddr,
}

impl Front {
    fn start(page: SocketAddr, token: &str, wanted: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let measure = MEASURE.replace("WANTED", wanted);
        let token = format!("Authorization: Bearer {token}\r\n");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (token, measure) = (token.clone(), measure.clone());
                thread::spawn(move || serve(stream, page, &token, &measure));
            }
        });
        Self { address }
    }
}

fn serve(mut stream: TcpStream, page: SocketAddr, token: &str, measure: &str) {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let Some(path) = head.split(' ').nth(1) else {
        return;
    };
    let (kind, body) = if path == "/-measure-" {
        ("text/html".to_owned(), measure.to_owned())
    } else {
        let (path, token) = match path.strip_prefix("/-stranger-") {
            Some(path) => (path, ""),
            None => (path, token),
        };
        let answer = request(page, "GET", path, token, "");
        let kind = answer.field("content-type").unwrap_or("text/html");
        (kind.to_owned(), answer.body.clone())
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // The browser may have gone.
    let _ = stream.write_all(text.as_bytes());
}

/// What a browser finds that prefers these colours.
fn look(browser: &Path, front: &Front, profile: &Path, dark: bool) -> BTreeMap<String, Seen> {
    let scheme = u8::from(!dark);
    let output = Command::new("timeout")
        .arg("120")
        .arg(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-dev-shm-usage"])
        .args(["--window-size=1400,900", "--virtual-time-budget=20000"])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom")
        .arg(format!("http://{}/-measure-", front.address))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let told = dom.split("data-told=\"").nth(1);
    let told = told.and_then(|rest| rest.split('"').next());
    assert!(told.is_some(), "nothing was measured: {output:?}");
    let told = told.unwrap_or_default();
    let told = told
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&");
    serde_json::from_str(&told).unwrap()
}

#[test]
fn the_page_can_be_read_and_used_on_a_phone_and_a_desk_in_light_and_in_dark() {
    let Some(browser) = peers::find("chromium") else {
        return;
    };
    let page = free_address();
    let relay = Smarthost::start(&format!(
        "web = \"{page}\"\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"3/day\"] }}\n",
        nexthop(free_address())
    ));
    let told = until("there is a token", || {
        Some(relay.admin(&["web", "token"])).filter(|told| told.status.success())
    });
    let token = String::from_utf8(told.stdout).unwrap().trim().to_owned();
    // What is long has no place to be broken.
    let local = "x".repeat(64);
    let domain = format!("{}.{}.example", "y".repeat(60), "z".repeat(60));
    let to = format!("{local}@{domain}");
    let mail = format!("Subject: {}\r\n\r\nx\r\n", "w".repeat(200));
    let mut session = Session::greeted(relay.address());
    for _ in 0..3 {
        session.delivers(&format!("{local}@one.example"), &[&to], mail.as_bytes());
    }
    let listed = until("it waits", || {
        let rows = relay.admin(&["queue", "list", "--json"]);
        let rows = String::from_utf8(rows.stdout).unwrap();
        rows.contains("refused").then_some(rows)
    });
    let row: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let id = row["queue_id"].as_str().unwrap();
    let paths = [
        "/".to_owned(),
        "/queue".to_owned(),
        format!("/queue?q={to}"),
        "/clients".to_owned(),
        format!("/message/{id}"),
        format!("/confirm?order=delete&id={id}"),
        "/-stranger-/".to_owned(),
        "/nothing".to_owned(),
    ];
    let wanted: Vec<_> = [320, 360, 1280]
        .iter()
        .flat_map(|width| paths.iter().map(move |path| (path, width)))
        .collect();
    let front = Front::start(page, &token, &serde_json::to_string(&wanted).unwrap());
    for dark in [false, true] {
        let profile = relay.directory().join("browser");
        let seen = look(&browser, &front, &profile, dark);
        assert_eq!(seen.len(), wanted.len(), "{:?}", seen.keys());
        for (what, seen) in seen {
            assert_eq!(seen.dark, dark, "{what}");
            assert!(seen.words > 3 && !seen.title.is_empty(), "{what}: {seen:?}");
            assert!(
                seen.needed <= seen.width,
                "beyond the edge: {what}: {seen:?}"
            );
            assert_eq!(seen.faint, [""; 0], "hard to read: {what}, dark: {dark}");
            assert_eq!(seen.nameless, [""; 0], "without a name: {what}");
            assert_eq!(seen.twice, [""; 0], "{what}");
            assert_eq!(seen.language, "en", "{what}");
            let own = format!("http://{}/", front.address);
            let others: Vec<_> = seen
                .asked
                .iter()
                .filter(|it| !it.starts_with(&own))
                .collect();
            assert!(others.is_empty(), "{what} asks others: {others:?}");
        }
    }
}
