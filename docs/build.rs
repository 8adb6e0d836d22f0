//! Makes a module of every Rust block in the pages, so that all of them compile.
//!
//! The `n`th block of a section is the module `page::section::bn`. The section's
//! name is its anchor, with `_` for `-`. Items that begin a line are made public.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo::rerun-if-changed=.");
    let pages = pages();
    let mut source = String::new();
    for page in &pages {
        let name = page.file_stem().unwrap().to_string_lossy();
        let text = fs::read_to_string(page).unwrap();
        let sections = blocks(&text);
        if sections.is_empty() {
            continue;
        }
        writeln!(source, "pub mod {} {{", identifier(&name.to_lowercase())).unwrap();
        for (section, blocks) in sections {
            writeln!(source, "pub mod {} {{", identifier(&section)).unwrap();
            for (number, (line, block)) in (1..).zip(blocks) {
                let place = format!("docs/{name}.md:{line}");
                let block = public(&block);
                writeln!(
                    source,
                    "/// {place}\npub mod b{number} {{\n\
                     #[allow(unused_imports, reason = \"a page uses what it needs\")]\n\
                     use crate::prelude::*;\n{block}}}"
                )
                .unwrap();
            }
            source.push_str("}\n");
        }
        source.push_str("}\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    fs::write(out.join("pages.rs"), source).unwrap();
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(Path::new("."))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// By section: the line and the text of each Rust block.
fn blocks(text: &str) -> BTreeMap<String, Vec<(usize, String)>> {
    let mut sections: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    let mut section = String::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.starts_with("```"))
                .flat_map(|line| [line, "\n"])
                .collect();
            if info == "rust" {
                let blocks = sections.entry(section.clone()).or_default();
                blocks.push((number + 1, block));
            }
        } else if let Some(id) = line.strip_prefix("<a id=\"") {
            section = id.split('"').next().unwrap().to_owned();
        } else if line.starts_with('#') {
            section = line.trim_start_matches('#').trim().to_lowercase();
        }
    }
    sections
}

fn identifier(name: &str) -> String {
    let letters = name
        .chars()
        .map(|c| if matches!(c, ' ' | '-') { '_' } else { c });
    letters
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn public(block: &str) -> String {
    const ITEMS: [&str; 8] = [
        "async fn ",
        "fn ",
        "struct ",
        "enum ",
        "type ",
        "static ",
        "const ",
        "trait ",
    ];
    let mut public = String::new();
    for line in block.lines() {
        if ITEMS.iter().any(|item| line.starts_with(item)) {
            public.push_str("pub ");
        }
        public.push_str(line);
        public.push('\n');
    }
    public
}
