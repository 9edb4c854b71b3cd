//! The spool as its callers see it.

use std::{
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    Draft, Entry, Event, Hold, Parties, QueueId, Recovery, SpoolError, Usage, Waiting,
    asked::Asked,
    closed,
    committer::Committer,
    disk::{Disk, Native},
    draft::{Content, Known},
    free::{self, Look},
    holder::{self, Held},
    id::Ids,
    item::{Accept, Done, New},
    journal::{self, Level},
    layout::Layout,
    lock,
    log::Log,
    message::message_size,
    place::{self, Root},
    record::{Head, Part, Place, Record, State, What},
    recovery, unread,
    watched::Watched,
};
use mail::{address::Sender, clock, envelope::Envelope, limits};

/// How the spool is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Size of a segment, bytes (4 KiB to 1 GiB).
    pub segment: u64,
    /// Below this many free bytes new mail is refused (deliveries go on).
    pub minimum_free: u64,
    /// Delivery results are durable at the latest after this.
    pub linger: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment: 16 * 1024 * 1024,
            minimum_free: limits::MINIMUM_FREE,
            // Shorter than anybody needs to kill what he has just seen deliver; twenty syncs a
            // second, at most, where nothing else syncs.
            linger: Duration::from_millis(50),
        }
    }
}

/// The store. Cheap to clone; shared by threads. The last clone closes it when dropped.
#[derive(Clone)]
pub struct Spool {
    pub(super) open: Arc<Open>,
}

pub(super) struct Open {
    pub(super) committer: Arc<Committer>,
    pub(super) ids: Ids,
    pub(super) minimum_free: u64,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) closed: Mutex<bool>,
    held: Mutex<Option<Held>>,
    pub(super) root: Root,
    /// Where there are threads.
    pub(super) look: OnceLock<Arc<Look>>,
}

impl Spool {
    /// Opens (and makes) the spool in a directory, and recovers what is there.
    pub fn open(directory: &Path, options: Options) -> Result<(Self, Recovery), SpoolError> {
        Self::open_on(Arc::new(Native), directory, options)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
    ) -> Result<(Self, Recovery), SpoolError> {
        let (spool, recovery) = Self::open_with(disk, directory, options, true)?;
        spool.start("spool-commit", Committer::run)?;
        spool.start("spool-reclaim", Committer::run_reclaim)?;
        let (root, path) = (spool.open.root.clone(), directory.to_owned());
        let asked = Arc::clone(&spool.open.committer.asked);
        let look = || free::apart(asked, root, path);
        spool.open.look.get_or_init(look);
        Ok((spool, recovery))
    }

    /// Without `threads`: what is recorded is committed, and space given back, when the caller says
    /// [`Spool::flush`].
    pub(super) fn open_with(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
        threads: bool,
    ) -> Result<(Self, Recovery), SpoolError> {
        let asked = Asked::new(directory, threads);
        let disk: Arc<dyn Disk> = Arc::new(Watched {
            disk,
            asked: Arc::clone(&asked),
        });
        let layout = Layout::new(directory);
        for path in [&layout.root, &layout.segments, &layout.bodies] {
            system::fs::create_directory(path, 0o700)
                .map_err(SpoolError::io("cannot create directory", path))?;
        }
        // What cannot be copied there stays where it is.
        if let Err(error) = system::fs::create_directory(&layout.quarantine, 0o700) {
            let path = layout.quarantine.display();
            let text = format_args!("spool: cannot create {path}: {error}");
            journal::line(Level::Error, &text);
        }
        let held = holder::lock(&layout)?;
        let root = Root::new(&layout, &held.lock, held.alone);
        let recovered = recovery::recover(disk.as_ref(), &layout)?;
        let segment = options.segment.clamp(4096, 1 << 30);
        let mut log = Log::new(
            Arc::clone(&disk),
            layout.clone(),
            root.clone(),
            segment,
            recovered.next_segment,
        );
        log.keep_reserve_over_restarts();
        let mut committer = Committer::new(
            (disk, asked),
            layout,
            options.linger,
            segment,
            recovered.index,
            log,
        );
        committer.found = Mutex::new(recovered.recovery.lasting(directory));
        committer.unread = unread::Waiting::new(recovered.recovery.unread.clone());
        committer.damaged = Mutex::new(recovered.spoiled);
        let open = Open {
            ids: Ids::after(recovered.highest_id),
            minimum_free: options.minimum_free,
            threads: Mutex::default(),
            closed: Mutex::default(),
            root,
            look: OnceLock::new(),
            held: Mutex::new(Some(held)),
            committer: Arc::new(committer),
        };
        let spool = Self {
            open: Arc::new(open),
        };
        Ok((spool, recovered.recovery))
    }

