//! The ways in which programs write files.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use kata::world::watcher::Options;
use tempfile::TempDir;

use crate::course::{Course, STUB, exercises, run};

type Save = fn(&Course);

/// Each makes another content of day 1.
const SAVES: &[(&str, Save)] = &[
    ("truncate and write", |course| {
        fs::write(course.lib(), "// truncated and written\n").unwrap();
    }),
    ("truncate, close, and write later", |course| {
        fs::write(course.lib(), "").unwrap();
        fs::write(course.lib(), "// written into emptiness\n").unwrap();
    }),
    ("write in place without truncating", |course| {
        let mut file = OpenOptions::new().write(true).open(course.lib()).unwrap();
        file.write_all(b"// in place").unwrap();
    }),
    ("write byte by byte", |course| {
        let mut file = fs::File::create(course.lib()).unwrap();
        for byte in b"// one byte after the other\n".repeat(20) {
            file.write_all(&[byte]).unwrap();
        }
    }),
    ("append", |course| {
        let mut file = OpenOptions::new().append(true).open(course.lib()).unwrap();
        writeln!(file, "// appended").unwrap();
    }),
    ("temporary file and rename", |course| {
        let temporary = course.src().join(".lib.rs.a1b2c3");
        fs::write(&temporary, "// renamed over it\n").unwrap();
        fs::rename(temporary, course.lib()).unwrap();
    }),
    ("temporary file of another folder and rename", |course| {
        let temporary = course.root().join("lib.tmp");
        fs::write(&temporary, "// moved from elsewhere\n").unwrap();
        fs::rename(temporary, course.lib()).unwrap();
    }),
    ("keep a backup, create, remove the backup", |course| {
        let backup = course.src().join("lib.rs~");
        fs::write(course.src().join("4913"), "").unwrap();
        fs::remove_file(course.src().join("4913")).unwrap();
        fs::rename(course.lib(), &backup).unwrap();
        fs::write(course.lib(), "// as vim does\n").unwrap();
        fs::remove_file(backup).unwrap();
    }),
    ("delete and create", |course| {
        fs::remove_file(course.lib()).unwrap();
        fs::write(course.lib(), "// created again\n").unwrap();
    }),
    ("link a finished file to the name", |course| {
        let other = course.root().join("other");
        fs::write(&other, "// linked\n").unwrap();
        fs::remove_file(course.lib()).unwrap();
        fs::hard_link(&other, course.lib()).unwrap();
        fs::remove_file(other).unwrap();
    }),
    ("two saves of the same content", |course| {
        fs::write(course.lib(), "// twice the same\n").unwrap();
        fs::write(course.lib(), "// twice the same\n").unwrap();
    }),
    ("sed -i", |course| {
        run(&course.src(), "sed", &["-i", "s/todo!()/42/", "lib.rs"]);
    }),
    ("cp over it", |course| {
        fs::write(course.root().join("copy"), "// copied\n").unwrap();
        run(
            course.root(),
            "cp",
            &["copy", course.lib().to_str().unwrap()],
        );
    }),
    ("a new module", |course| {
        fs::write(course.src().join("module.rs"), "// new\n").unwrap();
    }),
    ("a module removed", |course| {
        fs::remove_file(course.src().join("module.rs")).unwrap();
    }),
    ("a module in a new folder", |course| {
        fs::create_dir_all(course.src().join("deep/er")).unwrap();
        fs::write(course.src().join("deep/er/module.rs"), "// deep\n").unwrap();
    }),
    ("a module in a folder that was new a moment ago", |course| {
        fs::write(course.src().join("deep/er/module.rs"), "// deeper\n").unwrap();
    }),
    ("that folder moved", |course| {
        fs::rename(course.src().join("deep"), course.src().join("steep")).unwrap();
    }),
    ("that folder removed", |course| {
        fs::remove_dir_all(course.src().join("steep")).unwrap();
    }),
];

const NO_SAVES: &[(&str, Save)] = &[
    ("touch", |course| run(&course.src(), "touch", &["lib.rs"])),
    ("the same content written again", |course| {
        let content = fs::read(course.lib()).unwrap();
        fs::write(course.lib(), content).unwrap();
    }),
    ("the same content in a new file", |course| {
        fs::copy(course.lib(), course.src().join("new")).unwrap();
        fs::rename(course.src().join("new"), course.lib()).unwrap();
    }),
    ("another mode", |course| {
        fs::set_permissions(course.lib(), fs::Permissions::from_mode(0o600)).unwrap();
    }),
    ("reading", |course| drop(fs::read(course.lib()).unwrap())),
    ("what editors leave beside a file", |course| {
        for junk in [
            ".lib.rs.swp",
            "4913",
            "#lib.rs#",
            "lib.rs~",
            ".lib.rs.kate-swp",
        ] {
            fs::write(course.src().join(junk), "junk").unwrap();
        }
        symlink("me@host.1:2", course.src().join(".#lib.rs")).unwrap();
    }),
    ("other files of the exercise", |course| {
        fs::write(course.day().join("README.md"), "# Day 1\n").unwrap();
        fs::create_dir_all(course.exercises().join("target/debug")).unwrap();
        fs::write(course.exercises().join("target/debug/x.rs"), "").unwrap();
    }),
];

