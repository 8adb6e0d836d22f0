//! Formatting and lints of everything an author writes in Rust.

use std::path::Path;

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

/// Every source is formatted; the solution and its checks are clippy-clean.
pub fn verify(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let mut complaints = formatted(grader, exercise, cancel)?;
    if is_clone(&grader.course.workspace) {
        complaints.extend(linted(grader, exercise, cancel)?);
    }
    Ok(complaints)
}

/// Files are copied side by side first: a variant's `mod given;` means a file
/// that lies elsewhere, and rustfmt would look for it.
fn formatted(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let bench = disk::temporary_folder()?;
    // What `mod given;` finds there.
    disk::write(&bench.path().join("given.rs"), b"//! Given.\n")?;
    let mut copies = Vec::new();
    for file in sources(grader, exercise) {
        let text = disk::text(&grader.course.trusted.join(&file))?;
        let copy = bench.path().join(file.replace('/', "--"));
        let lines = text.lines().filter(|line| !line.starts_with("#[path"));
        let text = lines.collect::<Vec<_>>().join(
            "
",
        ) + "
";
        disk::write(&copy, text.as_bytes())?;
        copies.push((copy, file));
    }
    let mut rustfmt = command(grader.toolchain.sysroot.join("bin/rustfmt"));
    rustfmt
        .args(["--check", "--edition", "2024", "-l"])
        .args(copies.iter().map(|(copy, _)| copy))
        .current_dir(&grader.course.trusted);
    let printed = capture(&mut rustfmt, cancel)?;
    let complaint = |file: &str, what: String| Complaint {
        exercise: exercise.slug.clone(),
        file: file.to_owned(),
        line: 0,
        what,
        mend: format!("rustfmt --edition 2024 < {file} > new.rs && mv new.rs {file}"),
    };
    let mut complaints: Vec<Complaint> = copies
        .iter()
        .filter(|(copy, _)| printed.stdout.lines().any(|line| Path::new(line) == copy))
        .map(|(_, file)| complaint(file, "is not formatted".to_owned()))
        .collect();
    if !printed.status.success() && complaints.is_empty() {
        let folder = format!("grader/hidden/{}", exercise.slug);
        complaints.push(complaint(
            &folder,
            format!("rustfmt failed: {}", printed.stderr.trim()),
        ));
    }
    Ok(complaints)
}

/// Every Rust source of the exercise, relative to the course.
fn sources(grader: &Grader, exercise: &Exercise) -> Vec<String> {
    let hidden = format!("grader/hidden/{}", exercise.slug);
    let mut files = vec![
        format!("solutions/{}/src/lib.rs", exercise.slug),
        format!("{hidden}/tests.rs"),
        format!("{hidden}/contract.rs"),
    ];
    for folder in ["original", "right", "wrong"] {
        let names = disk::names(&grader.course.hidden(exercise).join(folder));
        files.extend(names.iter().map(|name| format!("{hidden}/{folder}/{name}")));
    }
    files.retain(|file| has_extension(file, "rs") && grader.course.trusted.join(file).is_file());
    files
}

fn linted(grader: &Grader, exercise: &Exercise, cancel: &Cancel) -> Result<Vec<Complaint>> {
    let mut clippy = command(grader.toolchain.cargo());
    clippy
        .args([
            "clippy",
            "--quiet",
            "--message-format",
            "short",
            "--all-targets",
            "--package",
        ])
        .arg(format!("solution_{}", exercise.slug))
        .arg("--package")
        .arg(format!("hidden_{}", exercise.slug))
        .args(["--", "-D", "warnings"])
        .env_remove("CARGO_TARGET_DIR")
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
        mend: format!(
            "cargo clippy --all-targets -p solution_{0} -p hidden_{0}",
            exercise.slug
        ),
    };
    let mut complaints: Vec<Complaint> = printed
        .stderr
        .lines()
        .filter_map(|line| {
            let (place, what) = line.split_once(": ")?;
            let mut place = place.split(':');
            let file = place.next().filter(|file| has_extension(file, "rs"))?;
            Some(complaint(file, place.next()?.parse().ok()?, what))
        })
        .collect();
    if complaints.is_empty() {
        let file = format!("solutions/{}/src/lib.rs", exercise.slug);
        complaints.push(complaint(&file, 0, printed.stderr.trim()));
    }
    Ok(complaints)
}

fn has_extension(file: &str, wanted: &str) -> bool {
    Path::new(file)
        .extension()
        .is_some_and(|extension| extension == wanted)
}
