//! The two sides of a file in which git left conflict markers.

/// Both sides of a conflicting file, each as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sides {
    pub ours: String,
    pub theirs: String,
}

/// The line of the first conflict marker, counted from 1.
pub(super) fn first_line(text: &str) -> Option<usize> {
    let position = text.lines().position(|line| is_marker(line, '<'))?;
    Some(position + 1)
}

/// Takes the file apart; `None` if the markers do not pair up.
pub(super) fn sides(text: &str) -> Option<Sides> {
    let mut sides = Sides {
        ours: String::new(),
        theirs: String::new(),
    };
    let mut within = Within::Both;
    for line in text.lines() {
        within = match within {
            Within::Both if is_marker(line, '<') => Within::Ours,
            Within::Ours if is_marker(line, '|') => Within::Base,
            Within::Ours | Within::Base if is_marker(line, '=') => Within::Theirs,
            Within::Theirs if is_marker(line, '>') => Within::Both,
            _ if ['<', '|', '>'].iter().any(|c| is_marker(line, *c)) => return None,
            within => {
                if matches!(within, Within::Both | Within::Ours) {
                    sides.ours.push_str(line);
                    sides.ours.push('\n');
                }
                if matches!(within, Within::Both | Within::Theirs) {
                    sides.theirs.push_str(line);
                    sides.theirs.push('\n');
                }
                within
            }
        };
    }
    (within == Within::Both).then_some(sides)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Both,
    Ours,
    /// The common ancestor, which git writes with `merge.conflictStyle=diff3`.
    Base,
    Theirs,
}

/// Seven of them at the start of a line, alone or followed by a blank.
fn is_marker(line: &str, character: char) -> bool {
    let rest = line.trim_start_matches(character);
    line.len() - rest.len() == 7 && (rest.is_empty() || rest.starts_with(' '))
}
