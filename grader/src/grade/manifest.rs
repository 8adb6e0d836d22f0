//! The manifests of a day's dependencies, made from the course's own.
//!
//! Two packages without code, `learner` and `hidden`, in one workspace: cargo
//! unifies their features, so that both link the same libraries. The learner's
//! manifest is not read: what a stub may use is what the solution uses.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

/// The manifest of the workspace around the two packages.
pub const WORKSPACE: &str = "\
[workspace]
resolver = \"3\"
members = [\"learner\", \"hidden\"]

[profile.dev]
debug = 0

# They run between a save and its verdict: the runtime under the checks, the harness around
# them, and what reads debug info for a finding. (Level 2 would keep generic code from being
# shared with the crates that are compiled at each save.)
[profile.dev.package]
tokio.opt-level = 1
kata-harness.opt-level = 1
addr2line.opt-level = 3
adler2.opt-level = 3
backtrace.opt-level = 3
gimli.opt-level = 3
memchr.opt-level = 3
miniz_oxide.opt-level = 3
object.opt-level = 3
rustc-demangle.opt-level = 3
";

/// Writes the manifest of a package without code that depends on all that the
/// manifest `text` in `folder` depends on, but for the crate `exercise` itself.
pub fn manifest(package: &str, folder: &Path, text: &str) -> Result<String> {
    let given: Table = text
        .parse()
        .with_context(|| format!("not understood: {}", folder.join("Cargo.toml").display()))?;
    let mut dependencies = match given.get("dependencies") {
        Some(Value::Table(dependencies)) => dependencies.clone(),
        _ => Table::new(),
    };
    dependencies.remove("exercise");
    for (_, dependency) in &mut dependencies {
        // The manifest moves, so a relative path must not stay relative.
        if let Some(Value::String(path)) = dependency.get_mut("path") {
            *path = folder.join(&path).to_string_lossy().into_owned();
        }
    }
    let mut whole = Table::new();
    whole.insert(
        "package".into(),
        Table::from_iter([
            ("name".to_owned(), Value::from(package)),
            ("version".to_owned(), "0.0.0".into()),
            ("edition".to_owned(), "2024".into()),
        ])
        .into(),
    );
    whole.insert(
        "lib".into(),
        Table::from_iter([("path".to_owned(), "lib.rs".into())]).into(),
    );
    whole.insert("dependencies".into(), dependencies.into());
    Ok(toml::to_string(&whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exercise_is_left_out_and_paths_become_absolute() {
        let text = manifest(
            "hidden",
            Path::new("/c/hidden/x"),
            "[dependencies]\nexercise = { path = \"../e\" }\n\
             tokio = { version = \"1\", features = [\"test-util\"] }\n\
             kata-harness = { path = \"../../harness\" }\n",
        )
        .unwrap();
        let table: Table = text.parse().unwrap();
        let dependencies = table["dependencies"].as_table().unwrap();
        assert_eq!(
            dependencies.keys().collect::<Vec<_>>(),
            ["kata-harness", "tokio"]
        );
        assert_eq!(
            dependencies["kata-harness"]["path"].as_str(),
            Some("/c/hidden/x/../../harness")
        );
        assert_eq!(
            dependencies["tokio"]["features"][0].as_str(),
            Some("test-util")
        );
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_named() {
        let error = manifest("learner", Path::new("/s"), "[dep").unwrap_err();
        assert_eq!(error.to_string(), "not understood: /s/Cargo.toml");
    }
}
