//! The database: a row a client, the record as JSON text, so that any `SQLite` tool can look at it;
//! one table for our clients, one for strangers, one for what administrators ordered.

use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, params};

use system::{
    log::{Level, line},
    read, within,
};

use super::{
    ordered::{self, Ordered},
    places::{FILE, beside, database, move_aside, resolved, was_emptied},
    shelves::{Key, Restored, Shelf, TABLES, name},
};
use crate::limits::ClientId;

/// Ending of the index of the log.
const INDEX: &str = "-shm";

/// How long an administrator's tool that holds the database is waited for: at start, and at each
/// write, while clients wait for their replies.
const BUSY_AT_START: Duration = Duration::from_secs(5);
const BUSY: Duration = Duration::from_millis(100);

/// Below this many free bytes nothing is written. What `SQLite` shares with those who only look is
/// memory over a file; a file system that writes elsewhere what it has (btrfs, ZFS) kills who
/// writes to it when there is no room for that (SIGBUS).
const ROOM: u64 = 4 * 1024 * 1024;

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

/// `state.sqlite` in the state directory.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// The database, where a link leads to.
    path: PathBuf,
    /// `None`: to be opened anew.
    connection: Option<Connection>,
    /// The files that are open: the database and its write-ahead log.
    files: [Option<FileId>; 2],
    /// Device, number and size of the index of the log, which is mapped.
    index: Option<[u64; 3]>,
    /// Why it could not be opened, if this daemon has not had it open yet.
    fault: Option<StateError>,
    /// Nor could it be read.
    unread: bool,
    pub(super) ordered: Ordered,
}

/// Device and number of a file, its size and time: only we write.
type FileId = [i64; 5];

impl Store {
    /// Opens (and makes) it, and reads what is there. The directory must exist.
    pub fn open(directory: &Path) -> Result<(Self, Restored), StateError> {
        Self::opened(directory, was_emptied)
    }

    fn opened(
        directory: &Path,
        was_emptied: fn(&Path) -> bool,
    ) -> Result<(Self, Restored), StateError> {
        let path = database(directory);
        has_room(&path)?;
        let failed = |error: rusqlite::Error| StateError {
            path: path.clone(),
            text: error.to_string(),
        };
        let found = if was_emptied(&path) {
            Ok(None)
        } else {
            read(&path).map(Some)
        };
        match found {
            Ok(Some((connection, restored))) => {
                Ok((Self::of(directory, path, connection, &restored), restored))
            }
            Err(error) if !is_damaged(&error) => Err(failed(error)),
            _ => {
                let quarantined = move_aside(&path).map_err(|error| StateError {
                    path: path.clone(),
                    text: format!("damaged, and cannot be moved aside: {error}"),
                })?;
                let (connection, mut restored) = read(&path).map_err(failed)?;
                restored.quarantined = Some(quarantined);
                restored.copied = ordered::take_back(directory, &mut restored);
                Ok((Self::of(directory, path, connection, &restored), restored))
            }
        }
    }

    /// The same at a start that nothing here may hold up: what cannot be opened is read as far as
    /// that is possible without writing, kept in memory, and opened when it can be; where its disk
    /// does not answer, it is not waited for.
    pub fn begin(directory: &Path) -> (Self, Restored) {
        let name = directory.join(FILE);
        let (of, file) = (directory.to_owned(), name.clone());
        let silent = |error: io::Error| {
            let fault = StateError {
                path: file,
                text: error.to_string(),
            };
            Self::unopened(&of, of.join(FILE), fault, None)
        };
        let from = directory.to_owned();
        within::ask(&name, move |_| Ok(Self::begin_now(&from))).unwrap_or_else(silent)
    }

    fn begin_now(directory: &Path) -> (Self, Restored) {
        let fault = match Self::open(directory) {
            Ok(opened) => return opened,
            Err(fault) => fault,
        };
        let path = database(directory);
        let found = match path.try_exists() {
            Ok(false) => Some(Restored::default()),
            _ => look(&path).ok(),
        };
        Self::unopened(directory, path, fault, found)
    }

