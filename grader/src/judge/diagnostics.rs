//! rustc's JSON messages.

use kata_report::Location;
use serde::Deserialize;

use crate::model::verdict::Diagnostic;

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "message")]
    text: String,
    level: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    column_start: u32,
    is_primary: bool,
}

/// The errors and warnings in rustc's output, in its order; closing lines such
/// as "aborting due to 2 previous errors" are left out.
pub fn diagnostics(stderr: &str) -> Vec<Diagnostic> {
    stderr.lines().filter_map(diagnostic).collect()
}

fn diagnostic(line: &str) -> Option<Diagnostic> {
    let message: Message = serde_json::from_str(line).ok()?;
    let error = message.level.starts_with("error");
    if message.spans.is_empty() && is_summary(&message.text) {
        return None;
    }
    if !error && message.level != "warning" {
        return None;
    }
    let location = message
        .spans
        .iter()
        .find(|span| span.is_primary)
        .map(|span| Location {
            file: span.file_name.clone(),
            line: span.line_start,
            column: span.column_start,
        });
    Some(Diagnostic {
        error,
        message: message.text,
        location,
        rendered: message.rendered.unwrap_or_default(),
    })
}

fn is_summary(message: &str) -> bool {
    message.starts_with("aborting due to")
        || message.starts_with("For more information about")
        || message.ends_with("warning emitted")
        || message.ends_with("warnings emitted")
}

/// Whether a line of rustc's output says that a library's metadata is written: from then on
/// others can be compiled against it.
pub fn is_metadata_ready(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Artifact {
        emit: String,
    }
    serde_json::from_str(line).is_ok_and(|artifact: Artifact| artifact.emit == "metadata")
}

/// The files that a library was compiled from, out of rustc's dep-info.
pub fn compiled_files(dep_info: &str) -> Vec<String> {
    dep_info
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_suffix(':'))
        .map(|file| file.replace("\\ ", " "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_left_out_and_places_are_kept() {
        let stderr = concat!(
            r#"{"$message_type":"diagnostic","message":"mismatched types","code":null,"level":"error","spans":[{"file_name":"exercises/d/src/lib.rs","byte_start":0,"byte_end":1,"line_start":3,"line_end":3,"column_start":5,"column_end":6,"is_primary":true,"text":[]}],"children":[],"rendered":"error: mismatched types\n"}"#,
            "\n",
            r#"{"$message_type":"diagnostic","message":"aborting due to 1 previous error","code":null,"level":"error","spans":[],"children":[],"rendered":"error: aborting\n"}"#,
            "\nnot json\n"
        );
        let found = diagnostics(stderr);
        assert_eq!(found.len(), 1);
        assert!(found[0].error);
        assert_eq!(
            found[0].location.as_ref().unwrap().to_string(),
            "exercises/d/src/lib.rs:3:5"
        );
    }

    #[test]
    fn metadata_is_told_from_other_artifacts_and_messages() {
        let line = |emit| {
            format!(r#"{{"$message_type":"artifact","artifact":"/o/libx","emit":"{emit}"}}"#)
        };
        assert!(is_metadata_ready(&line("metadata")));
        assert!(!is_metadata_ready(&line("link")));
        assert!(!is_metadata_ready(
            r#"{"message":"metadata","level":"warning","spans":[]}"#
        ));
        assert!(diagnostics(&line("metadata")).is_empty());
    }

    #[test]
    fn dep_info_names_every_file_once() {
        let text = "out/libexercise.rmeta: /s/src/lib.rs /etc/a\\ b\n\n/s/src/lib.rs:\n/etc/a\\ b:\n\n# env-dep:X\n";
        assert_eq!(compiled_files(text), ["/s/src/lib.rs", "/etc/a b"]);
    }
}