    fn start(&self, name: &str, run: fn(&Committer)) -> Result<(), SpoolError> {
        let committer = Arc::clone(&self.open.committer);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&committer));
        let thread = thread.map_err(SpoolError::io(
            "cannot start a thread for",
            &self.open.committer.layout.root,
        ))?;
        lock(&self.open.threads).push(thread);
        Ok(())
    }

    /// Where it is, whatever a configuration names by now.
    pub fn directory(&self) -> &Path {
        &self.open.committer.layout.root
    }

    /// Begins a message.
    pub fn draft(&self) -> Result<Draft, SpoolError> {
        Ok(self.draft_as(self.open.ids.next()))
    }

    /// The same for a message that has an id.
    pub(super) fn draft_as(&self, id: QueueId) -> Draft {
        let committer = &self.open.committer;
        let bodies = committer.layout.bodies.clone();
        Draft::new(id, Arc::clone(&committer.disk), bodies)
    }

    /// Makes it durable; blocks until the commit that holds it is on disk.
    pub fn accept(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
    ) -> Result<QueueId, SpoolError> {
        let (told, result) = mpsc::sync_channel(1);
        // The receiver below outlives every sender; a failed send cannot be.
        let done = Box::new(move |result| drop(told.send(result)));
        if let Some(accept) = self.prepare(draft, envelope, header, done) {
            self.open.committer.accept_here(accept);
        }
        result.recv().unwrap_or(Err(SpoolError::Stopped))
    }

    /// The same without blocking: `done` is called (on a thread of the spool, or of another
    /// `accept`) when it is durable, or not. It must not block.
    pub fn accept_then(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        done: impl FnOnce(Result<QueueId, SpoolError>) + Send + 'static,
    ) {
        if !draft.is_file() {
            if let Some(accept) = self.prepare(draft, envelope, header, Box::new(done)) {
                self.open.committer.accept_there(accept);
            }
            return;
        }
        // The body's own sync may take long; that is rare enough for a thread of its own.
        let (spool, envelope, header) = (self.clone(), envelope.clone(), header.to_vec());
        let work = Arc::new(Mutex::new(Some((draft, done))));
        let run = move |work: &Mutex<Option<_>>| {
            let Some((draft, done)) = lock(work).take() else {
                return;
            };
            if let Some(accept) = spool.prepare(draft, &envelope, &header, Box::new(done)) {
                spool.open.committer.accept_there(accept);
            }
        };
        let (theirs, run_there) = (Arc::clone(&work), run.clone());
        if thread::Builder::new()
            .name("spool-body".to_owned())
            .spawn(move || run_there(&theirs))
            .is_err()
        {
            run(&work);
        }
    }

    /// Everything about a message that needs no lead; a body's file is synced and named here.
    /// `None`: `done` was told.
    fn prepare(
        &self,
        draft: Draft,
        envelope: &Envelope,
        header: &[u8],
        done: Done,
    ) -> Option<Box<Accept>> {
        match self.form(draft, envelope, header) {
            Ok(Formed {
                record,
                arrival,
                body,
                hold,
                known,
                file,
            }) => Some(Box::new(Accept {
                new: New {
                    size: message_size(header.len(), body.len()),
                    uid: envelope.uid,
                    parties: Parties::of(envelope),
                    arrival,
                    body,
                    hold,
                    known,
                },
                vital: envelope.sender == Sender::Null,
                record,
                file,
                done,
            })),
            Err(error) => {
                done(Err(error));
                None
            }
        }
    }

    fn form(&self, draft: Draft, envelope: &Envelope, header: &[u8]) -> Result<Formed, SpoolError> {
        let committer = &self.open.committer;
        let (id, arrival) = (draft.id(), draft.arrival().unwrap_or_else(clock::now));
        let invalid = || {
            SpoolError::io("cannot take a message into", &committer.layout.root)(
                ErrorKind::InvalidInput.into(),
            )
        };
        let recipients = u32::try_from(envelope.recipients.len())
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(invalid)?;
        let (content, hold, known) = draft.into_content();
        let has_state = hold != Hold::No || known.is_some();
        let known = known.unwrap_or_else(|| Known {
            warned: false,
            waiting: Waiting::new(recipients),
            giver: None,
        });
        let fresh = || {
            let state = State::of(hold, known.warned, None, &known.waiting);
            state.with_giver(known.giver.as_ref())
        };
        let mut at = None;
        let (place, inline, state) = match content {
            Content::Inline(body) => (
                Place::Inline(u32::try_from(body.len()).map_err(|_| invalid())?),
                body,
                has_state.then(fresh),
            ),
            Content::File(mut file, length, crc) => {
                let path = committer.layout.body(id);
                committer
                    .disk
                    .sync(file.file())
                    .map_err(SpoolError::io("cannot sync", &path))?;
                committer
                    .disk
                    .link(&mut file, &path)
                    .map_err(SpoolError::io("cannot create", &path))?;
                at = file.file().metadata().ok().map(|it| place::of(&it));
                let state = fresh().with_body_checksum(crc);
                (Place::File(length), Vec::new(), Some(state))
            }
        };
        let envelope = postcard::to_stdvec(envelope).map_err(|_| invalid())?;
        let head = Head {
            recipients,
            envelope: Part::of(&envelope).ok_or_else(invalid)?,
            header: u32::try_from(header.len()).map_err(|_| invalid())?,
            body: place,
            state,
        };
        let record = Record::message(id, arrival, &head, &[&envelope, header], inline)
            .ok_or_else(invalid)?;
        Ok(Formed {
            record,
            arrival,
            body: place,
            hold,
            known,
            file: at,
        })
    }

    /// Records what happened to a message. Returns at once; [`Spool::entry`] shows it at once.
    pub fn record(&self, id: QueueId, event: Event) {
        self.open.committer.record(id, What::Event(event));
    }

    /// Waits until all that was recorded is on disk: an order is answered only then.
    pub fn commit(&self) -> Result<(), SpoolError> {
        self.open.committer.flush()
    }

    /// The same, and gives back what space it freed.
    pub fn flush(&self) -> Result<(), SpoolError> {
        self.commit()?;
        self.open.committer.reclaim();
        Ok(())
    }

    /// A message without its content.
    pub fn entry(&self, id: QueueId) -> Option<Entry> {
        lock(&self.open.committer.index).entry(id)
    }

    /// All that is queued, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.open.committer.index).entries()
    }

    /// What is queued of the mail of all users that are meant, together.
    pub fn usage(&self, whose: impl Fn(u32) -> bool) -> Usage {
        lock(&self.open.committer.index).usage(whose)
    }

    /// When a commit last reached the disk, and how long that took.
    pub fn last_sync(&self) -> Option<(clock::Timestamp, Duration)> {
        *lock(&self.open.committer.synced)
    }

    /// Number of messages queued.
    pub fn len(&self) -> usize {
        lock(&self.open.committer.index).len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Commits what is recorded, stops the committer and gives up the lock; later accepts are
    /// refused with [`SpoolError::Stopped`].
    pub fn close(&self) {
        self.keep_remains();
        self.open.close();
    }
}

