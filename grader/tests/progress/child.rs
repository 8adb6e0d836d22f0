//! A process of its own for the tests that kill it, starve it or run two of it.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, ErrorKind, Write as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use kata::{
    model::progress::{Entry, Progress},
    world::progress_file::{ProgressError, ProgressFile},
};
use serde_json::Value;

use super::workspace::{completed, names, slug};

const JOB: &str = "KATA_TEST_JOB";
const ROOT: &str = "KATA_TEST_ROOT";

/// This test program again, told to do one job in a workspace.
pub fn arguments() -> Vec<String> {
    let program = env::current_exe().unwrap().into_os_string();
    let program = program.into_string().unwrap();
    let flags = ["child::job", "--exact", "--ignored", "--nocapture"];
    [program]
        .into_iter()
        .chain(flags.map(str::to_owned))
        .collect()
}

/// A command with the job in its environment; `command` ends in [`arguments`].
pub fn command(command: &[String], job: &str, root: &Path) -> Command {
    let mut child = Command::new(&command[0]);
    child
        .args(&command[1..])
        .env(JOB, job)
        .env(ROOT, root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    child
}

/// Starts a job, and gives the numbers it says as it says them.
pub fn start(job: &str, root: &Path) -> (Child, Said) {
    let mut child = command(&arguments(), job, root).spawn().unwrap();
    let said = Said(BufReader::new(child.stdout.take().unwrap()));
    (child, said)
}

/// The numbers that a child says, one per line, until its end.
pub struct Said(BufReader<ChildStdout>);

impl Iterator for Said {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(number) = line.strip_prefix("said ") {
                return Some(number.trim().parse().unwrap());
            }
        }
    }
}

fn say(number: u64) {
    // One write, so that a kill leaves no half of a line; the newline in
    // front ends what the test runner has begun.
    let line = format!("\nsaid {number}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

#[test]
#[ignore = "the other tests run it, each in a process of its own"]
fn job() {
    let (Ok(job), Some(root)) = (env::var(JOB), env::var_os(ROOT)) else {
        return;
    };
    let file = ProgressFile::at(&root);
    match job.as_str() {
        "write for ever" => write_for_ever(&file),
        "count to 500" => count(&file, 500),
        "write too much" => write_too_much(&file, Path::new(&root)),
        "fill the disk" => fill_the_disk(&file, Path::new(&root)),
        "write where nobody may" => write_where_nobody_may(&file),
        other => panic!("no such job: {other}"),
    }
}

/// The state after so many writes; every one has another length.
pub fn state(writes: u64) -> Progress {
    let mut progress = Progress::default();
    for day in 1..=20 {
        let saves = writes;
        let entry = Entry {
            saves,
            ..completed()
        };
        progress.exercises.insert(slug(day), entry);
    }
    let length = usize::try_from(writes * 7919 % 20_000).unwrap();
    let filling = writes.to_string().repeat(length);
    progress
        .other
        .insert("filling".into(), Value::from(filling));
    progress
}

/// How many writes a state has seen.
pub fn writes(progress: &Progress) -> u64 {
    progress.entry(&slug(1)).map_or(0, |entry| entry.saves)
}

fn write_for_ever(file: &ProgressFile) {
    loop {
        let updated = file.update(|progress| *progress = state(writes(progress) + 1));
        say(writes(&updated.unwrap().progress));
    }
}

fn count(file: &ProgressFile, times: u32) {
    for _ in 0..times {
        let updated = file.update(|progress| {
            progress.exercises.entry(slug(1)).or_default().saves += 1;
        });
        assert_eq!(updated.unwrap().notices, []);
    }
}

/// More than a limit on the size of files allows.
fn write_too_much(file: &ProgressFile, root: &Path) {
    let before = file.load().unwrap().progress;
    let error = file
        .update(|progress| {
            progress
                .other
                .insert("filling".into(), "x".repeat(100_000).into());
        })
        .unwrap_err();
    refused(&error, ErrorKind::FileTooLarge);
    goes_on(file, root, &before);
}

fn fill_the_disk(file: &ProgressFile, root: &Path) {
    file.update(|progress| progress.exercises.insert(slug(1), completed()))
        .unwrap();
    let before = file.load().unwrap().progress;
    let mut filling = fs::File::create(root.join("filling")).unwrap();
    while filling.write_all(&[b'x'; 512]).is_ok() {}

    let error = file
        .update(|progress| progress.hint_seen(&slug(2), 1))
        .unwrap_err();
    refused(&error, ErrorKind::StorageFull);
    assert!(
        error.to_string().contains("Make room on the disk"),
        "{error}"
    );
    a_broken_file_stays(file, root);

    drop(filling);
    fs::remove_file(root.join("filling")).unwrap();
    goes_on(file, root, &before);
}

/// On a full disk there is no room for the good state, so that the broken one stays.
fn a_broken_file_stays(file: &ProgressFile, root: &Path) {
    let sound = fs::read(root.join("progress.json")).unwrap();
    // In place, which needs no room.
    fs::write(root.join("progress.json"), "{").unwrap();
    for _ in 0..2 {
        let error = file.load().unwrap_err();
        assert!(
            matches!(error, ProgressError::NotSetAside { .. }),
            "{error:?}"
        );
    }
    assert_eq!(fs::read(root.join("progress.json")).unwrap(), b"{");
    assert_eq!(names(root, "progress.json"), ["progress.json"]);
    fs::write(root.join("progress.json"), sound).unwrap();
}

fn refused(error: &ProgressError, kind: ErrorKind) {
    let ProgressError::NotWritten { source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), kind, "{source:?}");
}

/// The old state is intact, nothing lies about, and the next update works.
fn goes_on(file: &ProgressFile, root: &Path, before: &Progress) {
    assert_eq!(names(root, ""), [".kata", "progress.json"]);
    assert_eq!(&file.load().unwrap().progress, before);
    file.update(|progress| progress.hint_seen(&slug(20), 2))
        .unwrap();
    assert_eq!(
        file.load()
            .unwrap()
            .progress
            .entry(&slug(20))
            .unwrap()
            .hints,
        2
    );
}

fn write_where_nobody_may(file: &ProgressFile) {
    let before = file.load().unwrap().progress;
    let error = file
        .update(|progress| progress.hint_seen(&slug(2), 1))
        .unwrap_err();
    refused(&error, ErrorKind::PermissionDenied);
    let mut expected = "progress.json cannot be written: Permission denied\n  \
        The file still holds the state before, and your code is untouched.\n  \
        Make sure that you may write to it and its folder (ls -ld "
        .to_owned();
    let folder = file.path();
    let folder = folder.parent().unwrap().display();
    write!(expected, "{folder}), then save or run again.").unwrap();
    assert_eq!(error.to_string(), expected);
    assert_eq!(file.load().unwrap().progress, before);
}
