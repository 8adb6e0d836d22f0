//! What the crate's documentation says of its structure holds.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules from the ground up; a module may import from lower ranks and from its own.
const RANKS: [(&str, u32); 9] = [
    ("model", 0),
    ("world", 1),
    ("judge", 1),
    ("view", 1),
    ("grade", 2),
    ("desk", 3),
    ("verify", 4),
    ("watch", 4),
    ("commands", 5),
];

/// What only `world` may name: everything by which a program touches the machine.
const EFFECTS: [&str; 9] = [
    "std::fs",
    "fs::read",
    "fs::write",
    "Command::new(",
    "Instant::now",
    "SystemTime::now",
    "tempfile::",
    "TcpStream",
    "crossterm::",
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file by its path beneath `src`, with its text; tests are left out.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&src(), &mut found);
    let mut sources: Vec<(String, String)> = found
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(src())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| !is_test(name))
        .collect();
    sources.sort();
    sources
}

fn is_test(name: &str) -> bool {
    ["test", "fixtures.rs", "properties.rs", "snapshots"]
        .iter()
        .any(|part| name.contains(part))
}

/// The part of a source before its own tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod").next().unwrap_or(text)
}

fn module(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

fn rank(module: &str) -> Option<u32> {
    RANKS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, rank)| *rank)
}

/// The modules that a source names after `crate::`, in `use` trees too.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (place, _) in text.match_indices("crate::") {
        let rest = &text[place + "crate::".len()..];
        if let Some(tree) = rest.strip_prefix('{') {
            let (mut depth, mut name) = (0, String::new());
            for letter in tree.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.extend(head(&std::mem::take(&mut name))),
                    _ if depth == 0 => name.push(letter),
                    _ => {}
                }
            }
            found.extend(head(&name));
        } else {
            found.extend(head(rest));
        }
    }
    found
}

fn head(path: &str) -> Option<String> {
    let name: String = path
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn imports_run_one_way() {
    for (name, text) in sources() {
        let Some(own) = rank(module(&name)) else {
            continue;
        };
        for import in imports(code(&text)) {
            let Some(other) = rank(&import) else { continue };
            assert!(
                other < own || import == module(&name),
                "{name} imports from {import}, which is not below it"
            );
        }
    }
}

#[test]
fn use_trees_are_read_to_their_leaves() {
    let text =
        "use crate::{\n    grade::{Graded, phase::Phase},\n    view,\n};\nuse crate::model::x;";
    let expected: BTreeSet<String> = ["grade", "view", "model"].map(str::to_owned).into();
    assert_eq!(imports(text), expected);
}

#[test]
fn effects_live_in_world_alone() {
    for (name, text) in sources() {
        if module(&name) == "world" {
            continue;
        }
        for effect in EFFECTS {
            assert!(!code(&text).contains(effect), "{name} names {effect}");
        }
        if module(&name) != "commands" {
            for print in ["println!", "print!(", "stdout()", "stdin()"] {
                assert!(
                    !code(&text).contains(print),
                    "{name} prints or reads by itself"
                );
            }
        }
    }
}

#[test]
fn the_crate_documentation_names_every_file_and_no_other() {
    let text = fs::read_to_string(src().join("lib.rs")).unwrap();
    let named: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let sources = sources();
    let there: BTreeSet<&str> = sources
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !matches!(*name, "lib.rs" | "main.rs"))
        .collect();
    assert_eq!(named, there);
}

#[test]
fn every_file_says_what_lives_there_and_is_one_noun() {
    for (name, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "{name} does not open with a line of documentation"
        );
        let lines = text.lines().count();
        assert!(
            lines <= 400,
            "{name} has {lines} lines: a noun is hiding in it"
        );
    }
}
