//! A course of two days in a temporary folder, and somebody who watches it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use kata::world::watcher::{Digest, Mode, Notice, Options, Saved, Watcher, digest};
use tempfile::TempDir;

use crate::support::pty::PATIENCE;

/// What `src/lib.rs` holds at first.
pub const STUB: &str = "//! Day 1.\n\npub fn answer() -> u32 {\n    todo!()\n}\n";
const DAY: &str = "day01_first";

pub struct Course {
    pub watcher: Watcher,
    notices: Receiver<Notice>,
    /// Must not change: a save that only the safety net caught turns the watcher to polling.
    mode: Mode,
    sentinels: u32,
    /// The source that [`Self::nothing_more`] writes, under `src`.
    pub sentinel: &'static str,
    // Last, so that the watcher ends before its folders do.
    root: TempDir,
}

/// The temporary folder with the exercises, not watched yet.
pub fn exercises() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for day in [DAY, "day02_second"] {
        let src = root.path().join("exercises").join(day).join("src");
        fs::create_dir_all(&src).unwrap();
        fs::write(src.join("lib.rs"), STUB).unwrap();
    }
    root
}

impl Course {
    /// With the system's notifications; that they work is asserted.
    pub fn notified() -> Self {
        let course = Self::start(exercises(), Options { poll: false });
        assert_eq!(course.watcher.mode(), Mode::Notify);
        course
    }

    pub fn polled() -> Self {
        Self::start(exercises(), Options { poll: true })
    }

    pub fn start(root: TempDir, options: Options) -> Self {
        Self::start_on::<notify::RecommendedWatcher>(root, options)
    }

    pub fn start_on<W: notify::Watcher + Send + 'static>(root: TempDir, options: Options) -> Self {
        let (sender, notices) = mpsc::channel();
        let send = move |notice| sender.send(notice).unwrap();
        let days = [DAY, "day02_second"].map(|day| root.path().join("exercises").join(day));
        let watcher = Watcher::start_on::<W>(&days, options, send).unwrap();
        Self {
            mode: watcher.mode(),
            watcher,
            notices,
            sentinels: 0,
            sentinel: "lib.rs",
            root,
        }
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn exercises(&self) -> PathBuf {
        self.root().join("exercises")
    }

    pub fn day(&self) -> PathBuf {
        self.exercises().join(DAY)
    }

    pub fn src(&self) -> PathBuf {
        self.day().join("src")
    }

    pub fn lib(&self) -> PathBuf {
        self.src().join("lib.rs")
    }

    /// The watcher is to poll from now on.
    #[track_caller]
    pub fn turns_to_polling(&mut self) -> String {
        match self.notice() {
            Notice::Polling { why } => {
                assert_eq!(self.watcher.mode(), Mode::Poll { why: why.clone() });
                self.mode = self.watcher.mode();
                why
            }
            other => panic!("expected a change of mode, got {other:?}"),
        }
    }

    /// Ends the watcher; what it had told until then.
    pub fn stop(self) -> Vec<Notice> {
        drop(self.watcher);
        self.notices.iter().collect()
    }

    /// The next notice, which must come.
    #[track_caller]
    pub fn notice(&self) -> Notice {
        let notice = self.notices.recv_timeout(PATIENCE);
        notice.expect("nothing was noticed")
    }

    #[track_caller]
    pub fn saved(&self) -> Saved {
        match self.notice() {
            Notice::Saved(saved) => saved,
            other => panic!("expected a save, got {other:?}"),
        }
    }

    /// The content now.
    #[track_caller]
    pub fn digest(&self) -> Digest {
        digest(&self.day()).unwrap()
    }

    /// `save` has changed the content: that is told, once.
    #[track_caller]
    pub fn counts_once(&mut self, name: &str, save: impl FnOnce(&Self)) {
        let before = self.digest();
        save(self);
        let after = self.digest();
        assert_ne!(before, after, "{name}: nothing was saved");
        let saved = self.saved();
        assert_eq!(
            saved.digest, after,
            "{name}: told before it was all there: {saved:?}"
        );
        assert_eq!(saved.slug, DAY);
        self.nothing_more(name);
    }

    /// `act` has not changed the content: nothing is told.
    #[track_caller]
    pub fn does_not_count(&mut self, name: &str, act: impl FnOnce(&Self)) {
        let before = self.digest();
        act(self);
        assert_eq!(before, self.digest(), "{name}: the content changed");
        self.nothing_more(name);
    }

    /// The content will be told; before that, that something is missing may be told.
    #[track_caller]
    pub fn counts_at_last(&mut self, name: &str) {
        let after = self.digest();
        let deadline = Instant::now() + PATIENCE;
        while self.saved().digest != after {
            assert!(
                Instant::now() < deadline,
                "{name}: the last state was not told"
            );
        }
        self.nothing_more(name);
    }

    /// No notice is on its way: the next one is that of a save made now.
    #[track_caller]
    pub fn nothing_more(&mut self, name: &str) {
        self.sentinels += 1;
        let sentinel = format!("{STUB}// sentinel {}\n", self.sentinels);
        fs::write(self.src().join(self.sentinel), sentinel).unwrap();
        let saved = self.saved();
        assert_eq!(
            saved.digest,
            self.digest(),
            "{name}: told once more than it was saved"
        );
        assert_eq!(self.watcher.mode(), self.mode, "{name}");
    }
}

/// Runs a program quietly; it must succeed.
#[track_caller]
pub fn run(folder: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}

/// Whether a program is installed; says so if it is not.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}
