//! The part of cargo's JSON that we read.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// A line of `cargo build --message-format=json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Message {
    /// A target was compiled, or was fresh.
    CompilerArtifact(Artifact),
    /// Whatever else cargo says.
    #[serde(other)]
    Other,
}

impl Message {
    /// The artifact that a line tells of.
    pub fn artifact(line: &str) -> Option<Artifact> {
        match serde_json::from_str(line) {
            Ok(Self::CompilerArtifact(artifact)) => Some(artifact),
            _ => None,
        }
    }
}

/// A compiled target.
#[derive(Debug, Deserialize)]
pub struct Artifact {
    /// The package, as cargo spells it.
    pub package_id: String,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Artifact {
    /// Whether other crates can depend on it.
    pub fn is_library(&self) -> bool {
        const KINDS: [&str; 4] = ["lib", "rlib", "dylib", "proc-macro"];
        self.target
            .kind
            .iter()
            .any(|kind| KINDS.contains(&kind.as_str()))
    }

    /// The file for `--extern`: the dynamic library if there is one, else the static one.
    pub fn linkable(&self) -> Option<PathBuf> {
        let with = |extensions: &[&str]| {
            self.filenames
                .iter()
                .find(|file| {
                    file.extension()
                        .is_some_and(|own| extensions.iter().any(|e| own == *e))
                })
                .cloned()
        };
        with(&["so", "dylib", "dll"]).or_else(|| with(&["rlib"]))
    }
}

/// `cargo metadata`
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Debug, Deserialize)]
struct NodeDep {
    name: String,
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Debug, Deserialize)]
struct DepKind {
    kind: Option<String>,
}

impl Metadata {
    /// How many crates a build compiles, the workspace's own included.
    pub fn crates(&self) -> usize {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = self.workspace_members.iter().map(String::as_str).collect();
        while let Some(id) = open.pop() {
            if reached.insert(id)
                && let Some(node) = self.node(id)
            {
                open.extend(
                    node.deps
                        .iter()
                        .filter(|dep| dep.is_built())
                        .map(|dep| &*dep.pkg),
                );
            }
        }
        reached.len()
    }

    /// What a member depends on: the name by which code uses it, and its package.
    pub fn direct(&self, member: &str) -> Result<Vec<(String, String)>> {
        let node = self
            .packages
            .iter()
            .find(|package| package.name == member && self.workspace_members.contains(&package.id))
            .and_then(|package| self.node(&package.id))
            .with_context(|| format!("`cargo metadata` does not know {member}"))?;
        Ok(node
            .deps
            .iter()
            .map(|dep| (dep.name.clone(), dep.pkg.clone()))
            .collect())
    }

    fn node(&self, id: &str) -> Option<&Node> {
        self.resolve.nodes.iter().find(|node| node.id == id)
    }
}

impl NodeDep {
    fn is_built(&self) -> bool {
        self.dep_kinds
            .iter()
            .any(|kind| kind.kind.as_deref() != Some("dev"))
    }
}
