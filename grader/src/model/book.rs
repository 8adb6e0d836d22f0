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

/// The pages that the book's first page lists, in its order, and what it says of each:
/// its items `- [Title](page.md): words`.
pub fn contents(text: &str) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let item = line.strip_prefix("- [").and_then(|rest| {
            let (_, rest) = rest.split_once("](")?;
            let (page, about) = rest.split_once(".md):")?;
            Some((page.to_owned(), about.trim().to_owned()))
        });
        if let Some(item) = item {
            pages.push(item);
            open = true;
        } else if let Some((_, about)) = pages.last_mut().filter(|_| open && line.starts_with("  "))
        {
            about.push(' ');
            about.push_str(line.trim());
        } else {
            open = false;
        }
    }
    pages
}

/// The anchors by which a page's sections can be opened: those that stand in the
/// text, and of sections without one the heading's own.
pub fn anchors(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut anchors = Vec::new();
    let ends = headings(&lines).into_iter().skip(1).map(|(line, _)| line);
    for ((start, _), end) in headings(&lines).into_iter().zip(ends.chain([lines.len()])) {
        let own = lines[start..end].iter().find_map(|line| {
            let id = line.strip_prefix("<a id=\"")?;
            Some(id.split('"').next()?.to_owned())
        });
        anchors.push(own.unwrap_or_else(|| slug(lines[start])));
    }
    anchors
}

/// What `kata read` takes in the place of a link's address, where it leads to a page or a day.
///
/// `../docs/pitfalls.md#deadlock` → `pitfalls#deadlock`; other addresses stay.
pub fn reference(url: &str) -> String {
    let (path, anchor) = url.split_once('#').unwrap_or((url, ""));
    let Some(path) = path.strip_suffix(".md").filter(|_| !url.contains("://")) else {
        return url.to_owned();
    };
    let mut parts = path.rsplit('/');
    let (file, folder) = (parts.next().unwrap_or_default(), parts.next());
    let page = match folder.and_then(|folder| folder.split_once('_')) {
        Some((day, _)) if file == "README" && day.starts_with("day") => day,
        _ => file,
    };
    if anchor.is_empty() {
        page.to_owned()
    } else {
        format!("{page}#{anchor}")
    }
}

/// The text with links into itself made to name it, so that they say what `kata read` takes.
pub fn name_own_links(text: &str, page: &str) -> String {
    text.replace("](#", &format!("]({page}.md#"))
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
    fn a_page_names_itself_and_its_sections() {
        assert_eq!(anchors(TEXT), ["pitfalls", "dead", "mend", "lost-wake-up"]);
        let text = "# Book\n\n- [A](a.md): one\n  and half.\n- [B](b.md): two.\n\nThe end.";
        let expected = [("a", "one and half."), ("b", "two.")];
        let expected = expected.map(|(page, about)| (page.to_owned(), about.to_owned()));
        assert_eq!(contents(text), expected);
    }

    #[test]
    fn a_link_says_what_to_read() {
        for (url, expected) in [
            ("task-lifecycle.md", "task-lifecycle"),
            ("../../docs/pitfalls.md#deadlock", "pitfalls#deadlock"),
            ("../exercises/day07_concurrent_execution/README.md", "day07"),
            ("README.md", "README"),
            ("https://docs.rs/x.md", "https://docs.rs/x.md"),
            ("src/lib.rs", "src/lib.rs"),
        ] {
            assert_eq!(reference(url), expected);
        }
        let own = name_own_links("[a](#b)", "pitfalls");
        assert_eq!(own, "[a](pitfalls.md#b)");
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
