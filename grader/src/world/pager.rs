//! Shows a long text in the reader's pager.

use std::{env, ffi::OsString, io::Write, process::Stdio};

use super::process;

/// What is started where `PAGER` names nothing.
const DEFAULT: &str = "less -R";

/// Shows `text` in the pager and waits until it is closed; says whether there was one.
///
/// `PAGER=` (empty) or `PAGER=cat` means that none is wanted.
pub fn show(text: &str) -> bool {
    command(env::var("PAGER").ok().as_deref()).is_some_and(|words| run(&words, text).is_ok())
}

/// The program and its arguments; `None`: no pager is wanted, or none is understood.
fn command(variable: Option<&str>) -> Option<Vec<String>> {
    let words = shell_words::split(variable.unwrap_or(DEFAULT)).ok()?;
    (!words.is_empty() && words != ["cat"]).then_some(words)
}

fn run(words: &[String], text: &str) -> std::io::Result<()> {
    let mut command = process::foreground(&words[0]);
    command.args(&words[1..]).stdin(Stdio::piped());
    if env::var_os("LESS").is_none() {
        // As git does: colours shown as meant; a text that fits leaves at once.
        command.env("LESS", OsString::from("FRX"));
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A reader who closes the pager before the end has read enough.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_decides_and_emptiness_means_none() {
        assert_eq!(command(None).unwrap(), ["less", "-R"]);
        assert_eq!(command(Some("most -s")).unwrap(), ["most", "-s"]);
        for none in ["", "cat", "an 'open quote"] {
            assert_eq!(command(Some(none)), None, "{none}");
        }
    }

    #[test]
    fn a_pager_that_is_not_there_is_told_apart_from_one_that_was_closed_early() {
        let words = |program: &str| vec![program.to_owned()];
        assert!(run(&words("kata-has-no-such-pager"), "x").is_err());
        assert!(run(&words("true"), &"x".repeat(1 << 20)).is_ok());
    }
}