fn all(mut course: Course) {
    for (name, save) in SAVES {
        course.counts_once(name, save);
    }
    for (name, act) in NO_SAVES {
        course.does_not_count(name, act);
    }
}

#[test]
fn every_way_to_save_counts_once_with_notifications() {
    all(Course::notified());
}

#[test]
fn every_way_to_save_counts_once_without_notifications() {
    all(Course::polled());
}

/// A repository with the stubs on `main`, and on `solved` a solution in seven files.
fn repository() -> TempDir {
    let root = exercises();
    let src = root.path().join("exercises/day01_first/src");
    let git = |args: &[&str]| git(root.path(), args);
    git(&["init", "--quiet", "--initial-branch=main"]);
    // A dirty work tree would keep git from changing it.
    fs::write(root.path().join(".gitignore"), "sentinel.rs\n").unwrap();
    // Writing this file takes git far longer than the watcher waits after the one before.
    git(&["config", "filter.slow.smudge", "sleep 0.05; cat"]);
    fs::write(root.path().join(".gitattributes"), "m.rs filter=slow\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=stub"]);
    git(&["checkout", "--quiet", "-b", "solved"]);
    for module in ["a", "b", "c", "m", "n", "o"] {
        fs::write(src.join(module).with_extension("rs"), "// a module\n").unwrap();
    }
    fs::write(src.join("lib.rs"), "// solved\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=solved"]);
    git(&["checkout", "--quiet", "main"]);
    root
}

fn git(root: &Path, args: &[&str]) {
    let learner = [
        "-c",
        "user.name=learner",
        "-c",
        "user.email=learner@localhost",
    ];
    run(root, "git", &[&learner, args].concat());
}

fn git_counts_once(poll: bool) {
    const LIB: &str = "exercises/day01_first/src/lib.rs";
    let mut course = Course::start(repository(), Options { poll });
    course.sentinel = "sentinel.rs";
    let root = course.root().to_owned();
    let git = |args: &[&str]| git(&root, args);
    for _ in 0..3 {
        course.counts_once("checkout of a branch with more files", |_| {
            git(&["checkout", "--quiet", "solved"]);
        });
        course.counts_once("checkout of a branch with fewer files", |_| {
            git(&["checkout", "--quiet", "main"]);
        });
    }
    course.counts_once("checkout of one file of another branch", |_| {
        git(&["checkout", "--quiet", "solved", "--", LIB]);
    });
    course.counts_once("stash", |_| git(&["stash", "--quiet"]));
    course.counts_once("stash pop", |_| git(&["stash", "pop", "--quiet"]));
    course.counts_once("reset", |_| git(&["reset", "--quiet", "--hard"]));
    fs::write(course.lib(), "// to be taken back\n").unwrap();
    course.counts_at_last("an edit");
    course.counts_once("checkout of one file", |_| {
        git(&["checkout", "--quiet", "--", LIB]);
    });
}

#[test]
fn git_checkout_counts_once_with_notifications() {
    git_counts_once(false);
}

#[test]
fn git_checkout_counts_once_without_notifications() {
    git_counts_once(true);
}

#[test]
fn a_save_names_the_files_that_differ() {
    let course = Course::notified();
    let temporary = course.root().join("module.rs");
    fs::write(&temporary, "// module\n").unwrap();
    fs::rename(temporary, course.src().join("module.rs")).unwrap();
    assert_eq!(course.saved().files, ["src/module.rs"]);
    fs::write(course.lib(), "// lib\n").unwrap();
    assert_eq!(course.saved().files, ["src/lib.rs"]);
}

#[test]
fn a_file_that_stays_empty_or_away_is_told_as_that() {
    for mut course in [Course::notified(), Course::polled()] {
        fs::write(course.lib(), "").unwrap();
        assert_eq!(course.saved().digest, course.digest());
        fs::remove_file(course.lib()).unwrap();
        let missing = course.saved();
        assert!(missing.files.contains(&"src/lib.rs".into()), "{missing:?}");
        fs::write(course.lib(), STUB).unwrap();
        course.counts_at_last("created after a while");
    }
}

#[test]
fn saves_of_other_days_carry_their_name() {
    for course in [Course::notified(), Course::polled()] {
        let other = course.exercises().join("day02_second/src/lib.rs");
        fs::write(other, "// day 2\n").unwrap();
        assert_eq!(course.saved().slug, "day02_second");
    }
}
