//! The manifest of a day's dependencies, made from the course's own manifests.
//!
//! The learner's manifest is not read: what a stub may use is what the
//! reference solution uses.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

/// Marks what the learner's library may use.
pub const LEARNER: &str = "learner__";
/// Marks what the hidden test may use.
pub const HIDDEN: &str = "hidden__";

/// Writes the manifest of a package without code that depends on all that the
/// solution and the hidden test depend on.
///
/// Every dependency is renamed, so that the two may ask for different features
/// of the same crate; cargo unifies them.
pub fn manifest(slug: &str, solution: (&Path, &str), hidden: (&Path, &str)) -> Result<String> {
    let mut dependencies = Table::new();
    for (mark, (folder, text)) in [(LEARNER, solution), (HIDDEN, hidden)] {
        let manifest: Table = text
            .parse()
            .with_context(|| format!("not understood: {}", folder.join("Cargo.toml").display()))?;
        let Some(Value::Table(own)) = manifest.get("dependencies") else {
            continue;
        };
        for (name, dependency) in own {
            if mark == HIDDEN && name == "exercise" {
                continue;
            }
            dependencies.insert(format!("{mark}{name}"), renamed(name, dependency, folder));
        }
    }
    let mut package = Table::new();
    package.insert("name".into(), format!("deps_{slug}").into());
    package.insert("version".into(), "0.0.0".into());
    package.insert("edition".into(), "2024".into());
    let mut lib = Table::new();
    lib.insert("path".into(), "lib.rs".into());
    let mut dev = Table::new();
    dev.insert("debug".into(), 0.into());
    let mut profile = Table::new();
    profile.insert("dev".into(), dev.into());
    let mut whole = Table::new();
    whole.insert("package".into(), package.into());
    whole.insert("lib".into(), lib.into());
    whole.insert("dependencies".into(), dependencies.into());
    whole.insert("profile".into(), profile.into());
    whole.insert("workspace".into(), Table::new().into());
    Ok(toml::to_string(&whole)?)
}

/// A dependency under a new name: it has to say which package it means, and a
/// relative path must be made absolute, for the manifest moves.
fn renamed(name: &str, dependency: &Value, folder: &Path) -> Value {
    let mut table = match dependency {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    table.entry("package").or_insert_with(|| name.into());
    if let Some(Value::String(path)) = table.get_mut("path") {
        *path = folder.join(&path).to_string_lossy().into_owned();
    }
    table.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_keep_their_own_features_and_paths_become_absolute() {
        let text = manifest(
            "day01_x",
            (
                Path::new("/c/solutions/x"),
                "[dependencies]\ntokio = \"1\"\n",
            ),
            (
                Path::new("/c/hidden/x"),
                "[dependencies]\nexercise = { path = \"../e\" }\n\
                 tokio = { version = \"1\", features = [\"test-util\"] }\n\
                 kata-harness = { path = \"../../harness\" }\n",
            ),
        )
        .unwrap();
        let table: Table = text.parse().unwrap();
        let dependencies = table["dependencies"].as_table().unwrap();
        assert_eq!(
            dependencies.keys().collect::<Vec<_>>(),
            ["hidden__kata-harness", "hidden__tokio", "learner__tokio"]
        );
        assert_eq!(
            dependencies["hidden__kata-harness"]["package"].as_str(),
            Some("kata-harness")
        );
        assert_eq!(
            dependencies["hidden__kata-harness"]["path"].as_str(),
            Some("/c/hidden/x/../../harness")
        );
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_named() {
        let error = manifest("x", (Path::new("/s"), "[dep"), (Path::new("/h"), "")).unwrap_err();
        assert_eq!(error.to_string(), "not understood: /s/Cargo.toml");
    }
}
