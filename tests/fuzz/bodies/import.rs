//! Postfix's configuration, taken over: `main.cf`, `master.cf` and one table, with a NUL between
//! them.
use std::path::Path;

use smarthost::{
    config::Config,
    import::{self, Place},
};

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let mut parts = text.splitn(3, '\0');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (main, master, table) = (next(), next(), next());
    let find = |path: &str| match path {
        "/etc/postfix/main.cf" => Ok(main.clone()),
        "/etc/postfix/master.cf" => Ok(master.clone()),
        _ if path.ends_with("table") => Ok(table.clone()),
        _ => Err(format!("{path}: No such file or directory")),
    };
    let place = Place::own("/etc/postfix");
    let imported = import::read(place, "mx.example.org", &find);
    assert!(imported.is_ok(), "there is a main.cf");
    let Ok(imported) = imported else { return };
    for note in &imported.notes {
        let told = note.to_string();
        assert!(!told.chars().any(char::is_control), "{told:?}");
        assert!(told.len() < 8192, "bounded: {}", told.len());
    }
    let config = imported.config();
    let path = Path::new("/etc/smarthost/config.toml");
    let understood = Config::parse(path, &config, "mx.example.org");
    let why = understood.err().map(|error| error.to_string());
    assert_eq!(why, None, "{config}");
}
