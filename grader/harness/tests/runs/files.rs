//! What the crate's front page says of its files holds.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let own = files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    });
    own.chain(folders.iter().flat_map(|folder| sources(folder)))
        .collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn the_front_page_names_every_module() {
    let front = fs::read_to_string(src().join("lib.rs")).unwrap();
    let named = front
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next());
    let mut named: Vec<&str> = named.filter(|name| !name.contains("::")).collect();
    let modules = front.lines().map(|line| line.trim_start_matches("pub "));
    let mut modules: Vec<&str> = modules
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    named.sort_unstable();
    modules.sort_unstable();
    assert_eq!(named, modules);
}

#[test]
fn unsafe_code_stands_in_one_place_and_each_block_says_why_it_is_sound() {
    for (path, text) in sources(&src()) {
        let blocks = text
            .lines()
            .filter(|line| line.contains("unsafe {"))
            .count();
        let reasons = text.matches("SAFETY").count();
        if path
            .components()
            .any(|part| part.as_os_str() == "interpose")
        {
            assert!(
                blocks <= reasons,
                "{} has {blocks} blocks and {reasons} reasons",
                path.display()
            );
        } else {
            assert_eq!(blocks, 0, "{}", path.display());
        }
    }
}

#[test]
fn every_file_opens_with_what_lives_there_and_is_of_a_readable_length() {
    for (path, text) in sources(&src()) {
        assert!(text.starts_with("//! "), "{}", path.display());
        assert!(text.lines().count() <= 400, "{}", path.display());
    }
}
