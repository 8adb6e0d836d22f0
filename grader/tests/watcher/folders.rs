//! Folders that move, vanish and come back; links; retargeting.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::mpsc,
};

use kata::world::watcher::{Mode, Notice, Options, Watcher};

use crate::{
    course::{Course, STUB, exercises, run},
    support::pty::PATIENCE,
};

fn both(test: impl Fn(Course)) {
    test(Course::notified());
    test(Course::polled());
}

fn fill(src: &Path, text: &str) {
    fs::create_dir_all(src).unwrap();
    fs::write(src.join("lib.rs"), text).unwrap();
}

#[test]
fn src_deleted_and_created_again_is_watched_again() {
    both(|mut course| {
        fs::remove_dir_all(course.src()).unwrap();
        fill(&course.src(), "// again\n");
        course.counts_at_last("src created again");
    });
}

#[test]
fn an_exercise_deleted_and_created_again_is_watched_again() {
    both(|mut course| {
        for round in 0..5 {
            fs::remove_dir_all(course.day()).unwrap();
            fill(&course.src(), &format!("// again {round}\n"));
            course.counts_at_last("exercise created again");
        }
    });
}

#[test]
fn an_exercise_that_is_away_for_long_is_watched_when_it_is_back() {
    both(|mut course| {
        fs::remove_dir_all(course.day()).unwrap();
        let missing = course.saved();
        assert_eq!(missing.files, ["src/lib.rs"]);
        fill(&course.src(), STUB);
        course.counts_at_last("exercise created again");
    });
}

#[test]
fn an_exercise_exchanged_by_renaming_is_the_new_one() {
    both(|mut course| {
        let new = course.exercises().join("new");
        fill(&new.join("src"), "// new\n");
        fs::rename(course.day(), course.exercises().join("old")).unwrap();
        fs::rename(new, course.day()).unwrap();
        course.counts_at_last("exchanged");
        // The old folder's watch must not speak for the new one.
        course.does_not_count("a save in the old folder", |course| {
            fs::write(course.exercises().join("old/src/lib.rs"), "// old\n").unwrap();
        });
    });
}

#[test]
fn all_exercises_moved_away_and_back_are_watched_again() {
    both(|mut course| {
        let away = course.root().join("away");
        fs::rename(course.exercises(), &away).unwrap();
        // Either day may be told first.
        let mut missing = [course.saved().slug, course.saved().slug];
        missing.sort();
        assert_eq!(missing, ["day01_first", "day02_second"]);
        fs::rename(&away, course.exercises()).unwrap();
        let back = [course.saved(), course.saved()];
        assert!(back.iter().all(|saved| saved.digest == course.digest()));
        course.nothing_more("moved away and back");
    });
}

#[test]
fn all_exercises_deleted_and_created_again_are_watched_again() {
    both(|mut course| {
        fs::remove_dir_all(course.exercises()).unwrap();
        fill(&course.exercises().join("day02_second/src"), STUB);
        fill(&course.src(), "// again\n");
        course.counts_at_last("exercises created again");
    });
}

#[test]
fn a_project_exchanged_as_a_whole_is_the_new_one() {
    both(|mut course| {
        fs::rename(course.root(), course.root().with_extension("old")).unwrap();
        fill(&course.exercises().join("day02_second/src"), STUB);
        fill(&course.src(), "// another project\n");
        course.counts_at_last("the whole project");
        fs::remove_dir_all(course.root().with_extension("old")).unwrap();
    });
}

#[test]
fn a_watcher_that_is_dropped_has_ended() {
    both(|course| {
        fs::write(course.lib(), "// saved\n").unwrap();
        course.saved();
        // That this returns means that nobody is left who could tell something.
        assert_eq!(course.stop(), []);
    });
}

#[test]
fn a_course_reached_through_links_is_watched() {
    let real = exercises();
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("exercises")).unwrap();
    for day in ["day01_first", "day02_second"] {
        let exercises = Path::new("exercises").join(day);
        symlink(real.path().join(&exercises), root.path().join(exercises)).unwrap();
    }
    let mut course = Course::start(root, Options { poll: false });
    assert_eq!(course.watcher.mode(), Mode::Notify);
    course.counts_once("a save through the link", |course| {
        fs::write(course.lib(), "// through the link\n").unwrap();
    });
    course.counts_once("a save behind the link", |_| {
        let lib = real.path().join("exercises/day01_first/src/lib.rs");
        fs::write(lib, "// behind the link\n").unwrap();
    });
    let other = exercises();
    fs::write(
        other.path().join("exercises/day01_first/src/lib.rs"),
        "// other\n",
    )
    .unwrap();
    let target = other.path().join("exercises/day01_first");
    let day = course.day();
    run(
        course.root(),
        "ln",
        &["-sfn", target.to_str().unwrap(), day.to_str().unwrap()],
    );
    course.counts_at_last("the link leads elsewhere");
}

#[test]
fn sources_that_are_refused_are_told_once_and_their_return_too() {
    both(|mut course| {
        fs::write(course.src().join("big.rs"), " ".repeat(300_000)).unwrap();
        let refused = course.saved();
        fs::write(course.src().join("big.rs"), " ".repeat(300_001)).unwrap();
        fs::remove_file(course.src().join("big.rs")).unwrap();
        fs::write(course.lib(), "// small\n").unwrap();
        assert_ne!(course.digest(), refused.digest);
        course.counts_at_last("small again");
    });
}

#[test]
fn sources_that_may_not_be_read_are_told_and_so_is_their_return() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may read everything");
        return;
    }
    both(|mut course| {
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (path, allowed) in [
            (course.src(), 0o755),
            (course.day(), 0o755),
            (course.lib(), 0o644),
        ] {
            allow(&path, 0o000);
            course.saved();
            allow(&path, allowed);
            course.counts_at_last("allowed again");
        }
    });
}

#[test]
fn a_watcher_can_turn_to_other_exercises() {
    both(|mut course| {
        let new = course.exercises().join("day03_third");
        fill(&new.join("src"), STUB);
        course
            .watcher
            .retarget(&[course.day(), new.clone()])
            .unwrap();
        fs::write(new.join("src/lib.rs"), "// day 3\n").unwrap();
        assert_eq!(course.saved().slug, "day03_third");
        let left = course.exercises().join("day02_second/src/lib.rs");
        fs::write(left, "// nobody looks\n").unwrap();
        course.nothing_more("a day that is no longer watched");
    });
}

#[test]
fn an_exercise_that_does_not_exist_yet_is_told_when_it_comes() {
    for poll in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let day = root.path().join("exercises/day01_first");
        fs::create_dir(root.path().join("exercises")).unwrap();
        let (sender, notices) = mpsc::channel();
        let send = move |notice| sender.send(notice).unwrap();
        let _watcher = Watcher::start(std::slice::from_ref(&day), Options { poll }, send).unwrap();
        fill(&day.join("src"), STUB);
        let notice = notices.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(notice, Notice::Saved(_)), "{notice:?}");
    }
}
