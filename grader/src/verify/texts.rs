//! The files that are read, not run: README, hints, kata.toml, links, anchors.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Complaint;
use crate::{
    model::{book, exercise::Exercise},
    world::{course::Course, disk},
};

/// The level-2 headings of every day's README, in their order.
pub const SECTIONS: [&str; 8] = [
    "Goal",
    "The idea",
    "A worked example",
    "Predict before you run",
    "Tasks",
    "Pitfalls",
    "Ask yourself",
    "Read on",
];

/// At least so many hints per task.
const HINTS: usize = 3;

struct Texts<'a> {
    course: &'a Course,
    exercise: &'a Exercise,
    complaints: Vec<Complaint>,
}

/// Looks through everything an author writes for people.
pub fn verify(course: &Course, exercise: &Exercise) -> Result<Vec<Complaint>> {
    let mut texts = Texts {
        course,
        exercise,
        complaints: Vec::new(),
    };
    texts.files();
    texts.stub()?;
    texts.readme();
    texts.hints();
    texts.variants();
    texts.imports();
    texts.pitfalls();
    texts.dependencies();
    Ok(texts.complaints)
}

impl Texts<'_> {
    fn complain(&mut self, file: &str, line: usize, what: String, mend: &str) {
        self.complaints.push(Complaint {
            exercise: self.exercise.slug.clone(),
            file: file.to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            what,
            mend: mend.to_owned(),
        });
    }

    fn read(&self, file: &str) -> String {
        disk::text(&self.course.trusted.join(file)).unwrap_or_default()
    }

    fn hidden(&self, file: &str) -> String {
        format!("grader/hidden/{}/{file}", self.exercise.slug)
    }

    fn stub_file(&self, file: &str) -> String {
        format!("exercises/{}/{file}", self.exercise.slug)
    }

    fn files(&mut self) {
        let slug = self.exercise.slug.clone();
        let wanted = [
            self.stub_file("Cargo.toml"),
            self.stub_file("README.md"),
            self.stub_file("src/lib.rs"),
            format!("solutions/{slug}/Cargo.toml"),
            format!("solutions/{slug}/src/lib.rs"),
            self.hidden("Cargo.toml"),
            self.hidden("tests.rs"),
            self.hidden("contract.rs"),
            self.hidden("hints.md"),
            self.hidden("original/lib.rs"),
        ];
        for file in wanted {
            if !self.course.trusted.join(&file).is_file() {
                self.complain(
                    &file,
                    0,
                    "is missing".to_owned(),
                    "`kata new` shows every file",
                );
            }
        }
    }

    /// The learner's copy of the stub is the one that the course restores.
    fn stub(&mut self) -> Result<()> {
        let src = self.course.trusted.join(self.stub_file("src"));
        if !src.is_dir() || !self.course.original(self.exercise).is_dir() {
            return Ok(());
        }
        if disk::tree(&src)? != disk::tree(&self.course.original(self.exercise))? {
            let file = self.stub_file("src");
            self.complain(
                &file,
                0,
                format!("differs from grader/hidden/{}/original", self.exercise.slug),
                "an author copies it there with `kata verify --bless`; a learner's work stays as it is",
            );
        }
        let stub = self.hidden("original/lib.rs");
        let text = self.read(&stub);
        if !text.contains("todo!(\"") {
            self.complain(
                &stub,
                0,
                "has no `todo!(\"…\")`".to_owned(),
                "mark every gap so",
            );
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.contains("todo!()") {
                self.complain(
                    &stub,
                    number,
                    "a bare `todo!()`".to_owned(),
                    "say what to do in it",
                );
            }
        }
        Ok(())
    }

    fn readme(&mut self) {
        let file = self.stub_file("README.md");
        let text = self.read(&file);
        let title = format!("# Day {}: {}", self.exercise.day, self.exercise.about.title);
        if text.lines().next() != Some(title.as_str()) {
            self.complain(
                &file,
                1,
                format!("does not begin with `{title}`"),
                "as kata.toml has it",
            );
        }
        let found: Vec<&str> = outside_code(&text)
            .filter_map(|(_, line)| line.strip_prefix("## "))
            .collect();
        if found != SECTIONS {
            self.complain(
                &file,
                0,
                format!("its sections are {found:?}"),
                &format!("they must be {SECTIONS:?}"),
            );
        }
        for (number, task) in (1..).zip(self.exercise.about.tasks.clone()) {
            let heading = format!("### Task {number}: {task}");
            if !text.lines().any(|line| line == heading) {
                self.complain(
                    &file,
                    0,
                    format!("has no `{heading}`"),
                    "as kata.toml has it",
                );
            }
        }
        if !text.contains("```text") {
            self.complain(
                &file,
                0,
                "draws no time line".to_owned(),
                "in a ```text block",
            );
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > 80 && !line.contains("](") && !line.starts_with('|') {
                self.complain(
                    &file,
                    number,
                    "is wider than 80 columns".to_owned(),
                    "wrap it",
                );
            }
        }
        self.links(&file, &text);
    }

    /// Every relative link leads to a file, and its anchor to a heading in it.
    fn links(&mut self, file: &str, text: &str) {
        let folder = Path::new(file)
            .parent()
            .unwrap_or(Path::new(""))
            .to_path_buf();
        let links: Vec<(usize, String)> = outside_code(text)
            .flat_map(|(number, line)| links_in(line).into_iter().map(move |link| (number, link)))
            .filter(|(_, link)| !link.contains("://"))
            .collect();
        for (number, link) in links {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = normal(&folder.join(path));
            let target_text = if path.is_empty() {
                text.to_owned()
            } else if let Ok(text) = disk::text(&self.course.trusted.join(&target)) {
                text
            } else if self.course.trusted.join(&target).exists() {
                continue;
            } else {
                self.complain(
                    file,
                    number,
                    format!("the link leads nowhere: {link}"),
                    "mend it",
                );
                continue;
            };
            if !anchor.is_empty() && !anchors(&target_text).any(|own| own == anchor) {
                self.complain(
                    file,
                    number,
                    format!("there is no #{anchor} in {}", target.display()),
                    "mend it",
                );
            }
        }
    }

    fn hints(&mut self) {
        let file = self.hidden("hints.md");
        let text = self.read(&file);
        for (number, task) in (1..).zip(self.exercise.about.tasks.clone()) {
            let heading = format!("## Task {number}: {task}");
            let hints = text
                .lines()
                .skip_while(|line| *line != heading)
                .skip(1)
                .take_while(|line| !line.starts_with("## "))
                .filter(|line| {
                    line.split_once(". ")
                        .is_some_and(|(n, _)| n.parse::<u32>().is_ok())
                })
                .count();
            if hints < HINTS {
                self.complain(
                    &file,
                    0,
                    format!("`{heading}` has {hints} hints"),
                    "at least three, numbered `1.`, `2.`, `3.`, from a nudge to nearly the answer",
                );
            }
        }
    }

    fn variants(&mut self) {
        let (right, wrong) = if self.exercise.about.draft {
            (1, 1)
        } else {
            (2, 5)
        };
        for (folder, least) in [("right", right), ("wrong", wrong)] {
            let found = disk::names(&self.course.hidden(self.exercise).join(folder));
            if found.len() < least {
                let file = self.hidden(folder);
                self.complain(
                    &file,
                    0,
                    format!("holds {} files", found.len()),
                    &format!("at least {least}"),
                );
            }
        }
    }

    /// A glob import would let a learner's public items take the place of a hidden test's names.
    fn imports(&mut self) {
        let file = self.hidden("tests.rs");
        for (number, line) in (1..).zip(self.read(&file).lines()) {
            if line.trim_start().starts_with("use exercise::") && line.contains('*') {
                self.complain(
                    &file,
                    number,
                    "imports everything from the learner's crate".to_owned(),
                    "name each item: a learner's `pub mod std` must not shadow yours",
                );
            }
        }
    }
}

