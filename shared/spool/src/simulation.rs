//! A disk that remembers what would be left after a power cut: what was synced, and of the rest
//! what luck decides.
//!
//! It works on real files, so that the spool reads what it wrote, and keeps a second picture of
//! what is durable.
//!
//! Contract: for tests alone, of this crate and (feature `simulation`) of whole programs. A spool
//! on it that was opened with
//! [`Spool::simulated`] has no threads, so that the same orders always have the same effects.
//! Failures: what a test did wrong is a panic.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::{self, File},
    io::{self, IoSlice, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use rustix::io::Errno;
use system::nameless::Nameless;

use crate::{
    Options, Recovery, Spool, SpoolError,
    disk::{self, Disk, Native},
    source::Source,
};

/// What the spool asks of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    Create,
    Nameless,
    Write,
    Sync,
    Link,
    Rename,
    Remove,
    Truncate,
    SyncDirectory,
    Open,
    Save,
    Promise,
}

/// What becomes of an operation.
pub enum Verdict {
    Work,
    /// A write takes only so many bytes.
    Short(usize),
    /// It fails with this errno.
    Fail(i32),
    /// The power is cut: this operation and all later ones fail, and a write among them is torn.
    Cut,
}

/// What is left of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Luck {
    Nothing,
    Everything,
    Some(u64),
}

type Plan = dyn Fn(usize, Operation) -> Verdict + Send + Sync;

/// The disk.
pub struct Sim {
    plan: Box<Plan>,
    world: Mutex<World>,
    /// Who opens a file to read it waits.
    silent: (Mutex<bool>, Condvar),
}

#[derive(Default)]
struct World {
    count: usize,
    off: bool,
    /// Which of our files an inode is now.
    inodes: HashMap<u64, usize>,
    files: Vec<Image>,
    names: BTreeMap<PathBuf, usize>,
    /// Each a change that happens as a whole.
    unsynced_names: Vec<Vec<(PathBuf, Option<usize>)>>,
}

#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Marked as a body of accepted mail.
    promised: bool,
    /// A sync failed: another one on this file would be a lie.
    broken: bool,
}

enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

impl Spool {
    /// Opens the spool in a directory on this disk, without threads of its own: what is recorded is
    /// committed, and space given back, when the caller says [`Spool::flush`].
    pub fn simulated(
        disk: &Arc<Sim>,
        directory: &Path,
        options: Options,
    ) -> Result<(Self, Recovery), SpoolError> {
        Self::open_with(Arc::clone(disk) as _, directory, options, false)
    }
}

impl Sim {
    /// A disk that holds what is in the directory, all of it durable.
    pub fn new(
        root: &Path,
        plan: impl Fn(usize, Operation) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let mut world = World::default();
        for inside in ["segments", "bodies", "quarantine"] {
            for entry in fs::read_dir(root.join(inside)).into_iter().flatten() {
                let path = entry.unwrap().path();
                let image = Image {
                    durable: fs::read(&path).unwrap(),
                    promised: disk::is_promised(&path.metadata().unwrap()),
                    ..Image::default()
                };
                let number = world.add(&File::open(&path).unwrap(), image);
                world.names.insert(path, number);
            }
        }
        Self {
            plan: Box::new(plan),
            world: Mutex::new(world),
            silent: Default::default(),
        }
    }

    /// From now on whoever opens a file to read it waits; or it answers again, all of them too.
    pub fn silence(&self, silent: bool) {
        *self.silent.0.lock().unwrap() = silent;
        self.silent.1.notify_all();
    }

    /// The power is cut.
    pub fn cut(&self) {
        self.world.lock().unwrap().off = true;
    }

    /// Whether it is.
    pub fn is_off(&self) -> bool {
        self.world.lock().unwrap().off
    }

    /// Operations so far.
    pub fn count(&self) -> usize {
        self.world.lock().unwrap().count
    }

