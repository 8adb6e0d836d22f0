//! The reference book's pages: sections and their anchors.

/// The section that carries an anchor: from its heading to the next one of the same rank.
///
/// An anchor is a heading's own (`## Lost wake-up` → `lost-wake-up`) or stands
/// in the section as `<a id="lost-wakeup"></a>`, which is left out.
pub fn section(text: &str, anchor: &str) -> Option<String> {
    let mark = format!("<a id=\"{anchor}\">");
    let lines: Vec<&str> = text.lines().collect();
    let headings = headings(&lines);
    let place = lines.iter().position(|line| line.contains(&mark));
    let (start, rank) = headings.iter().copied().rfind(|(line, _)| match place {
        // The mark may stand just above its heading, too.
        Some(place) => *line <= place + 1,
        None => slug(lines[*line]) == anchor,
    })?;
    let end = headings
        .iter()
        .find(|(line, other)| *line > start && *other <= rank)
        .map_or(lines.len(), |(line, _)| *line);
    let kept = lines[start..end]
        .iter()
        .filter(|line| !line.starts_with("<a id="));
    Some(
        kept.copied()
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
            + "\n",
    )
}

/// The anchor that a heading makes, as Markdown renderers make it.
pub fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Line and rank of every heading outside of code.
fn headings(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            found.push((
                number,
                line.bytes().take_while(|byte| *byte == b'#').count(),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Pitfalls

## Deadlock

<a id=\"dead\"></a>

Two wait.

```rust
# not a heading
```

### Mend

Order.

## Lost wake-up

Gone.
";

    #[test]
    fn a_section_goes_to_the_next_heading_of_its_rank() {
        let section = section(TEXT, "dead").unwrap();
        assert!(section.starts_with("## Deadlock\n"), "{section}");
        assert!(section.ends_with("Order.\n"), "{section}");
        assert!(!section.contains("<a id"), "{section}");
    }

    #[test]
    fn a_heading_is_its_own_anchor() {
        assert_eq!(
            section(TEXT, "lost-wake-up").unwrap(),
            "## Lost wake-up\n\nGone.\n"
        );
        assert_eq!(section(TEXT, "nothing"), None);
    }
}
