//! Who receives: aliases, virtual aliases, tables of recipients that there are, and where local
//! mail ends.

use ::tables::aliases::unusable;
use mail::maps::Table;
use postfix::{
    Service, members,
    tables::{self, Table as Named},
};

use super::{
    files::Use,
    reader::Reader,
    report::{Value, Verdict},
};
use crate::lookup::LookupTable;

pub(super) fn read(reader: &mut Reader<'_>) {
    aliases(reader);
    virtual_aliases(reader);
    delimiter(reader);
    local(reader);
    recipients(reader);
}

/// Row B11.
fn aliases(reader: &mut Reader<'_>) {
    let name = "alias_maps";
    let mut files = Vec::new();
    for map in reader.list(name) {
        let path = match tables::named(&map, "hash") {
            Named::Text(path) => path,
            Named::Other("nis", _) if !reader.is_set(name) => continue,
            _ => {
                let text = "alias files are text here; write what it answers into one";
                reader.note(Verdict::NotSupported, name, format!("`{map}`: {text}"));
                continue;
            }
        };
        let text = match (reader.files)(path) {
            Ok(text) => text,
            Err(why) => {
                if reader.is_set(name) || !reader.root.is_empty() {
                    reader.note(Verdict::NotSupported, name, format!("`{map}`: {why}"));
                }
                continue;
            }
        };
        let (table, mut problems) = Table::aliases(path.into(), &text);
        problems.extend(unusable(&table, true));
        reader.problems(name, problems);
        let programs = text
            .lines()
            .any(|line| line.contains('|') && !line.starts_with('#'));
        let place = reader.place(path, text);
        files.push((place, programs));
    }
    let entries: Vec<_> = files
        .iter()
        .map(|(path, programs)| {
            let path = settings::rows::quote(path);
            match programs {
                true => format!("{{ file = {path}, programs = \"alias-programs\" }}"),
                false => path,
            }
        })
        .collect();
    if files.iter().any(|(_, programs)| *programs) {
        let pipe = Value::Plain("\"pipe\"".to_owned());
        if let Err(why) = reader.put("transports.alias-programs.type", pipe) {
            reader.note(Verdict::NotSupported, name, why);
        }
        let text = "its programs ran as the owner of the alias file, or as default_privs; here they run as the user of smarthost, or by a unit with a user of its own: \
                    transports.alias-programs.socket, see PROGRAMS in smarthost.toml(5)";
        reader.note(Verdict::Decide, name, text);
    }
    if reader.is_set(name) || entries != ["\"/etc/aliases\""] {
        let value = format!("[{}]", entries.join(", "));
        reader.map(name, "aliases", value);
    }
    reader.note_if_set(
        Verdict::Ignored,
        "alias_database",
        "what newaliases makes; the text is read here",
    );
}

/// Row C2.
fn virtual_aliases(reader: &mut Reader<'_>) {
    for name in ["virtual_alias_maps", "virtual_maps"] {
        let counts = name == "virtual_alias_maps" || !reader.is_set("virtual_alias_maps");
        if !reader.is_set(name) {
            continue;
        }
        if !counts {
            reader.note(Verdict::Ignored, name, "virtual_alias_maps counts");
            continue;
        }
        tables_of(reader, name, "virtual", Use::Virtual);
    }
}

/// A list of tables that is one of ours, and what stands in those that could be read.
pub(super) fn tables_of(
    reader: &mut Reader<'_>,
    name: &str,
    key: &str,
    usage: Use,
) -> Vec<LookupTable> {
    let (mut found, mut tables) = (Vec::new(), Vec::new());
    for map in reader.list(name) {
        match reader.table(name, &map, usage) {
            Ok((named, table)) => {
                found.push(named);
                tables.push(table);
            }
            Err(why) => reader.note(Verdict::NotSupported, name, format!("`{map}`: {why}")),
        }
    }
    if !found.is_empty() || !reader.is_told(name) {
        reader.map_list(name, key, found);
    }
    tables
}

fn delimiter(reader: &mut Reader<'_>) {
    let name = "recipient_delimiter";
    let delimiter = reader.value(name);
    if delimiter == "+" {
        return reader.note(
            Verdict::Default,
            name,
            "recipient_delimiter = \"+\" is ours",
        );
    }
    reader.map_text(name, name, &delimiter);
}

