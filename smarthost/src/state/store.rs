//! The database: one table, one row a client, the record as JSON text, so that any `SQLite` tool can look at it.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, params};

use crate::network::Network;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS client_limits (client TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT";

/// How long an administrator's tool that holds the database is waited for: at start, and at each write, while clients wait for their replies.
const BUSY_AT_START: Duration = Duration::from_secs(5);
const BUSY: Duration = Duration::from_millis(100);

/// Why the state cannot be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateError {
    pub path: PathBuf,
    pub text: String,
}
impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.text)
    }
}
impl std::error::Error for StateError {}

/// What was kept.
#[derive(Debug, Default)]
pub struct Restored {
    /// For [`crate::limits::Limits::restore`].
    pub limits: Vec<(Network, String)>,
    /// A damaged database was moved aside to this path.
    pub quarantined: Option<PathBuf>,
}

/// `state.sqlite` in the state directory.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens (and makes) it, and reads what is there. The directory must exist.
    pub fn open(directory: &Path) -> Result<(Self, Restored), StateError> {
        let path = directory.join("state.sqlite");
        let failed = |error: rusqlite::Error| StateError {
            path: path.clone(),
            text: error.to_string(),
        };
        match read(&path) {
            Ok((connection, limits)) => {
                let restored = Restored {
                    limits,
                    quarantined: None,
                };
                Ok((Self { path, connection }, restored))
            }
            Err(error) if is_damaged(&error) => {
                let quarantined = move_aside(&path).map_err(|error| StateError {
                    path: path.clone(),
                    text: format!("damaged, and cannot be moved aside: {error}"),
                })?;
                let (connection, limits) = read(&path).map_err(failed)?;
                let restored = Restored {
                    limits,
                    quarantined: Some(quarantined),
                };
                Ok((Self { path, connection }, restored))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes all changes, or none.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a Network, &'a Option<String>)>,
    ) -> Result<(), StateError> {
        let result = (|| {
            let transaction = self.connection.transaction()?;
            {
                let mut put = transaction
                    .prepare("INSERT INTO client_limits VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = ?2")?;
                for (client, record) in changes {
                    match record {
                        Some(record) => put.execute(params![client.to_string(), record])?,
                        None => transaction.execute(
                            "DELETE FROM client_limits WHERE client = ?1",
                            params![client.to_string()],
                        )?,
                    };
                }
            }
            transaction.commit()
        })();
        result.map_err(|error: rusqlite::Error| StateError {
            path: self.path.clone(),
            text: error.to_string(),
        })
    }
}

fn read(path: &Path) -> rusqlite::Result<(Connection, Vec<(Network, String)>)> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_AT_START)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    let rows = {
        let mut select = connection.prepare("SELECT client, record FROM client_limits")?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    connection.busy_timeout(BUSY)?;
    // A name that is no client was not written by us: it is ignored, and stays.
    let clients = rows
        .into_iter()
        .filter_map(|(name, record)| Some((Network::parse(&name).ok()?, record)));
    Ok((connection, clients.collect()))
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Gives the damaged file another name, and drops the write-ahead log that belongs to it.
fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1u32;
    let aside = loop {
        let aside = path.with_extension(format!("sqlite.damaged-{number}"));
        match std::fs::hard_link(path, &aside) {
            Ok(()) => break aside,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => {
                number += 1;
            }
            Err(error) => return Err(error),
        }
    };
    for leftover in ["sqlite-wal", "sqlite-shm"] {
        match std::fs::remove_file(path.with_extension(leftover)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::remove_file(path)?;
    Ok(aside)
}