    /// What cannot be opened, with what is known of it.
    fn unopened(
        directory: &Path,
        path: PathBuf,
        fault: StateError,
        found: Option<Restored>,
    ) -> (Self, Restored) {
        let ordered = found.as_ref().map(|found| Ordered::of(directory, found));
        let store = Self {
            directory: directory.to_owned(),
            path,
            connection: None,
            files: [None; 2],
            index: None,
            fault: Some(fault),
            unread: found.is_none(),
            ordered: ordered.unwrap_or_default(),
        };
        (store, found.unwrap_or_default())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not open, after [`Store::begin`].
    pub(super) fn fault(&self) -> Option<&StateError> {
        self.fault.as_ref()
    }

    /// What is kept there now, beside a daemon that runs or not; makes and changes nothing.
    pub fn peek(directory: &Path) -> Result<Restored, StateError> {
        let (name, from) = (directory.join(FILE), directory.to_owned());
        within::ask(&name, move |_| Ok(Self::peek_now(&from))).unwrap_or_else(|error| {
            Err(StateError {
                path: name.clone(),
                text: error.to_string(),
            })
        })
    }

    /// Whether there is anything to look at, as far as can be seen.
    pub fn is_in(directory: &Path) -> bool {
        read::is_there(&directory.join(FILE))
    }

    fn peek_now(directory: &Path) -> Result<Restored, StateError> {
        let path = database(directory);
        let failed = |error: rusqlite::Error| StateError {
            path: path.clone(),
            text: error.to_string(),
        };
        if matches!(fs::metadata(&path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(Restored::default());
        }
        let mut uri = format!("file:{}?mode=ro", in_uri(&path));
        // Closed as it should be, and nobody writes: SQLite would make files beside it to find that
        // out.
        if !beside(&path, "-wal").exists() {
            uri.push_str("&immutable=1");
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_AT_START).map_err(failed)?;
        let is_there = |table: &str| connection.table_exists(None, table);
        select(&connection, is_there).map_err(failed)
    }

    fn of(directory: &Path, path: PathBuf, connection: Connection, found: &Restored) -> Self {
        // A link that led nowhere leads to what was made.
        let path = resolved(path);
        Self {
            directory: directory.to_owned(),
            files: files(&path),
            index: index(&path),
            path,
            connection: Some(connection),
            fault: None,
            unread: false,
            ordered: Ordered::of(directory, found),
        }
    }

    /// Whether what is written is found at the next start: the files are still those that were
    /// opened, and sound.
    pub(super) fn is_there(&self) -> bool {
        let still = |(opened, found): (&Option<FileId>, Option<FileId>)| {
            opened.is_none() || *opened == found
        };
        let found = files(&self.path);
        self.connection.is_some()
            && found.first().is_some_and(Option::is_some)
            && self.files.iter().zip(found).all(still)
    }

    /// The index of the log is memory over a file; where somebody has cut that short, a look at
    /// what is gone would end the daemon (SIGBUS). Empty and as long as before, `SQLite` makes it
    /// anew.
    pub(super) fn mend_index(&self) {
        let (Some([device, inode, size]), Some(found)) = (self.index, index(&self.path)) else {
            return;
        };
        let [found_device, found_inode, found_size] = found;
        if (found_device, found_inode) != (device, inode) || found_size >= size {
            return;
        }
        let path = beside(&self.path, INDEX);
        let file = fs::File::options().write(true).open(&path);
        let mended = file.and_then(|file| {
            file.set_len(0)?;
            file.set_len(size)
        });
        let text = match mended {
            Ok(()) => "was cut short: it is made anew".to_owned(),
            Err(error) => format!("was cut short, and cannot be made anew: {error}"),
        };
        line(Level::Warning, &format_args!("{}: {text}", path.display()));
    }

    /// Opens it anew, after [`Store::is_there`] said no; everything has to be written then. What is
    /// there, if that was never read.
    pub(super) fn again(&mut self) -> Result<Option<Restored>, StateError> {
        self.spare_database();
        // Closed first: SQLite removes the log by its name.
        self.connection = None;
        let directory = self.directory.as_path();
        system::fs::create_directory(directory, 0o700).map_err(|error| StateError {
            path: directory.to_owned(),
            text: error.to_string(),
        })?;
        let is_new = !self.path.exists();
        // Where it was made empty all is in memory still.
        let (mut store, mut found) = Self::opened(directory, |_| false)?;
        if self.unread && is_new {
            found.copied = ordered::take_back(directory, &mut found);
            store.ordered = Ordered::of(directory, &found);
        }
        let before = std::mem::replace(self, store);
        Ok(before.unread.then_some(found))
    }

    /// Where somebody has written into the log alone, nothing of that comes into the database: at
    /// the next opening the log is read up to what is damaged.
    fn spare_database(&self) {
        let ([database, Some([device, inode, ..])], [found, Some([at, number, ..])]) =
            (self.files, files(&self.path))
        else {
            return;
        };
        if let Some(connection) = &self.connection
            && database == found
            && (device, inode) == (at, number)
        {
            // Where it does not work, what is written anew from memory is put beside.
            let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// Writes all changes, or none.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = (&'a Key, &'a Option<String>)>,
    ) -> Result<(), StateError> {
        has_room(&self.path)?;
        let result = (|| {
            let transaction = match &mut self.connection {
                Some(connection) => connection.transaction()?,
                None => return Ok(()),
            };
            for ((shelf, client), record) in changes {
                let table = name(*shelf);
                match record {
                    Some(record) => transaction
                        .prepare(&format!(
                            "INSERT INTO {table} VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = ?2"
                        ))?
                        .execute(params![client, record])?,
                    None => transaction
                        .prepare(&format!("DELETE FROM {table} WHERE client = ?1"))?
                        .execute(params![client])?,
                };
            }
            transaction.commit()
        })();
        self.files = files(&self.path);
        self.index = index(&self.path);
        result.map_err(|error: rusqlite::Error| {
            // Somebody wrote into it, or made it empty.
            if is_damaged(&error) || error.sqlite_error_code() == Some(ErrorCode::Unknown) {
                self.connection = None;
            }
            StateError {
                path: self.path.clone(),
                text: error.to_string(),
            }
        })
    }
}

fn files(path: &Path) -> [Option<FileId>; 2] {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let file = |path: &Path| {
        let file = fs::metadata(path).ok()?;
        let (device, inode, size) = (number(file.dev()), number(file.ino()), number(file.len()));
        Some([device, inode, size, file.mtime(), file.mtime_nsec()])
    };
    [file(path), file(&beside(path, "-wal"))]
}

fn index(path: &Path) -> Option<[u64; 3]> {
    let file = fs::metadata(beside(path, INDEX)).ok()?;
    Some([file.dev(), file.ino(), file.len()])
}

fn read(path: &Path) -> rusqlite::Result<(Connection, Restored)> {
    close_to_others(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_AT_START)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let found = select(&connection, |table| {
        let columns = "client TEXT PRIMARY KEY, record TEXT NOT NULL";
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {table} ({columns}) STRICT"
        ))?;
        Ok(true)
    })?;
    connection.busy_timeout(BUSY)?;
    Ok((connection, found))
}

fn has_room(path: &Path) -> Result<(), StateError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    match system::fs::room(directory) {
        Ok(room) if room.bytes < ROOM => Err(StateError {
            path: path.to_owned(),
            text: format!(
                "the disk is full: {} KiB are free, {} KiB are wanted",
                room.bytes / 1024,
                ROOM / 1024
            ),
        }),
        // Where that is not told, the database says what it lacks.
        _ => Ok(()),
    }
}

