//! Which exercise a word means: `7`, `07`, `day07`, or any unique part of the slug.

use super::{
    exercise::Exercise,
    name::{did_you_mean, nearest},
};

/// Why a word means no exercise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing matches.
    #[error("there is no exercise `{word}`{}\n`kata list` names them all", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        word: String,
        /// The slug that looks most like it.
        nearest: Option<String>,
    },
    /// Several match.
    #[error("`{word}` may mean {}", .candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        word: String,
        /// The slugs that match.
        candidates: Vec<String>,
    },
}

/// Finds the exercise that `word` means.
pub fn select<'a>(exercises: &'a [Exercise], word: &str) -> Result<&'a Exercise, SelectError> {
    let lower = word.trim().trim_end_matches('/').to_lowercase();
    let lower = lower.rsplit('/').next().unwrap_or(&lower).replace('-', "_");
    if let Some(exercise) = exercises.iter().find(|exercise| exercise.slug == lower) {
        return Ok(exercise);
    }
    let day = lower
        .strip_prefix("day")
        .unwrap_or(&lower)
        .trim_start_matches([' ', '_']);
    let matches: Vec<&Exercise> = match day.parse::<u32>() {
        Ok(day) => exercises
            .iter()
            .filter(|exercise| exercise.day == day)
            .collect(),
        Err(_) if lower.is_empty() => Vec::new(),
        Err(_) => exercises
            .iter()
            .filter(|exercise| exercise.slug.contains(&lower))
            .collect(),
    };
    match matches.as_slice() {
        [exercise] => Ok(exercise),
        [] => Err(SelectError::Unknown {
            word: word.to_owned(),
            nearest: nearest(
                &lower,
                exercises.iter().map(|exercise| exercise.slug.as_str()),
            ),
        }),
        several => Err(SelectError::Ambiguous {
            word: word.to_owned(),
            candidates: several
                .iter()
                .map(|exercise| exercise.slug.clone())
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exercise::About;

    fn course() -> Vec<Exercise> {
        [
            "day01_basic_async",
            "day05_review_foundation",
            "day10_review_intermediate",
        ]
        .into_iter()
        .map(|slug| Exercise {
            slug: slug.to_owned(),
            day: Exercise::day_of(slug).unwrap(),
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
        })
        .collect()
    }

    #[test]
    fn a_number_a_day_a_slug_a_path_and_a_unique_part_all_name_an_exercise() {
        let course = course();
        for word in [
            "1",
            "01",
            "day1",
            "day01",
            "day01_basic_async",
            "basic",
            "BASIC-async",
            "exercises/day01_basic_async/",
        ] {
            assert_eq!(select(&course, word).unwrap().day, 1, "{word}");
        }
        assert_eq!(select(&course, "10").unwrap().day, 10);
    }

    #[test]
    fn a_part_of_two_slugs_names_both() {
        assert_eq!(
            select(&course(), "review").unwrap_err().to_string(),
            "`review` may mean day05_review_foundation or day10_review_intermediate"
        );
    }

    #[test]
    fn a_mistyped_word_gets_a_suggestion_and_nonsense_gets_none() {
        let error = select(&course(), "basik").unwrap_err().to_string();
        assert!(
            error.contains("did you mean `day01_basic_async`?"),
            "{error}"
        );
        let error = select(&course(), "zzz").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no exercise `zzz`\n`kata list` names them all"
        );
        assert!(select(&course(), "").is_err());
        assert!(select(&course(), "77").is_err());
    }
}