    /// Writes to an empty directory what a power cut now would leave.
    pub fn leave(&self, luck: Luck, from: &Path, to: &Path) {
        let world = self.world.lock().unwrap();
        let mut random = Random(match luck {
            Luck::Some(seed) => seed,
            _ => 0,
        });
        let mut keeps = move || match luck {
            Luck::Nothing => false,
            Luck::Everything => true,
            Luck::Some(_) => random.next().is_multiple_of(2),
        };
        let mut names = world.names.clone();
        for change in &world.unsynced_names {
            if keeps() {
                for (path, target) in change {
                    match target {
                        Some(number) => drop(names.insert(path.clone(), *number)),
                        None => drop(names.remove(path)),
                    }
                }
            }
        }
        for inside in ["segments", "bodies", "quarantine"] {
            fs::create_dir_all(to.join(inside)).unwrap();
        }
        // Copies in quarantine are written with fsync, past this disk.
        for entry in fs::read_dir(from.join("quarantine")).unwrap() {
            let path = entry.unwrap().path();
            let known = world.inodes.contains_key(&path.metadata().unwrap().ino());
            if !known {
                fs::copy(&path, to.join("quarantine").join(path.file_name().unwrap())).unwrap();
            }
        }
        for (path, number) in names {
            let target = to.join(path.strip_prefix(from).unwrap());
            File::create(&target)
                .unwrap()
                .write_all(&world.files[number].left(&mut keeps))
                .unwrap();
            if world.files[number].promised && keeps() {
                Native.promise(&target).unwrap();
            }
        }
    }

    fn begin(
        &self,
        operation: Operation,
    ) -> io::Result<(std::sync::MutexGuard<'_, World>, Verdict)> {
        let mut world = self.world.lock().unwrap();
        world.count += 1;
        let off = || io::Error::from_raw_os_error(Errno::IO.raw_os_error());
        if world.off {
            return Err(off());
        }
        match (self.plan)(world.count, operation) {
            Verdict::Fail(errno) if operation != Operation::Sync => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Verdict::Cut => {
                world.off = true;
                if operation == Operation::Write {
                    Ok((world, Verdict::Cut))
                } else {
                    Err(off())
                }
            }
            verdict => Ok((world, verdict)),
        }
    }
}

impl World {
    fn add(&mut self, file: &File, image: Image) -> usize {
        self.files.push(image);
        self.inodes
            .insert(file.metadata().unwrap().ino(), self.files.len() - 1);
        self.files.len() - 1
    }

    /// Names made and removed in a directory last.
    fn sync_names(&mut self, directory: &Path) {
        let inside = |(name, _): &(PathBuf, _)| name.starts_with(directory);
        let (mine, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsynced_names)
            .into_iter()
            .partition(|change: &Vec<_>| change.iter().any(inside));
        self.unsynced_names = others;
        for (name, target) in mine.into_iter().flatten() {
            match target {
                Some(number) => drop(self.names.insert(name, number)),
                None => drop(self.names.remove(&name)),
            }
        }
        let known: HashSet<usize> = self.names.values().copied().collect();
        assert!(known.iter().all(|number| *number < self.files.len()));
    }

    fn number(&self, file: &File) -> usize {
        self.inodes[&file.metadata().unwrap().ino()]
    }
}

impl Image {
    fn left(&self, keeps: &mut impl FnMut() -> bool) -> Vec<u8> {
        const SECTOR: usize = 512;
        let mut content = self.durable.clone();
        for change in &self.unsynced {
            match change {
                Change::Size(size) if keeps() => content.resize(usize::try_from(*size).unwrap(), 0),
                Change::Size(_) => {}
                Change::Write(offset, bytes) => {
                    let mut at = usize::try_from(*offset).unwrap();
                    for sector in bytes.chunks(SECTOR) {
                        if keeps() {
                            content.resize(content.len().max(at + sector.len()), 0);
                            content[at..at + sector.len()].copy_from_slice(sector);
                        }
                        at += sector.len();
                    }
                }
            }
        }
        content
    }

    fn sync(&mut self) {
        self.durable = self.left(&mut || true);
        self.unsynced.clear();
    }
}