/// Who sent what to whom is nobody else's business, whatever the umask is. `SQLite` gives what it
/// makes beside the database the mode of that; what cannot be closed is told by `check`.
fn close_to_others(path: &Path) {
    let mut new = fs::OpenOptions::new();
    let _ = new.write(true).create_new(true).mode(0o600).open(path);
    for ending in ["", "-wal", "-shm"] {
        let _ = system::fs::close_to_others(&beside(path, ending));
    }
}

/// What is kept there, without a byte written: who has it alone shares nothing.
pub(super) fn look(path: &Path) -> rusqlite::Result<Restored> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY_AT_START)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    select(&connection, |table| connection.table_exists(None, table))
}

/// A path within the name of a database.
fn in_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// All rows of the tables that are there.
fn select(
    connection: &Connection,
    mut is_there: impl FnMut(&str) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Restored> {
    let mut found = Restored::default();
    for (table, shelf) in TABLES {
        if !is_there(table)? {
            continue;
        }
        let mut select = connection.prepare(&format!("SELECT client, record FROM {table}"))?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        for row in rows {
            let (name, record) = row?;
            match shelf {
                // A name that is no client was not written by us: it is ignored, and stays.
                Shelf::Limit(kept) => {
                    if let Ok(client) = ClientId::parse(&name) {
                        found.limits.push(((kept, client), record));
                    }
                }
                Shelf::Greylist => found.greylist.push((name, record)),
                Shelf::Recipients => found.recipients.push((name, record)),
                Shelf::Refusals => found.refusals.push((name, record)),
                Shelf::Activity => found.activity.push((name, record)),
                Shelf::Machines => found.machines.push((name, record)),
                Shelf::Notices => found.notices.push((name, record)),
                Shelf::Expected => found.expected.push((name, record)),
                Shelf::Budget => found.budget.push((name, record)),
                Shelf::Tokens => found.tokens.push((name, record)),
                Shelf::Lessons => found.lessons.push((name, record)),
            }
        }
    }
    Ok(found)
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}
