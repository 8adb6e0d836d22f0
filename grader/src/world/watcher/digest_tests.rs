//! Tests of what counts as content.

use super::*;

fn source(relative: &str, text: &str) -> SourceFile {
    SourceFile {
        relative: relative.into(),
        bytes: text.into(),
    }
}

#[test]
fn paths_and_bytes_count_and_their_border_does_too() {
    let digests = [
        Digest::of(&[]),
        Digest::of(&[source("src/lib.rs", "")]),
        Digest::of(&[source("src/lib.rs", "x")]),
        Digest::of(&[source("src/lib.rsx", "")]),
        Digest::of(&[source("src/a.rs", "x")]),
        Digest::of(&[source("src/lib.rs", "x"), source("", "")]),
    ];
    let different: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(different.len(), digests.len());
}

#[test]
fn a_digest_is_shown_as_64_hexadecimal_digits_and_never_changes() {
    // Kept progress and cached verdicts name sources by it.
    let digest = Digest::of(&[source("src/lib.rs", "fn main() {}\n")]);
    insta::assert_snapshot!(digest, @"28a7218842aedc4544dbb5a1dd7782ef487e38841e5c39a6a2dac909fecca346");
}

#[test]
fn a_digest_of_a_folder_is_that_of_its_sources() {
    let exercise = tempfile::tempdir().unwrap();
    assert_eq!(digest(exercise.path()), Err(Refusal::Missing));
    fs::create_dir(exercise.path().join("src")).unwrap();
    fs::write(exercise.path().join("src/lib.rs"), "x").unwrap();
    let expected = Digest::of(&[source("src/lib.rs", "x")]);
    assert_eq!(digest(exercise.path()), Ok(expected));
    assert_eq!(Look::at(exercise.path()).digest, expected);
}

#[test]
fn refusals_differ_from_each_other_and_stay_the_same() {
    let missing = Digest::of_refusal(&Refusal::Missing);
    let link = Digest::of_refusal(&Refusal::Link { file: "src".into() });
    assert_ne!(missing, link);
    assert_eq!(missing, Digest::of_refusal(&Refusal::Missing));
}

#[test]
fn a_look_grows_stale_when_something_is_touched_and_not_by_looking() {
    let exercise = tempfile::tempdir().unwrap();
    let src = exercise.path().join("src");
    fs::create_dir(&src).unwrap();
    fs::write(src.join("lib.rs"), "x").unwrap();
    let look = Look::at(exercise.path());
    Look::at(exercise.path());
    assert!(!look.is_stale());
    fs::write(src.join("lib.rs"), "longer").unwrap();
    assert!(look.is_stale());
    let look = Look::at(exercise.path());
    fs::remove_dir_all(&src).unwrap();
    assert!(look.is_stale());
    assert!(Look::at(exercise.path()).is_fragile_after(&look));
    assert!(!look.is_fragile_after(&Look::at(exercise.path())));
}