impl Disk for Sim {
    fn create(&self, path: &Path, size: u64) -> io::Result<File> {
        let (mut world, _) = self.begin(Operation::Create)?;
        let file = Native.create(path, size)?;
        let number = world.add(
            &file,
            Image {
                unsynced: vec![Change::Size(size)],
                ..Image::default()
            },
        );
        world
            .unsynced_names
            .push(vec![(path.to_owned(), Some(number))]);
        Ok(file)
    }

    fn reopen(&self, path: &Path, size: u64) -> io::Result<File> {
        let (mut world, _) = self.begin(Operation::Open)?;
        let file = Native.reopen(path, size)?;
        let number = world.number(&file);
        let length = file.metadata().unwrap().len();
        world.files[number].unsynced.push(Change::Size(length));
        Ok(file)
    }

    fn create_nameless(&self, directory: &Path) -> io::Result<Nameless> {
        let begun = self.begin(Operation::Nameless);
        let unknown =
            |error: &io::Error| error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error());
        if begun.as_ref().is_err_and(unknown) {
            let file = Nameless::named(directory)?;
            self.world
                .lock()
                .unwrap()
                .add(file.file(), Image::default());
            return Ok(file);
        }
        let (mut world, _) = begun?;
        let file = Native.create_nameless(directory)?;
        world.add(file.file(), Image::default());
        Ok(file)
    }

    fn write(&self, file: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let (mut world, verdict) = self.begin(Operation::Write)?;
        let mut bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        if let Verdict::Short(most) = verdict {
            bytes.truncate(most);
        }
        let written = Native.write(file, offset, &[IoSlice::new(&bytes)])?;
        assert_eq!(written, bytes.len());
        let number = world.number(file);
        world.files[number]
            .unsynced
            .push(Change::Write(offset, bytes));
        if world.off {
            Err(io::ErrorKind::Other.into())
        } else {
            Ok(written)
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let (mut world, verdict) = self.begin(Operation::Sync)?;
        let number = world.number(file);
        let image = &mut world.files[number];
        assert!(!image.broken, "fsync again on a file whose fsync failed");
        if let Verdict::Fail(errno) = verdict {
            // Linux marks the pages clean and forgets them.
            image.unsynced.clear();
            image.broken = true;
            return Err(io::Error::from_raw_os_error(errno));
        }
        image.sync();
        Ok(())
    }

    fn link(&self, file: &mut Nameless, path: &Path) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Link)?;
        Native.link(file, path)?;
        let number = world.number(file.file());
        world
            .unsynced_names
            .push(vec![(path.to_owned(), Some(number))]);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Rename)?;
        let number = world.number(&File::open(from)?);
        Native.rename(from, to)?;
        world
            .unsynced_names
            .push(vec![(to.to_owned(), Some(number)), (from.to_owned(), None)]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Remove)?;
        Native.remove(path)?;
        world.unsynced_names.push(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn truncate(&self, path: &Path, size: u64) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Truncate)?;
        Native.truncate(path, size)?;
        let number = world.number(&File::open(path)?);
        world.files[number].unsynced.push(Change::Size(size));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Source> {
        let silent = self.silent.0.lock().unwrap();
        drop(self.silent.1.wait_while(silent, |silent| *silent).unwrap());
        let (_world, _) = self.begin(Operation::Open)?;
        Native.open(path)
    }

    fn save(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Save)?;
        Native.save(path, content)?;
        let image = Image {
            durable: content.to_vec(),
            ..Image::default()
        };
        let number = world.add(&File::open(path)?, image);
        world.sync_names(path.parent().unwrap());
        world.names.insert(path.to_owned(), number);
        Ok(())
    }

    fn promise(&self, path: &Path) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::Promise)?;
        let number = world.number(&File::open(path)?);
        world.files[number].promised = true;
        Native.promise(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let (mut world, _) = self.begin(Operation::SyncDirectory)?;
        world.sync_names(path);
        Ok(())
    }

    fn writes_in_place(&self, _: &Path) -> bool {
        true
    }
}

/// splitmix64: the same luck every time.
pub struct Random(pub u64);

impl Random {
    /// Any number.
    #[expect(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