impl Open {
    fn close(&self) {
        if std::mem::replace(&mut *lock(&self.closed), true) {
            return;
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        self.committer.stop();
        self.committer.reclaim.stop();
        if threads
            .iter()
            .any(|thread| thread.thread().id() == thread::current().id())
        {
            // The last clone was in a `done`: this is the committer's thread, which commits what is
            // left when it returns.
            return;
        }
        for thread in threads {
            if thread.join().is_err() {
                journal::line(
                    Level::Error,
                    &format_args!("spool: a thread of the spool ended in a panic"),
                );
            }
        }
        if let Err(error) = self.committer.flush() {
            journal::line(
                Level::Error,
                &format_args!("spool: what was recorded last is not on disk: {error}"),
            );
        }
        self.committer.reclaim();
        let committer = &self.committer;
        lock(&committer.log).close(&committer.index);
        closed::write(
            committer.disk.as_ref(),
            &committer.layout,
            &lock(&committer.index),
        );
        // With what the last segment has given back.
        lock(&committer.log).leave_reserve();
        drop(lock(&self.held).take());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

struct Formed {
    record: Record,
    arrival: clock::Timestamp,
    body: Place,
    hold: Hold,
    known: Known,
    file: Option<place::Place>,
}

#[cfg(test)]
impl Spool {
    /// Where a message's record begins in its segment.
    pub(super) fn place_of(&self, id: QueueId) -> Option<u64> {
        lock(&self.open.committer.index)
            .message(id)
            .map(|message| message.offset.into())
    }
}

#[cfg(test)]
mod tests;