/// Rows B3, D5.
fn local(reader: &mut Reader<'_>) {
    let others = [
        "mailbox_transport",
        "local_transport",
        "mailbox_command",
        "home_mailbox",
    ];
    for name in ["mailbox_transport", "local_transport"] {
        let value = reader.value(name);
        if let Some(target) = lmtp_target(reader, &value)
            && reader.map_text(name, "lmtp", &target)
        {
            for other in others.iter().filter(|other| **other != name) {
                reader.note_if_set(Verdict::Ignored, other, format!("{name} counts"));
            }
            local_recipients(reader, true);
            return;
        }
    }
    let text = "users' mailboxes are not written here: name an LMTP server (lmtp = \"unix:/run/dovecot/lmtp\"), or give everybody an alias";
    for name in others {
        let value = reader.value(name);
        if value.starts_with("error:") {
            let text = "who has no alias is refused at RCPT";
            reader.note_if_set(Verdict::Default, name, text);
        } else if value == "local" || value.starts_with("local:") {
            reader.note_if_set(Verdict::Default, name, "aliases, as here");
        } else if !value.is_empty() {
            reader.note_if_set(Verdict::NotSupported, name, text);
        } else {
            reader.note_if_set(Verdict::Default, name, "is not set");
        }
    }
    if let Err(why) = reader.put("maildir", Value::Plain("\"none\"".to_owned())) {
        reader.note(Verdict::NotSupported, "local_transport", why);
    }
    local_recipients(reader, false);
}

/// Who receives in local domains.
fn local_recipients(reader: &mut Reader<'_>, lmtp: bool) {
    let name = "local_recipient_maps";
    let aliases = reader.value("alias_maps");
    let aliases: Vec<_> = members(&aliases).into_iter().map(str::to_owned).collect();
    let transports = reader.value("transport_maps");
    let others: Vec<_> = reader
        .list(name)
        .into_iter()
        .filter(|map| !aliases.contains(map) && !members(&transports).contains(&map.as_str()))
        .collect();
    let users = others.iter().any(|map| map.contains("passwd"));
    let text = match (lmtp, reader.is_set(name), others.is_empty()) {
        (true, false, _) => return,
        (true, true, _) => {
            let text = "here the LMTP server says who there is; restrictions may ask it before: reject_unverified_recipient";
            return reader.note(Verdict::NotSupported, name, text);
        }
        (false, true, true) if !reader.value(name).is_empty() => {
            let text =
                "aliases, and addresses with a route of their own, receive; maildir = \"none\"";
            return reader.note(Verdict::Mapped, name, text);
        }
        (false, true, true) => "every name was taken, whether it exists or not",
        (false, _, false) if users => "users of the system received mail",
        _ => "others than aliases received mail",
    };
    let text = format!("{text}; here only aliases do: write one for each of them, or set lmtp");
    if reader.value("mydestination").is_empty() {
        let text = "no domain is local but the host's own name, and only aliases receive there";
        return reader.note_if_set(Verdict::Default, name, text);
    }
    let verdict = if reader.is_set(name) {
        Verdict::NotSupported
    } else {
        Verdict::Decide
    };
    reader.note(verdict, name, text);
}

/// `lmtp:unix:path` or `lmtp:inet:host:port` as our settings have it, without the first word.
pub(super) fn lmtp_target(reader: &Reader<'_>, value: &str) -> Option<String> {
    let target = value.strip_prefix("lmtp:")?;
    let is_lmtp = |it: &Service| it.name == "lmtp" && it.kind == "unix";
    Some(match target.strip_prefix("unix:") {
        Some(path) => format!("unix:{}", reader.socket(path, is_lmtp)),
        None => target.trim_start_matches("inet:").to_owned(),
    })
}

/// Row A5.
fn recipients(reader: &mut Reader<'_>) {
    let name = "relay_recipient_maps";
    if !reader.is_set(name) {
        return;
    }
    if reader.value(name).is_empty() {
        reader.note(Verdict::Default, name, "empty: the next hop decides");
    } else {
        tables_of(reader, name, "relay_recipients", Use::Recipients);
    }
}
