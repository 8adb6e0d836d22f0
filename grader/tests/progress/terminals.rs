//! Two terminals at once.

use std::{fs::File, thread, time::Duration};

use kata::world::progress_file::{ProgressError, ProgressFile};

use super::{
    child::start,
    workspace::{Workspace, slug},
};

#[test]
fn two_processes_lose_nothing_of_each_other() {
    let workspace = Workspace::new();
    let children: Vec<_> = (0..2)
        .map(|_| start("count to 500", workspace.root()))
        .collect();
    for (mut child, said) in children {
        assert_eq!(said.count(), 0);
        assert!(child.wait().unwrap().success());
    }
    let progress = workspace.load_quietly();
    assert_eq!(progress.entry(&slug(1)).unwrap().saves, 1000);
}

#[test]
fn two_threads_lose_nothing_of_each_other() {
    let workspace = Workspace::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let file = ProgressFile::at(workspace.root());
                for _ in 0..25 {
                    file.update(|p| p.exercises.entry(slug(1)).or_default().saves += 1)
                        .unwrap();
                }
            });
        }
    });
    let progress = workspace.load_quietly();
    assert_eq!(progress.entry(&slug(1)).unwrap().saves, 100);
}

#[test]
fn a_stopped_process_does_not_hold_up_the_others_for_ever() {
    let workspace = Workspace::new().with_completed(1);
    let before = workspace.read("progress.json");
    let lock = File::open(workspace.path(".kata/progress.lock")).unwrap();
    lock.lock().unwrap();

    let hasty = ProgressFile::at(workspace.root()).with_patience(Duration::from_millis(20));
    let error = hasty.update(|p| p.hint_seen(&slug(2), 1)).unwrap_err();
    assert!(matches!(error, ProgressError::Busy { .. }), "{error:?}");
    assert!(
        error.to_string().contains("another kata has held"),
        "{error}"
    );
    assert_eq!(workspace.read("progress.json"), before);
    assert_eq!(
        hasty.load().unwrap().progress.completed(),
        1,
        "reading needs no lock"
    );

    lock.unlock().unwrap();
    // The thread that waited too long lets the lock go again.
    workspace.update(|progress| progress.hint_seen(&slug(2), 1));
}

#[test]
fn an_update_waits_for_the_lock() {
    let workspace = Workspace::new().with_completed(1);
    let lock = File::open(workspace.path(".kata/progress.lock")).unwrap();
    lock.lock().unwrap();
    thread::scope(|scope| {
        let update = scope.spawn(|| workspace.complete([2]));
        assert_eq!(workspace.load_quietly().completed(), 1);
        lock.unlock().unwrap();
        assert_eq!(update.join().unwrap(), []);
    });
    assert_eq!(workspace.load_quietly().completed(), 2);
}

#[test]
fn without_a_lock_work_goes_on_and_it_is_told_once() {
    let workspace = Workspace::new();
    workspace.write(".kata", "in the way");
    let told: Vec<String> = workspace
        .complete([1])
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("progress.json cannot be locked: "),
        "{}",
        told[0]
    );
    assert!(
        told[0].contains("Use one terminal at a time"),
        "{}",
        told[0]
    );
    assert!(
        told[1].starts_with("the last good state cannot be kept in "),
        "{}",
        told[1]
    );
    assert_eq!(workspace.complete([2]), []);
    assert_eq!(workspace.load_quietly().completed(), 2);
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
}
