//! What the learner wants: a key, or a word on a line where there are no keys.

/// What the learner wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Go on to the next day.
    Next,
    /// One more hint.
    Hint,
    /// The pitfall of the failed check.
    Pitfall,
    /// The time line of the first failed check, whole.
    Timeline,
    /// Grade now.
    Run,
    /// All days.
    List,
    /// Mark the day ❌ Need Help.
    Stuck,
    /// Start the day anew.
    Reset,
    /// The reference solution.
    Solution,
    /// Grade every day.
    CheckAll,
    /// Go to this day.
    Open(String),
    /// Yes, to a question.
    Yes,
    /// Anything else: back to the verdict, no to a question.
    Back,
    /// Leave.
    Quit,
}

impl Intent {
    /// The intent of a key.
    pub const fn of_key(key: char) -> Self {
        match key {
            'n' => Self::Next,
            'h' => Self::Hint,
            'p' => Self::Pitfall,
            't' => Self::Timeline,
            'r' => Self::Run,
            'l' => Self::List,
            's' => Self::Stuck,
            'x' => Self::Reset,
            'o' => Self::Solution,
            'c' => Self::CheckAll,
            'y' => Self::Yes,
            'q' => Self::Quit,
            _ => Self::Back,
        }
    }

    /// The intent of a line: a key's letter, its word, or an exercise.
    pub fn of_line(line: &str) -> Self {
        let word = line.trim();
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (None, _) => return Self::Back,
            (Some(letter), None) if letter.is_alphabetic() => {
                return Self::of_key(letter.to_ascii_lowercase());
            }
            _ => {}
        }
        match word.to_lowercase().as_str() {
            "next" => Self::Next,
            "hint" => Self::Hint,
            "pitfall" => Self::Pitfall,
            "timeline" | "time line" => Self::Timeline,
            "run" => Self::Run,
            "list" => Self::List,
            "stuck" => Self::Stuck,
            "reset" => Self::Reset,
            "solution" => Self::Solution,
            "check" | "check all" => Self::CheckAll,
            "yes" => Self::Yes,
            "no" => Self::Back,
            "quit" | "exit" => Self::Quit,
            other => Self::Open(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_its_word_mean_the_same() {
        assert_eq!(Intent::of_line("n\n"), Intent::of_key('n'));
        assert_eq!(Intent::of_line(" Next "), Intent::Next);
        assert_eq!(Intent::of_line("check all"), Intent::CheckAll);
        assert_eq!(Intent::of_line(""), Intent::Back);
    }

    #[test]
    fn any_other_word_names_an_exercise() {
        assert_eq!(Intent::of_line("7"), Intent::Open("7".to_owned()));
        assert_eq!(Intent::of_line("day03"), Intent::Open("day03".to_owned()));
    }
}
