//! `kata watch` in a pseudo-terminal: save to verdict, and what it costs at rest.

use std::{
    fs,
    io::Read,
    process::Command,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use crate::{
    course::{Course, quiet},
    stopwatch::median,
};

/// What every verdict's status line contains, and nothing else on the screen.
const MARK: &str = "compiled ";

/// `kata watch` at work.
pub struct Watched {
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<usize>, Condvar)>,
    _pair: Box<dyn portable_pty::MasterPty + Send>,
}

impl Watched {
    /// Starts it and waits for its first verdict.
    pub fn start(course: &Course) -> Self {
        // Another content than any round has: each round is a change.
        course.change(1_000_000);
        let size = PtySize {
            rows: 50,
            cols: 80,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut kata = CommandBuilder::new(env!("CARGO_BIN_EXE_kata"));
        kata.args(["watch", &course.slug]);
        kata.cwd(course.workspace.path());
        kata.env("KATA_COURSE", &course.trusted);
        kata.env("LANG", "C.UTF-8");
        let child = pair.slave.spawn_command(kata).expect("kata starts");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let seen = Arc::new((Mutex::new(0), Condvar::new()));
        let counter = Arc::clone(&seen);
        thread::spawn(move || {
            let mut text = String::new();
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                let found = text.matches(MARK).count();
                *counter.0.lock().expect("a lock") = found;
                counter.1.notify_all();
            }
        });
        let watched = Self {
            child,
            seen,
            _pair: pair.master,
        };
        watched.wait_for_verdict_after(0);
        watched
    }

    /// Verdicts shown so far.
    pub fn verdicts(&self) -> usize {
        *self.seen.0.lock().expect("a lock")
    }

    /// Waits until one more was shown.
    pub fn wait_for_verdict_after(&self, count: usize) {
        let seen = self.seen.0.lock().expect("a lock");
        let wait = self
            .seen
            .1
            .wait_timeout_while(seen, Duration::from_secs(120), |seen| *seen <= count);
        assert!(!wait.expect("a lock").1.timed_out(), "no verdict came");
    }

    fn id(&self) -> u32 {
        self.child.process_id().expect("it runs")
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows that have no other side.
pub fn all(course: &Course, wanted: &dyn Fn(&str) -> bool) {
    if wanted("kata progress, CPU") {
        // The system counts in hundredths of a second: many calls make one sample.
        let sample =
            || cpu_of(|| (0..20).for_each(|_| quiet(&mut course.kata(&["progress"])))) / 20.0;
        let ms = median((0..15).map(|_| sample()).collect());
        println!("{:<58} {ms:>6.1} ms {:>6} ms", "kata progress, CPU", 10);
    }
    if wanted("kata watch, idle") {
        let watched = Watched::start(course);
        // Until the background build is through, nothing is idle.
        while children(watched.id()) > 0 {
            thread::sleep(Duration::from_millis(200));
        }
        let before = ticks(watched.id());
        thread::sleep(Duration::from_secs(10));
        let used = ticks(watched.id()) - before;
        println!(
            "{:<58} {used:>6} ticks {:>3} ticks of 1/100 s in 10 s",
            "kata watch, idle, CPU", 0
        );
        println!(
            "{:<58} {:>6} MB {:>6} MB",
            "kata watch, idle, resident",
            resident(watched.id()),
            20
        );
    }
}

/// User and system time of the children that `work` waited for, in milliseconds.
fn cpu_of(work: impl FnOnce()) -> f64 {
    let before = waited_for();
    work();
    waited_for() - before
}

/// CPU time of all children waited for, from the shell's own account of itself.
fn waited_for() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: f64 =
        fields[13].parse::<f64>().expect("cutime") + fields[14].parse::<f64>().expect("cstime");
    ticks * 10.0
}

fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("/proc");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
}

fn children(id: u32) -> usize {
    let output = Command::new("pgrep")
        .args(["-P", &id.to_string()])
        .output()
        .expect("pgrep");
    String::from_utf8_lossy(&output.stdout).lines().count()
}

fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("/proc");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("VmRSS");
    let kb: u64 = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kb / 1024
}
