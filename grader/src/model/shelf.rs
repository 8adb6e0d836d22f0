//! What `kata read` can open: the reference book's pages, and the days' texts.

use super::{
    exercise::Exercise,
    name::{did_you_mean, nearest},
    select::{SelectError, select},
};

/// What a word means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// A page of the reference book, by its name.
    Page(&'a str),
    /// A day's text.
    Day(&'a Exercise),
}

/// Why a word means nothing that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    /// Nothing matches.
    #[error("there is no page or day `{word}`{}\n`kata read` lists them all", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        word: String,
        /// What looks most like it.
        nearest: Option<String>,
    },
    /// Several match.
    #[error("`{word}` may mean {}", .candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// What matches.
        candidates: Vec<String>,
    },
    /// The page has no such section.
    #[error("{page} has no section `{anchor}`{}\nIts sections: {}", did_you_mean(.nearest.as_deref()), .anchors.join(", "))]
    NoSection {
        /// The page, or the day.
        page: String,
        /// What was asked for.
        anchor: String,
        /// The section that looks most like it.
        nearest: Option<String>,
        /// What there is.
        anchors: Vec<String>,
    },
}

/// Finds what `word` means: a page or a day by its name, or by a part that no other has.
pub fn find<'a>(
    word: &str,
    pages: &'a [String],
    exercises: &'a [Exercise],
) -> Result<Found<'a>, ShelfError> {
    let lower = word.trim().to_lowercase();
    let name = lower.strip_suffix(".md").unwrap_or(&lower);
    let name = name.rsplit('/').next().unwrap_or(name).replace('_', "-");
    if let Some(page) = pages.iter().find(|page| page.to_lowercase() == name) {
        return Ok(Found::Page(page));
    }
    let mut candidates: Vec<String> = Vec::new();
    let mut found = Vec::new();
    match select(exercises, word) {
        Ok(exercise) => found.push(Found::Day(exercise)),
        Err(SelectError::Ambiguous {
            candidates: days, ..
        }) => candidates.extend(days),
        Err(SelectError::Unknown { .. }) => {}
    }
    let part = pages
        .iter()
        .filter(|page| !name.is_empty() && page.contains(&name));
    // A number names a day, whatever else it stands in.
    if name.parse::<u32>().is_err() {
        found.extend(part.map(|page| Found::Page(page)));
    }
    candidates.extend(found.iter().map(|found| match found {
        Found::Page(page) => (*page).to_owned(),
        Found::Day(exercise) => exercise.slug.clone(),
    }));
    match (found.pop(), candidates.len()) {
        (Some(found), 1) => Ok(found),
        (_, 0) => Err(ShelfError::Unknown {
            word: word.to_owned(),
            nearest: nearest(
                &name,
                pages
                    .iter()
                    .map(String::as_str)
                    .chain(exercises.iter().map(|exercise| exercise.slug.as_str())),
            ),
        }),
        _ => Err(ShelfError::Ambiguous {
            word: word.to_owned(),
            candidates,
        }),
    }
}

/// The error of an anchor that leads nowhere.
pub fn no_section(page: &str, anchor: &str, anchors: Vec<String>) -> ShelfError {
    ShelfError::NoSection {
        page: page.to_owned(),
        anchor: anchor.to_owned(),
        nearest: nearest(anchor, anchors.iter().map(String::as_str)),
        anchors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exercise::About;

    fn shelf() -> (Vec<String>, Vec<Exercise>) {
        let pages = [
            "README",
            "concurrency-models",
            "pitfalls",
            "structured-concurrency",
        ];
        let exercise = Exercise {
            slug: "day07_concurrent_execution".to_owned(),
            day: 7,
            about: About {
                title: String::new(),
                week: 1,
                minutes: 1,
                goal: String::new(),
                tasks: vec![],
                learned: vec![],
                ask: String::new(),
                draft: false,
                planted: false,
                deadline_ms: 1,
            },
        };
        (pages.map(str::to_owned).into(), vec![exercise])
    }

    #[test]
    fn names_days_and_parts_are_found() {
        let (pages, exercises) = shelf();
        for (word, expected) in [
            ("pitfalls", "pitfalls"),
            ("Pitfalls.md", "pitfalls"),
            ("docs/pitfalls.md", "pitfalls"),
            ("pit", "pitfalls"),
            ("readme", "README"),
            ("structured_concurrency", "structured-concurrency"),
            ("7", "day07_concurrent_execution"),
            ("day07", "day07_concurrent_execution"),
            ("execution", "day07_concurrent_execution"),
        ] {
            let name = match find(word, &pages, &exercises).unwrap() {
                Found::Page(page) => page,
                Found::Day(exercise) => &exercise.slug,
            };
            assert_eq!(name, expected, "{word}");
        }
    }

    #[test]
    fn a_part_of_several_names_them_all() {
        let (pages, exercises) = shelf();
        let error = find("concurren", &pages, &exercises).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`concurren` may mean day07_concurrent_execution or concurrency-models \
             or structured-concurrency"
        );
    }

    #[test]
    fn a_mistyped_word_gets_a_suggestion() {
        let (pages, exercises) = shelf();
        let error = find("pitfals", &pages, &exercises).unwrap_err().to_string();
        assert!(error.contains("did you mean `pitfalls`?"), "{error}");
        assert!(find("", &pages, &exercises).is_err());
        assert!(find("8", &pages, &exercises).is_err());
        let error = no_section("pitfalls", "deadlok", vec!["deadlock".to_owned()]).to_string();
        assert!(error.contains("did you mean `deadlock`?"), "{error}");
    }
}
