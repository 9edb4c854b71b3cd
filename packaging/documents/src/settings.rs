//! The settings of both configurations: key, and what its row tells of it.

use settings::rows::Row;
use smarthost::config::Config;

use crate::roff;

fn entry<S>(row: &Row<S>) -> String {
    roff::item(&roff::bold(row.key), &row.about())
}

pub(crate) fn of_sendmail_shim() -> String {
    sendmail::config::rows::rows().map(entry).collect()
}

pub(crate) fn of_smarthost() -> String {
    smarthost::config::rows::all()
        .map(entry::<Config>)
        .collect()
}

/// The configuration of a machine as a file in which everything stands, with its default, as a
/// comment.
pub(crate) fn example_of_sendmail_shim() -> String {
    example("sendmail-shim", sendmail::config::rows::rows())
}

/// The same of a smarthost.
pub(crate) fn example_of_smarthost() -> String {
    example("smarthost", smarthost::config::rows::all())
}

fn example<S: 'static>(program: &str, rows: impl Iterator<Item = &'static Row<S>>) -> String {
    let mut text = format!(
        "# /etc/{program}/config.toml: all settings, each with its default where it has one.\n\
         # `{program} check` tells what is wrong with them, `{program} config` which differ.\n"
    );
    for row in rows {
        text.push_str("\n#");
        let mut width = 1;
        for word in row.about().split(' ') {
            if width + word.len() > 96 {
                text.push_str("\n#");
                width = 1;
            }
            text.push(' ');
            text.push_str(word);
            width += word.len() + 1;
        }
        let default = row.preset().unwrap_or_default();
        text.push_str(format!("\n#{} = {default}", row.key).trim_end());
        text.push('\n');
    }
    text
}
