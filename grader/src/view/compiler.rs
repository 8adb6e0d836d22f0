//! Pages for what does not compile: rustc's own words, the first error last.

use super::{
    duration::count,
    style::{INDENT, Style},
    text::{clean, only_colours, strip_escapes},
};
use crate::model::{
    exercise::Exercise,
    verdict::{Diagnostic, Verdict},
};

/// The learner's crate does not compile.
pub fn does_not_compile(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    let mut summary = format!(
        "{} does not compile: {}",
        exercise.short(),
        count(verdict.errors() as u64, "error")
    );
    let warnings = verdict.diagnostics.len() - verdict.errors();
    if warnings > 0 {
        summary = format!("{summary}, {}", count(warnings as u64, "warning"));
    }
    format!(
        "{}\n\n{}",
        style.bold(&summary),
        rendered(&verdict.diagnostics, style)
    )
}

/// An example that the reader has changed does not compile.
pub fn example_does_not_compile(name: &str, errors: &[Diagnostic], style: &Style) -> String {
    let summary = count(errors.len() as u64, "error");
    let summary = style.bold(&format!("{name} does not compile: {summary}"));
    format!("{summary}\n\n{}", rendered(errors, style))
}

/// The learner's crate compiles, but not as the checks call it.
pub fn contract_changed(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    let summary = format!(
        "{}: your public API no longer matches the contract",
        exercise.short()
    );
    let readme = format!("exercises/{}/README.md", exercise.slug);
    let summary: Vec<String> = style
        .wrap(&summary, style.page(), 0)
        .iter()
        .map(|line| style.bold(line))
        .collect();
    let rule = "The checks call your items by name, argument and return type. \
                Give them back the shapes that the README's Tasks promise. If the \
                README names others than the error does, your texts are older than \
                this kata: `kata update` brings the new ones.";
    let mut page = format!("{}\n\n", summary.join("\n"));
    page.push_str(&rendered(&verdict.diagnostics, style));
    if !verdict.diagnostics.is_empty() {
        page.push('\n');
    }
    page.push_str(&style.field("why", rule));
    page.push_str(&style.file_field("contract", &readme));
    let read = format!("kata read {}", exercise.day);
    page + &style.field_line("read", &style.accent(&read))
}

/// The grader or the course is at fault.
pub fn grader_error(exercise: &Exercise, verdict: &Verdict, style: &Style) -> String {
    let message = format!("{} could not be graded", exercise.short());
    let details = std::iter::once(
        "Your code is not to blame, and nothing was recorded.".to_owned(),
    )
    .chain(verdict.diagnostics.iter().map(|diagnostic| {
        if diagnostic.rendered.trim().is_empty() {
            diagnostic.message.clone()
        } else {
            strip_escapes(&diagnostic.rendered)
        }
    }));
    super::error::block(&message, details, style)
}

/// Warnings, then errors from the last to the first: the eye is at the prompt,
/// and the first error is the one to mend.
pub fn rendered(diagnostics: &[Diagnostic], style: &Style) -> String {
    let warnings = diagnostics.iter().filter(|diagnostic| !diagnostic.error);
    let errors = diagnostics
        .iter()
        .rev()
        .filter(|diagnostic| diagnostic.error);
    let texts: Vec<String> = warnings
        .chain(errors)
        .map(|diagnostic| one(diagnostic, style))
        .collect();
    texts.join("\n")
}

fn one(diagnostic: &Diagnostic, style: &Style) -> String {
    let text = if diagnostic.rendered.trim().is_empty() {
        bare(diagnostic)
    } else if style.colour {
        only_colours(&diagnostic.rendered)
    } else {
        only_colours(&strip_escapes(&diagnostic.rendered))
    };
    format!("{}\n", style.text(text.trim_end()))
}

fn bare(diagnostic: &Diagnostic) -> String {
    let level = if diagnostic.error { "error" } else { "warning" };
    let message = clean(&diagnostic.message);
    match &diagnostic.location {
        Some(location) => format!("{level}: {message}\n --> {location}"),
        None => format!("{level}: {message}"),
    }
}

/// The warnings of code that compiles, a line each: a future never awaited is one.
pub fn warnings(diagnostics: &[Diagnostic], style: &Style) -> String {
    const MOST: usize = 3;
    let warnings: Vec<&Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| !diagnostic.error)
        .collect();
    let mut block = String::new();
    for warning in warnings.iter().take(MOST) {
        let message = style.learner(&warning.message);
        block.push_str(&style.field("warning", &message));
        if let Some(location) = &warning.location {
            block.push_str(&style.field_line("", &style.place(location, style.field_width())));
        }
    }
    if warnings.len() > MOST {
        let more = count((warnings.len() - MOST) as u64, "warning");
        let more = format!("{}and {more} more\n", " ".repeat(INDENT));
        block.push_str(&style.dim(&more));
    }
    block
}
