//! The head of a `wrong/` file: which checks must fail, and how.

use super::verdict::CheckStatus;

/// What a line of a head may begin with, before a colon.
const KEYS: [&str; 4] = ["wrong", "fails", "pitfall", "line"];

/// What a known-wrong implementation promises to be caught by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// The mistake, in a few words.
    pub wrong: String,
    /// The checks that must fail, and their status; no others may.
    pub fails: Vec<(String, CheckStatus)>,
    /// The pitfall that the first failing check must name.
    pub pitfall: Option<String>,
    /// The learner's line that the first failing check must name.
    pub line: Option<u32>,
}

impl Head {
    /// Reads the `//!` lines at the top of a source; an error names the line that is not understood.
    pub fn parse(source: &str) -> Result<Self, (u32, String)> {
        let mut head = Self::default();
        for (number, line) in (1..).zip(source.lines()) {
            let Some(text) = line.strip_prefix("//!") else {
                break;
            };
            let text = text.trim();
            if let Some(wrong) = text.strip_prefix("wrong:") {
                wrong.trim().clone_into(&mut head.wrong);
            } else if let Some(fails) = text.strip_prefix("fails:") {
                let (name, status) = fails
                    .rsplit_once(": ")
                    .ok_or_else(|| (number, "write `//! fails: <check>: <status>`".to_owned()))?;
                let status = CheckStatus::from_id(status.trim())
                    .ok_or_else(|| (number, format!("`{}` is no status", status.trim())))?;
                head.fails.push((name.trim().to_owned(), status));
            } else if let Some(pitfall) = text.strip_prefix("pitfall:") {
                head.pitfall = Some(pitfall.trim().to_owned());
            } else if let Some((key, _)) = text.split_once(':')
                && !KEYS.contains(&key)
                && key.chars().all(|letter| letter.is_ascii_lowercase())
            {
                let keys = KEYS.join("`, `");
                return Err((
                    number,
                    format!("`{key}:` is no key of a head: it has `{keys}`"),
                ));
            } else if let Some(place) = text.strip_prefix("line:") {
                let place = place.trim();
                head.line = Some(
                    place
                        .parse()
                        .map_err(|_| (number, format!("`{place}` is no line number")))?,
                );
            }
        }
        if head.wrong.is_empty() {
            return Err((
                1,
                "the head must begin with `//! wrong: <the mistake>`".to_owned(),
            ));
        }
        if head.fails.is_empty() {
            return Err((
                1,
                "the head names no check: `//! fails: <check>: <status>`".to_owned(),
            ));
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_checks_with_their_status() {
        let head = Head::parse(
            "//! wrong: in sequence\n//! fails: 2: the fetches overlap: failed\n\
             //! fails: it ends: never_ends\n//! pitfall: sequential-awaits\n//! line: 12\nuse x;\n",
        )
        .unwrap();
        assert_eq!(head.wrong, "in sequence");
        assert_eq!(
            head.fails,
            [
                ("2: the fetches overlap".to_owned(), CheckStatus::Failed),
                ("it ends".to_owned(), CheckStatus::NeverEnds)
            ]
        );
        assert_eq!(
            (head.pitfall.as_deref(), head.line),
            (Some("sequential-awaits"), Some(12))
        );
    }

    #[test]
    fn a_head_that_promises_nothing_is_refused() {
        assert!(Head::parse("use x;").is_err());
        assert!(Head::parse("//! wrong: x\n").is_err());
        let misspelt = "//! wrong: x\n//! fails: a: failed\n//! pitfal: x\n";
        assert_eq!(Head::parse(misspelt).unwrap_err().0, 3);
        assert_eq!(
            Head::parse("//! wrong: x\n//! fails: a: odd\n")
                .unwrap_err()
                .0,
            2
        );
    }
}
