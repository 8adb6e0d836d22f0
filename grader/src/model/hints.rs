//! `hints.md`: numbered hints per task, from a nudge to nearly the answer.

/// The hints of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskHints {
    /// Counted from 1.
    pub number: u32,
    /// What stands after `## Task 1:`.
    pub title: String,
    /// Markdown, without the list's indentation.
    pub hints: Vec<String>,
}

/// The tasks of a `hints.md` in their order.
///
/// A task begins with `## Task 1: title`, a hint with `1.` at the line's
/// beginning; what follows belongs to it until the next one. Text outside of
/// any hint is left out.
pub fn parse(text: &str) -> Vec<TaskHints> {
    let mut tasks: Vec<TaskHints> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        let at_margin = !line.starts_with(' ') && !fenced;
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if at_margin && line.starts_with('#') {
            // Another heading closes the task: what follows it is no hint.
            tasks.push(heading(line).unwrap_or(TaskHints {
                number: 0,
                title: String::new(),
                hints: Vec::new(),
            }));
            continue;
        }
        let Some(task) = tasks.last_mut() else {
            continue;
        };
        match item(line).filter(|_| at_margin) {
            Some(first) => task.hints.push(first.to_owned()),
            None => {
                if let Some(hint) = task.hints.last_mut() {
                    hint.push('\n');
                    hint.push_str(dedent(line));
                }
            }
        }
    }
    tasks.retain(|task| task.number > 0);
    for hint in tasks.iter_mut().flat_map(|task| &mut task.hints) {
        hint.truncate(hint.trim_end().len());
    }
    tasks
}

/// The hint to show next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next<'a> {
    /// The task it belongs to.
    pub task: &'a TaskHints,
    /// Its number in the task, counted from 1.
    pub number: usize,
    /// How many hints count as seen afterwards, over all tasks.
    pub seen: u32,
}

/// The next hint for the task at hand, when `seen` hints were shown so far.
///
/// Hints of tasks that are passed are skipped, and those of tasks to come are
/// not given away: after the last one for this task it is shown again.
/// `None` means that the task has no hints.
pub fn next(tasks: &[TaskHints], task: u32, seen: u32) -> Option<Next<'_>> {
    let position = tasks.iter().position(|own| own.number == task)?;
    let before: usize = tasks[..position].iter().map(|own| own.hints.len()).sum();
    let own = &tasks[position];
    let shown = (seen as usize).saturating_sub(before);
    let number = (shown + 1).min(own.hints.len());
    if number == 0 {
        return None;
    }
    let seen = u32::try_from(before + number).unwrap_or(u32::MAX).max(seen);
    Some(Next {
        task: own,
        number,
        seen,
    })
}

/// `## Task 1: title`
fn heading(line: &str) -> Option<TaskHints> {
    let rest = line.strip_prefix("## Task ")?;
    let (number, title) = rest.split_once(':').unwrap_or((rest, ""));
    Some(TaskHints {
        number: number.trim().parse().ok()?,
        title: title.trim().to_owned(),
        hints: Vec::new(),
    })
}

/// What stands after `1.`.
fn item(line: &str) -> Option<&str> {
    let (number, text) = line.split_once('.')?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let spaced = text.is_empty() || text.starts_with(' ');
    (numbered && spaced).then(|| text.trim_start())
}

/// A continuation without the item's three columns.
fn dedent(line: &str) -> &str {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    &line[spaces.min(3)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_TASKS: &str = "\
# Hints

Read one at a time.

## Task 1: gather in order

1. What is in flight
   before the first await?

   A second paragraph.
2. Ask first:
   ```rust
   let permit = 1;
       indented();
   # not a heading
   2. not a hint
   ```

## Task 2: first success
1. One.
10. Ten.
";

    #[test]
    fn hints_are_found_below_their_task() {
        let tasks = parse(TWO_TASKS);
        let shape: Vec<(u32, &str, usize)> = tasks
            .iter()
            .map(|task| (task.number, task.title.as_str(), task.hints.len()))
            .collect();
        let expected = [(1, "gather in order", 2), (2, "first success", 2)];
        assert_eq!(shape, expected);
    }

    #[test]
    fn continuations_lose_the_margin_of_the_list_and_nothing_else() {
        let hints = &parse(TWO_TASKS)[0].hints;
        let first = "What is in flight\nbefore the first await?\n\nA second paragraph.";
        assert_eq!(hints[0], first);
        let second = "Ask first:\n```rust\nlet permit = 1;\n    indented();\n# not a heading\n2. not a hint\n```";
        assert_eq!(hints[1], second);
    }

    #[test]
    fn a_number_in_running_text_begins_no_hint() {
        let tasks = parse("## Task 1: x\n1. Wait for\n2.5 seconds\n");
        assert_eq!(tasks[0].hints, ["Wait for\n2.5 seconds"]);
    }

    #[test]
    fn code_without_the_margin_of_the_list_stays_code() {
        let tasks = parse("## Task 1: x\n1. One:\n```\n# no heading\n2. no hint\n```\n2. Two.\n");
        let hints = ["One:\n```\n# no heading\n2. no hint\n```", "Two."];
        assert_eq!(tasks[0].hints, hints);
    }

    #[test]
    fn text_below_another_heading_is_no_hint() {
        let tasks = parse("## Task 1: x\n1. One.\n## Notes\n1. Not a hint.\n");
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].hints, ["One."]);
    }

    #[test]
    fn an_empty_file_has_no_tasks() {
        assert!(parse("").is_empty());
    }
}
