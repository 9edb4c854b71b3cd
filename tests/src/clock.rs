//! Clocks of programs that a test sets while they run: a library that, loaded before all others,
//! adds to the time of day what stands in a file. What a program measures with its monotonic clock
//! stays true.

use std::{fs::File, os::unix::fs::FileExt as _, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::{identity::write, peers, peers::text};

/// Nothing of it may allocate: a program's allocator asks for the time, too.
const SOURCE: &str = r"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *ahead;

__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv(`CLOCK_AHEAD`), O_RDONLY | O_CLOEXEC);
    void *at = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) abort();
    close(file);
    ahead = at;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, which, now);
    if (!failed && ahead && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
";

/// What makes clocks.
#[derive(Debug)]
pub struct Clocks {
    library: PathBuf,
    _directory: TempDir,
}

impl Clocks {
    /// `None` (after saying so) where no compiler is installed.
    pub fn new() -> Option<Self> {
        let compiler = peers::find("cc")?;
        let directory = tempfile::tempdir().unwrap();
        let [source, library] = ["clock.c", "clock.so"].map(|name| directory.path().join(name));
        write(&source, SOURCE.replace('`', "\""));
        let mut command = Command::new(compiler);
        command.args(["-O1", "-shared", "-fPIC", "-o"]);
        let status = command.args([&library, &source]).status().unwrap();
        assert!(status.success(), "cc does not compile");
        Some(Self {
            library,
            _directory: directory,
        })
    }

    /// One that is right, until it is set.
    pub fn clock(&self) -> Clock {
        let directory = tempfile::tempdir().unwrap();
        let ahead = directory.path().join("ahead");
        write(&ahead, 0i64.to_ne_bytes());
        let words = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", text(&self.library)),
            format!("CLOCK_AHEAD={}", text(&ahead)),
        ];
        Clock {
            words,
            file: File::options().write(true).open(ahead).unwrap(),
            _directory: directory,
        }
    }
}

/// The clock of whoever is started with its [words](Self::words).
#[derive(Debug)]
pub struct Clock {
    words: [String; 3],
    file: File,
    _directory: TempDir,
}

impl Clock {
    /// To be put before a command.
    pub fn words(&self) -> [String; 3] {
        self.words.clone()
    }

    /// Sets it so many seconds ahead of the true time, or behind it.
    pub fn set(&self, ahead: i64) {
        self.file.write_all_at(&ahead.to_ne_bytes(), 0).unwrap();
    }
}
