//! The gaps of a stub, `todo!("what to do")`, and what they can be filled with.

use std::ops::Range;

/// What stands in a gap of an implementation that does nothing; the first that fits the place.
/// The gap itself comes last: it fits everywhere.
const FILLINGS: [&str; 4] = [
    "Default::default()",
    "Ok(Default::default())",
    "std::task::Poll::Pending",
    "Box::pin(async { Default::default() })",
];

/// A stub whose gaps are filled with as little as the compiler allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled<'a> {
    stub: &'a str,
    /// Where each gap is, and which of [`FILLINGS`] stands there.
    gaps: Vec<(Range<usize>, usize)>,
}

impl<'a> Filled<'a> {
    /// Every gap with the first filling.
    pub fn new(stub: &'a str) -> Self {
        let gaps = gaps(stub).into_iter().map(|gap| (gap, 0)).collect();
        Self { stub, gaps }
    }

    /// The source. Lines keep their numbers.
    pub fn source(&self) -> String {
        let mut source = String::new();
        let mut end = 0;
        for (gap, filling) in &self.gaps {
            source.push_str(&self.stub[end..gap.start]);
            let todo = &self.stub[gap.clone()];
            match FILLINGS.get(*filling) {
                Some(filling) => {
                    source.push_str(filling);
                    source.extend(todo.matches('\n'));
                }
                None => source.push_str(todo),
            }
            end = gap.end;
        }
        source.push_str(&self.stub[end..]);
        source
    }

    /// Whether anything but the gap itself stands in a gap.
    pub fn is_filled(&self) -> bool {
        self.gaps
            .iter()
            .any(|(_, filling)| *filling < FILLINGS.len())
    }

    /// Tries the next filling in the gap to which a compiler's error at `line` (counted from 1)
    /// belongs: the last one that begins there or before. `false`: there is nothing left to try.
    pub fn retry(&mut self, line: usize) -> bool {
        let line_of = |gap: &Range<usize>| self.stub[..gap.start].matches('\n').count() + 1;
        let place = self.gaps.iter().rposition(|(gap, _)| line_of(gap) <= line);
        let Some((_, filling)) = place.map(|place| &mut self.gaps[place]) else {
            return false;
        };
        let left = *filling < FILLINGS.len();
        *filling += usize::from(left);
        left
    }
}

/// Where each `todo!("…")` is, in order.
fn gaps(stub: &str) -> Vec<Range<usize>> {
    const OPENS: &str = "todo!(";
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = stub[from..].find(OPENS).map(|at| from + at) {
        from = start + OPENS.len();
        let Some(end) = closing(&stub[from..]) else {
            continue;
        };
        from += end;
        let line = stub[..start].rsplit('\n').next().unwrap_or_default();
        if !line.trim_start().starts_with("//") {
            found.push(start..from);
        }
    }
    found
}

/// Behind the parenthesis that follows a string, if there is one.
fn closing(text: &str) -> Option<usize> {
    let begin = text.find('"')?;
    if !text[..begin].trim().is_empty() {
        return None;
    }
    let mut escaped = false;
    let quote = text[begin + 1..].find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })?;
    let rest = begin + 1 + quote;
    Some(rest + text[rest..].find(')')? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUB: &str = "/// Not one: `todo!(\"x\")`.\nfn a() -> u8 {\n    todo!(\"a \\\"b\\\" (c)\")\n}\n\
        // todo!(\"no\")\nfn b() {\n    todo!(\n        \"long\"\n    )\n}\nfn c() { todo!(\"c\") }\n";

    #[test]
    fn gaps_are_found_in_code_and_not_in_comments() {
        let found: Vec<&str> = gaps(STUB).into_iter().map(|gap| &STUB[gap]).collect();
        let long = "todo!(\n        \"long\"\n    )";
        assert_eq!(found, ["todo!(\"a \\\"b\\\" (c)\")", long, "todo!(\"c\")"]);
    }

    #[test]
    fn an_error_makes_the_next_filling_be_tried_in_its_gap() {
        let mut filled = Filled::new(STUB);
        assert_eq!(filled.source().matches("Default::default()").count(), 3);
        assert_eq!(filled.source().lines().count(), STUB.lines().count());
        for filling in &FILLINGS[1..] {
            assert!(filled.retry(4));
            assert!(filled.source().contains(filling), "{}", filled.source());
        }
        assert!(filled.retry(4) && !filled.retry(4));
        assert!(filled.source().contains("todo!(\"a"));
        assert!(filled.is_filled(), "the other gap is");
        assert!(!filled.retry(2), "no gap stands there or before");
    }
}
