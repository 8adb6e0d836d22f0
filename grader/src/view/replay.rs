//! The command that runs one check again.

use crate::model::{exercise::Exercise, verdict::CheckVerdict};

/// `kata check 7 --check "at most" --seed 3`, with the shortest words that name `check` alone.
pub fn command(exercise: &Exercise, checks: &[CheckVerdict], check: &CheckVerdict) -> String {
    let words = part(checks, check);
    let seed = check
        .seed
        .map(|seed| format!(" --seed {seed}"))
        .unwrap_or_default();
    format!("kata check {} --check {words}{seed}", exercise.day)
}

/// The shortest words that name `check` alone, quoted for a shell.
pub fn part(checks: &[CheckVerdict], check: &CheckVerdict) -> String {
    let others: Vec<String> = checks
        .iter()
        .filter(|other| other.name != check.name)
        .map(|other| other.name.to_lowercase())
        .collect();
    quote(&shortest(&check.name, &others))
}

/// The first run of two or more words that no other name contains and no shell touches.
fn shortest(name: &str, others: &[String]) -> String {
    let words: Vec<&str> = name.split(' ').collect();
    let unique = |part: &str| {
        let part = part.to_lowercase();
        !others.iter().any(|other| other.contains(&part))
    };
    for from in 0..words.len() {
        for to in from + 2..=words.len() {
            let part = words[from..to].join(" ");
            if !part.chars().all(harmless) {
                break;
            }
            if unique(&part) {
                return part;
            }
        }
    }
    name.to_owned()
}

/// Whether every shell leaves it alone between double quotes.
fn harmless(character: char) -> bool {
    character.is_alphanumeric() || " -_,.:;()/+=".contains(character)
}

fn quote(words: &str) -> String {
    if words.chars().all(harmless) {
        format!("\"{words}\"")
    } else {
        format!("'{}'", words.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortest_of(name: &str, others: &[&str]) -> String {
        let others: Vec<String> = others.iter().map(|other| other.to_lowercase()).collect();
        quote(&shortest(name, &others))
    }

    #[test]
    fn two_words_are_enough_where_they_are_unique() {
        let name = "at most `limit` jobs are in flight";
        assert_eq!(shortest_of(name, &["an empty list is fine"]), "\"at most\"");
    }

    #[test]
    fn a_name_that_begins_like_another_is_told_apart() {
        let others = ["the fetches overlap", "the fetches keep their order"];
        let part = shortest_of("the fetches end together", &others);
        assert_eq!(part, "\"the fetches end\"");
    }

    #[test]
    fn a_shell_never_runs_what_a_name_quotes() {
        let part = shortest_of("at most `limit` jobs", &["at most two", "three jobs"]);
        assert_eq!(part, "'at most `limit` jobs'");
        let part = shortest_of("it's `done`", &[]);
        assert_eq!(part, r"'it'\''s `done`'");
    }
}