impl Texts<'_> {
    /// Every pitfall that a check names has its section in the reference book.
    fn pitfalls(&mut self) {
        let book = self.read("docs/pitfalls.md");
        let known: Vec<String> = anchors(&book).collect();
        let file = self.hidden("tests.rs");
        let text = self.read(&file);
        for (number, line) in (1..).zip(text.lines()) {
            let named = line.split(".pitfall(\"").nth(1);
            let Some((pitfall, _)) = named.and_then(|rest| rest.split_once('"')) else {
                continue;
            };
            if !known.iter().any(|anchor| anchor == pitfall) {
                self.complain(
                    &file,
                    number,
                    format!("docs/pitfalls.md has no section `{pitfall}`"),
                    "name one of its anchors, or write the section",
                );
            }
        }
    }

    /// An editor must offer the learner just what the grader does.
    fn dependencies(&mut self) {
        let (stub, solution) = (
            self.stub_file("Cargo.toml"),
            format!("solutions/{}/Cargo.toml", self.exercise.slug),
        );
        let dependencies = |text: &str| {
            let table: Option<toml::Table> = text.parse().ok();
            table.and_then(|table| table.get("dependencies").cloned())
        };
        if dependencies(&self.read(&stub)) != dependencies(&self.read(&solution)) {
            self.complain(
                &stub,
                0,
                format!("its dependencies are not those of {solution}"),
                "what a stub may use is what the solution uses: make both alike",
            );
        }
    }
}

/// The lines of a Markdown text that are not inside a fence, with their numbers.
fn outside_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

fn links_in(line: &str) -> Vec<String> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link.to_owned()))
        .collect()
}

/// The anchors of a Markdown text, as its headings and `<a id="…">` make them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = outside_code(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| book::slug(line));
    let ids = text
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(id, _)| id.to_owned()));
    headings.chain(ids)
}

/// `a/b/../c` → `a/c`
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
