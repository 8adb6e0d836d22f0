//! Formatting and lints of everything an author writes in Rust.

use std::path::PathBuf;

use anyhow::Result;

use super::Complaint;
use crate::{
    grade::Grader,
    model::exercise::Exercise,
    world::{
        course::is_clone,
        disk,
        process::{Cancel, capture, command},
    },
};

/// Every source is formatted; the solution is clippy-clean.
pub fn verify(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let mut complaints = formatted(grader, exercise, cancel)?;
    if is_clone(&grader.course.workspace) {
        complaints.extend(linted(grader, exercise, cancel)?);
    }
    Ok(complaints)
}

fn formatted(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let course = &grader.course;
    let hidden = course.hidden(exercise);
    let mut files: Vec<PathBuf> = vec![
        course.solution(exercise).join("src/lib.rs"),
        hidden.join("tests.rs"),
        hidden.join("contract.rs"),
    ];
    for folder in ["original", "right", "wrong"] {
        let folder = hidden.join(folder);
        files.extend(disk::names(&folder).iter().map(|name| folder.join(name)));
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let mut rustfmt = command(grader.toolchain.sysroot.join("bin/rustfmt"));
    rustfmt
        .args([
            "--check",
            "--edition",
            "2024",
            "--config",
            "skip_children=false",
            "-l",
        ])
        .args(&files)
        .current_dir(&course.trusted);
    let printed = capture(&mut rustfmt, cancel)?;
    let mut unformatted: Vec<&str> = printed.stdout.lines().collect();
    unformatted.dedup();
    let mut complaints: Vec<Complaint> = unformatted
        .into_iter()
        .filter(|line| line.ends_with(".rs"))
        .map(|file| Complaint {
            exercise: exercise.slug.clone(),
            file: relative(grader, file),
            line: 0,
            what: "is not formatted".to_owned(),
            mend: format!("rustfmt --edition 2024 {}", relative(grader, file)),
        })
        .collect();
    if !printed.status.success() && complaints.is_empty() {
        complaints.push(Complaint {
            exercise: exercise.slug.clone(),
            file: format!("grader/hidden/{}", exercise.slug),
            line: 0,
            what: format!("rustfmt failed: {}", printed.stderr.trim()),
            mend: "run it by hand on the folder's files".to_owned(),
        });
    }
    Ok(complaints)
}

fn linted(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let mut clippy = command(grader.toolchain.cargo());
    clippy
        .args([
            "clippy",
            "--quiet",
            "--message-format",
            "short",
            "--package",
        ])
        .arg(format!("solution_{}", exercise.slug))
        .args(["--", "-D", "warnings"])
        .env_remove("CARGO_TARGET_DIR")
        .args::<[&str; 0], &str>([])
        .current_dir(&grader.course.trusted);
    let printed = capture(&mut clippy, cancel)?;
    if printed.status.success() {
        return Ok(Vec::new());
    }
    let complaint = |file: &str, line, what: &str| Complaint {
        exercise: exercise.slug.clone(),
        file: file.to_owned(),
        line,
        what: what.to_owned(),
        mend: format!("cargo clippy -p solution_{}", exercise.slug),
    };
    let mut complaints: Vec<Complaint> = printed
        .stderr
        .lines()
        .filter_map(|line| {
            let (place, what) = line.split_once(": ")?;
            let mut place = place.split(':');
            let file = place.next().filter(|file| file.ends_with(".rs"))?;
            Some(complaint(file, place.next()?.parse().ok()?, what))
        })
        .collect();
    if complaints.is_empty() {
        let file = format!("solutions/{}/src/lib.rs", exercise.slug);
        complaints.push(complaint(&file, 0, printed.stderr.trim()));
    }
    Ok(complaints)
}

fn relative(grader: &Grader, file: &str) -> String {
    let root = grader.course.trusted.to_string_lossy();
    file.strip_prefix(root.as_ref())
        .unwrap_or(file)
        .trim_start_matches('/')
        .to_owned()
}
