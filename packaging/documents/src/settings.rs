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
    let mut text = String::from(
        "# /etc/sendmail-shim/config.toml: all settings, each with its default where it has one.\n\
         # `sendmail-shim check` tells what is wrong with them, `sendmail-shim config` which differ.\n",
    );
    for row in sendmail::config::rows::rows() {
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
