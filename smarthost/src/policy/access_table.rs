//! Tables of actions: access(5).

use std::{collections::BTreeMap, sync::Arc};

use mail::maps::Problem;

use super::{action::Action, rule::Subject};
use crate::lookup::{LookupTable, TableName};

/// The tables that rules name.
pub type Tables = BTreeMap<TableName, Arc<AccessTable>>;

/// A table of actions.
#[derive(Clone, Debug, Default)]
pub struct AccessTable {
    pub(super) table: LookupTable,
    /// Something in it may be the name of a host: the client's is worth a question.
    pub(super) has_names: bool,
}

impl AccessTable {
    /// Takes a table; what is no action in it is a problem.
    pub fn new(table: LookupTable) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut has_names = false;
        for (key, value, line) in table.entries() {
            has_names |= !key.contains(['@', ':']) && !is_figures(key);
            // It is told already that there is none.
            if let Err(text) = Action::parse(value)
                && !value.is_empty()
            {
                let place = table.place(line);
                problems.push(Problem {
                    path: place.path.to_path_buf(),
                    line: place.line,
                    text,
                    fault: true,
                });
            }
        }
        // Patterns have no key to look at; those of networks are for addresses alone.
        has_names &= !table.is_of_networks();
        (Self { table, has_names }, problems)
    }

    /// Keys that never match, told to whoever wrote them.
    pub fn hints(&self, subject: Subject) -> Vec<Problem> {
        let mut hints = Vec::new();
        for (key, value, line) in self.table.entries() {
            let hint = if key.starts_with('.') {
                format!("`{key}` never matches: write it without the dot, which covers subdomains")
            } else if subject == Subject::Sender && key == "<>" && refuses(value) {
                "refusing `<>` refuses bounces, and senders never hear of mail that failed"
                    .to_owned()
            } else {
                continue;
            };
            let place = self.table.place(line);
            hints.push(Problem {
                path: place.path.to_path_buf(),
                line: place.line,
                text: hint,
                fault: false,
            });
        }
        hints
    }
}

impl AsRef<LookupTable> for AccessTable {
    fn as_ref(&self) -> &LookupTable {
        &self.table
    }
}

fn is_figures(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

fn refuses(value: &str) -> bool {
    matches!(Action::parse(value), Ok(Action::Refuse(_)))
}
