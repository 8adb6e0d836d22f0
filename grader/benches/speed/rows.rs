//! The rows that compare kata with cargo and rustc.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    course::{Course, quiet, repository, write},
    idle::Watched,
    stopwatch::{median, row, time},
};

/// The rows of one exercise.
pub fn all(course: &Course, wanted: &dyn Fn(&str) -> bool) {
    let name = |what: &str| format!("{}: {what}", course.name);
    let test = ["test", "--quiet", "--test", "tests"];
    let check = ["check", course.slug.as_str()];

    let title = name("kata check against cargo test");
    if wanted(&title) {
        row(
            &title,
            0.75,
            |round| after(course, 2 * round, || quiet(&mut course.kata(&check))),
            |round| after(course, 2 * round + 1, || quiet(&mut course.cargo(&test))),
        );
    }
    let title = name("kata check against two bare rustc and the program");
    if wanted(&title) {
        let bare = Bare::new(course);
        row(
            &title,
            0.9,
            |round| after(course, 2 * round, || quiet(&mut course.kata(&check))),
            |round| after(course, 2 * round + 1, || bare.run()),
        );
    }
    let title = name("kata watch, save to verdict, against cargo test");
    if wanted(&title) {
        let watched = Watched::start(course);
        row(
            &title,
            1.0,
            |round| {
                let seen = watched.verdicts();
                time(|| {
                    course.change(2 * round);
                    watched.wait_for_verdict_after(seen);
                })
            },
            |round| {
                let seen = watched.verdicts();
                let took = after(course, 2 * round + 1, || quiet(&mut course.cargo(&test)));
                watched.wait_for_verdict_after(seen);
                took
            },
        );
    }
    let title = name("kata watch, type error, against cargo check");
    if wanted(&title) {
        let watched = Watched::start(course);
        row(
            &title,
            1.0,
            |round| {
                let seen = watched.verdicts();
                time(|| {
                    course.break_types(2 * round);
                    watched.wait_for_verdict_after(seen);
                })
            },
            |round| {
                let seen = watched.verdicts();
                course.break_types(2 * round + 1);
                watched.wait_for_verdict_after(seen);
                // A new error for cargo alone: the watcher sees the same content again.
                let file = course.cargo.join("exercise/src/lib.rs");
                let text = fs::read_to_string(&file).expect("a source");
                write(&file, &format!("{text}\n"));
                time(|| {
                    let arguments = ["check", "--quiet", "--package", package(course)];
                    quiet(&mut course.cargo(&arguments));
                })
            },
        );
    }
    let title = name("kata check --all, nothing changed, against no-op cargo test");
    if wanted(&title) {
        course.change(0);
        row(
            &title,
            1.0,
            |_| time(|| quiet(&mut course.kata(&["check", "--all"]))),
            |_| time(|| quiet(&mut course.cargo(&test))),
        );
    }
}

fn package(course: &Course) -> &str {
    Box::leak(format!("solution_{}", course.slug).into_boxed_str())
}

/// Changes the source, then measures.
fn after(course: &Course, round: usize, work: impl FnOnce()) -> Duration {
    course.change(round);
    time(work)
}

/// The two compilers and the program, one after the other, with the flags that
/// kata uses: it may win only by what it overlaps and leaves out.
struct Bare {
    script: PathBuf,
}

impl Bare {
    fn new(course: &Course) -> Self {
        let folder = repository()
            .join("target/bench")
            .join(format!("bare-{}", course.slug));
        let deps = course.trusted.join("target/kata/deps");
        let text =
            fs::read_to_string(deps.join(&course.slug).join("deps.json")).expect("built deps");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let externs = |side: &str| -> String {
            let externs = json[side].as_object().expect("externs");
            externs
                .iter()
                .map(|(name, file)| format!(" --extern {name}={}", file.as_str().expect("a path")))
                .collect()
        };
        let lib = json["folder"].as_str().expect("a folder");
        let src = course.file().parent().expect("src").display().to_string();
        let tests = course
            .trusted
            .join("grader/hidden")
            .join(&course.slug)
            .join("tests.rs");
        let sysroot = Command::new("rustc")
            .args(["--print", "sysroot"])
            .output()
            .expect("rustc");
        let sysroot = String::from_utf8(sysroot.stdout)
            .expect("UTF-8")
            .trim()
            .to_owned();
        let out = folder.display();
        let common = format!(
            "{sysroot}/bin/rustc --edition 2024 -C embed-bitcode=no --out-dir {out} -L dependency={lib}"
        );
        let text = format!(
            "set -e\n\
             {common} --crate-name exercise --crate-type lib --emit dep-info,metadata,link \
             -C debuginfo=line-tables-only -C incremental={out}/inc1{} {src}/lib.rs\n\
             {common} --crate-name hidden --crate-type bin --emit link -C prefer-dynamic \
             -C debuginfo=0 -C incremental={out}/inc2 --extern exercise={out}/libexercise.rlib{} {}\n\
             LD_LIBRARY_PATH={lib}:$(echo {sysroot}/lib/rustlib/*/lib) {out}/hidden\n",
            externs("learner"),
            externs("hidden"),
            tests.display()
        );
        let script = folder.join("bare.sh");
        write(&script, &text);
        Self { script }
    }

    fn run(&self) {
        quiet(Command::new("sh").arg(&self.script));
    }
}

/// From a fresh clone to the first verdict, against a build of the grader and
/// of day 1's dependencies alone.
pub fn fresh() {
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let ours = time(|| {
            let clone = clone();
            quiet(
                Command::new("cargo")
                    .args(["run", "--quiet", "--", "check", "1"])
                    .current_dir(clone.path()),
            );
        });
        let theirs = time(|| {
            let clone = clone();
            quiet(
                Command::new("cargo")
                    .args(["build", "--quiet", "--package", "kata"])
                    .current_dir(clone.path()),
            );
            quiet(
                Command::new("cargo")
                    .args([
                        "build",
                        "--quiet",
                        "--package",
                        "kata-harness",
                        "--package",
                        "solution_day01_basic_async",
                    ])
                    .args(["--target-dir", "target/deps"])
                    .current_dir(clone.path()),
            );
        });
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    println!(
        "{:<58} {:>8.2} {:>8.2}",
        "fresh clone to first verdict against cargo build",
        median(ratios),
        1.2
    );
}

fn clone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new("git")
        .args(["clone", "--quiet"])
        .arg(repository())
        .arg(folder.path())
        .stderr(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the clone failed"
    );
    assert!(Path::new(folder.path()).join("Cargo.toml").exists());
    folder
}
