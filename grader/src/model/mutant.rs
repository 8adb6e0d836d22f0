//! Small changes to a solution, as `cargo mutants --list --json` names them.

use serde::Deserialize;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// `replace < with <= in gather_ordered`
    pub name: String,
    /// Where it begins, counted from 1.
    pub line: u32,
    /// The line that it changes, without the space around it.
    pub code: String,
    /// The whole source with the change.
    pub source: String,
}

/// A mutant that no check can catch, and why: an entry of `mutants.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// [`Mutant::name`].
    pub mutant: String,
    /// [`Mutant::code`].
    pub code: String,
    /// What makes it behave as the solution does.
    pub why: String,
}

impl Equivalent {
    /// Whether this entry speaks of that mutant.
    pub fn is(&self, mutant: &Mutant) -> bool {
        self.mutant == mutant.name && self.code == mutant.code
    }
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// The mutants of `source` in the output of `cargo mutants --list --json`; `None` if it is
/// something else.
pub fn listed(json: &str, source: &str) -> Option<Vec<Mutant>> {
    let listed: Vec<Listed> = serde_json::from_str(json).ok()?;
    listed.iter().map(|mutant| apply(mutant, source)).collect()
}

/// `solutions/x/src/lib.rs:3:5: replace a with b` → `replace a with b`
fn bare(name: &str) -> &str {
    name.split_once(": ").map_or(name, |(_, bare)| bare)
}

fn apply(listed: &Listed, source: &str) -> Option<Mutant> {
    let start = offset(source, &listed.span.start)?;
    let end = offset(source, &listed.span.end)?;
    let code = source.lines().nth(listed.span.start.line - 1)?.trim();
    Some(Mutant {
        name: bare(&listed.name).to_owned(),
        line: u32::try_from(listed.span.start.line).ok()?,
        code: code.to_owned(),
        source: format!(
            "{}{}{}",
            source.get(..start)?,
            listed.replacement,
            source.get(end..)?
        ),
    })
}

/// The byte at which a line and a column begin, both counted from 1, the columns in letters.
fn offset(source: &str, place: &Place) -> Option<usize> {
    let lines = source
        .split_inclusive('\n')
        .take(place.line.checked_sub(1)?);
    let line: usize = lines.map(str::len).sum();
    let letters = source.get(line..)?.char_indices().map(|(at, _)| at);
    let column = letters.chain([source.len() - line]).nth(place.column - 1)?;
    Some(line + column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn a(n: u8) -> bool {\n    /* é */ n < 3\n}\n";

    fn json(replacement: &str, start: (usize, usize), end: (usize, usize)) -> String {
        format!(
            r#"[{{"name":"s/lib.rs:2:15: replace < with {replacement} in a","package":"p",
            "replacement":"{replacement}","span":{{"start":{{"line":{},"column":{}}},
            "end":{{"line":{},"column":{}}}}}}}]"#,
            start.0, start.1, end.0, end.1
        )
    }

    #[test]
    fn a_mutant_is_the_source_with_one_change() {
        let mutants = listed(&json("<=", (2, 15), (2, 16)), SOURCE).unwrap();
        let expected = Mutant {
            name: "replace < with <= in a".to_owned(),
            line: 2,
            code: "/* é */ n < 3".to_owned(),
            source: SOURCE.replace('<', "<="),
        };
        assert_eq!(mutants, [expected]);
    }

    #[test]
    fn what_does_not_fit_the_source_is_refused() {
        assert_eq!(listed(&json("<=", (9, 1), (9, 2)), SOURCE), None);
        assert_eq!(listed("cargo: no such command", SOURCE), None);
    }

    #[test]
    fn an_entry_speaks_of_one_mutant_on_one_line() {
        let mutants = listed(&json("<=", (2, 15), (2, 16)), SOURCE).unwrap();
        let mut entry = Equivalent {
            mutant: "replace < with <= in a".to_owned(),
            code: "/* é */ n < 3".to_owned(),
            why: "nobody asks for 3".to_owned(),
        };
        assert!(entry.is(&mutants[0]));
        entry.code = "n < 4".to_owned();
        assert!(!entry.is(&mutants[0]));
    }
}
