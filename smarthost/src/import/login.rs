//! The login at the relayhost: its password goes into a file of its own, and into no report.

use mail::nexthop::Nexthop;
use postfix::{
    members,
    tables::{self, Table},
};

use super::{
    reader::Reader,
    report::{Value, Verdict},
};

const MAPS: &str = "smtp_sasl_password_maps";
const ENABLE: &str = "smtp_sasl_auth_enable";
const FILTER: &str = "smtp_sasl_mechanism_filter";
const TOKEN: &str = "a token of OAuth 2.0 is no password: set relay_auth.user, and relay_auth.token with a program that prints one";
/// Beside config.toml.
pub(super) const FILE: &str = "password";

pub(super) fn read(reader: &mut Reader<'_>) {
    let maps = reader.value(MAPS);
    match (reader.is_yes(ENABLE), maps.is_empty()) {
        (false, true) => {}
        (false, false) => {
            reader.note_if_set(Verdict::Default, ENABLE, "is off");
            let text = "smtp_sasl_auth_enable is off: nobody logged in";
            return reader.note(Verdict::Ignored, MAPS, text);
        }
        (true, true) => {
            let text = "Postfix logged in without a table of passwords: set relay_auth";
            return reader.note(Verdict::NotSupported, ENABLE, text);
        }
        (true, false) if postfix::gives_tokens(&reader.value(FILTER)) => {
            reader.note(Verdict::NotSupported, MAPS, TOKEN);
            return reader.note(Verdict::NotSupported, ENABLE, "see smtp_sasl_password_maps");
        }
        (true, false) => return login(reader, &maps),
    }
    reader.note_if_set(Verdict::Default, ENABLE, "is off");
    reader.note_if_set(Verdict::Default, MAPS, "is not set");
}

fn login(reader: &mut Reader<'_>, maps: &str) {
    let written = match reader.setting("relayhost") {
        Some(Value::Plain(text)) => text.trim_matches('"').to_owned(),
        _ => String::new(),
    };
    let Ok(relayhost) = Nexthop::parse(&written) else {
        let text = "there is no relayhost, and only it is logged in to: routes with a login do not exist here";
        reader.note(Verdict::NotSupported, MAPS, text);
        return reader.note(Verdict::NotSupported, ENABLE, text);
    };
    let usual = reader.value("default_database_type");
    let mut others = 0usize;
    for map in members(maps) {
        let found = match tables::named(map, &usual) {
            Table::Static(login) => Ok(Some(login.to_owned())),
            Table::Inline(entries) => {
                tables::inline(entries).map(|entries| choose(&relayhost, entries, &mut others))
            }
            Table::Text(path) => (reader.files)(path).map(|text| {
                let entries = tables::entries(&text).into_iter();
                let entries = entries.map(|(_, key, value)| (key, value)).collect();
                choose(&relayhost, entries, &mut others)
            }),
            Table::Patterns(kind, _) | Table::Other(kind, _) => {
                Err(format!("a table of the type {kind} is not read here"))
            }
        };
        match found {
            Ok(Some(login)) => return credentials(reader, &login, others),
            Ok(None) => {}
            Err(why) => reader.note(
                Verdict::NotSupported,
                MAPS,
                format!("{why}; set relay_auth"),
            ),
        }
    }
    let text = format!("no login for {relayhost} was found there: set relay_auth, if there is one");
    reader.note(Verdict::NotSupported, MAPS, text);
    reader.note(Verdict::NotSupported, ENABLE, "see smtp_sasl_password_maps");
}

fn choose(
    relayhost: &Nexthop,
    entries: Vec<(String, String)>,
    others: &mut usize,
) -> Option<String> {
    let place = tables::key_of(relayhost, entries.iter().map(|(key, _)| key.as_str()));
    *others = others.saturating_add(entries.len());
    let (_, login) = entries.into_iter().nth(place?)?;
    *others = others.saturating_sub(1);
    Some(login)
}

fn credentials(reader: &mut Reader<'_>, login: &str, others: usize) {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let usable = |text: &str| !text.is_empty() && !text.contains(char::is_control);
    if !usable(user) || !usable(password) {
        let text = "without a user or a password: set relay_auth";
        return reader.note(Verdict::NotSupported, MAPS, text);
    }
    if reader.map_text(MAPS, "relay_auth.user", user) {
        let file = Value::Plain(format!("\"{FILE}\""));
        if let Err(why) = reader.put("relay_auth.password_file", file) {
            return reader.note(Verdict::NotSupported, MAPS, why);
        }
        reader.file(
            FILE,
            format!("{password}\n"),
            true,
            "smtp_sasl_password_maps",
        );
        reader.note(Verdict::Mapped, ENABLE, "relay_auth; only under TLS");
        if others > 0 {
            let text = format!(
                "{others} logins for other hosts are not taken over: only the relayhost is logged in to"
            );
            reader.note(Verdict::NotSupported, MAPS, text);
        }
    }
}
