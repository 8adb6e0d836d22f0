//! Opens the learner's file in the learner's editor, beside the running watch.

use std::{
    env,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};

use super::process;

/// The environment variable that names the editor where no `--editor` does.
const VARIABLE: &str = "KATA_EDITOR";
/// How much of an editor's complaint is kept.
const COMPLAINT_BYTES: u64 = 4096;

/// An editor with a window of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editor {
    /// The program and its arguments; `{file}` and `{line}` stand for what is opened.
    words: Vec<String>,
}

/// How editors want to be told a line.
#[derive(Clone, Copy)]
enum Style {
    /// `--goto file:12`
    Goto,
    /// `file:12`
    Colon,
    /// `--line 12 file`
    Line,
    /// `+12 file`
    Plus,
    /// `file`: not known.
    File,
}

/// The programs that are known, whether they need a terminal, and how they want the line.
const KNOWN: &[(&[&str], bool, Style)] = &[
    (
        &[
            "code",
            "code-insiders",
            "codium",
            "vscodium",
            "cursor",
            "windsurf",
            "positron",
        ],
        false,
        Style::Goto,
    ),
    (
        &["zed", "zeditor", "subl", "sublime_text", "lapce"],
        false,
        Style::Colon,
    ),
    (
        &["rustrover", "idea", "clion", "fleet", "kate", "kwrite"],
        false,
        Style::Line,
    ),
    (
        &[
            "gvim",
            "mvim",
            "neovide",
            "emacs",
            "emacsclient",
            "gedit",
            "xed",
            "geany",
            "mousepad",
        ],
        false,
        Style::Plus,
    ),
    (&["hx", "helix", "micro"], true, Style::Colon),
    (
        &[
            "vi", "vim", "nvim", "nano", "pico", "kak", "ne", "joe", "mg", "jed", "ed",
        ],
        true,
        Style::Plus,
    ),
];

impl Editor {
    /// The editor of `--editor`, or else of `KATA_EDITOR`, or none.
    ///
    /// # Errors
    /// If that command has an unclosed quote or no program.
    pub fn choose(flag: Option<&str>) -> Result<Option<Self>> {
        let variable = env::var(VARIABLE)
            .ok()
            .filter(|command| !command.is_empty());
        let (command, origin) = match (flag, &variable) {
            (Some(flag), _) => (flag, "--editor"),
            (None, Some(variable)) => (variable.as_str(), VARIABLE),
            (None, None) => return Ok(None),
        };
        Self::parse(command)
            .with_context(|| format!("{origin}: {command}"))
            .map(Some)
    }

    /// Takes a command apart as a shell does: `code --goto {file}:{line}`, `"/opt/My Editor/x"`.
    pub fn parse(command: &str) -> Result<Self> {
        let words = shell_words::split(command)?;
        ensure!(!words.is_empty(), "it names no program");
        Ok(Self { words })
    }

    /// Starts the editor and does not wait for it. `complain` is called from another thread
    /// if the editor ends unhappily, with a sentence for the learner.
    ///
    /// # Errors
    /// If the program cannot be started, or would need the terminal that the watch is in.
    pub fn open(
        &self,
        file: &Path,
        line: Option<u32>,
        complain: impl FnOnce(String) + Send + 'static,
    ) -> Result<()> {
        let words = self.command(file, line, env::var_os("TMUX").is_some())?;
        let (program, arguments) = words.split_first().context("it names no program")?;
        // In a group of its own, where no Ctrl-C in the watch reaches it.
        let mut command = process::command(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        process::welcome(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start the editor {program}"))?;
        let program = program.clone();
        thread::Builder::new()
            .name("editor".into())
            .spawn(move || {
                if let Some(complaint) = wait(child) {
                    complain(format!("the editor {program} {complaint}"));
                }
            })?;
        Ok(())
    }

    /// The program and arguments that open `file`.
    fn command(&self, file: &Path, line: Option<u32>, tmux: bool) -> Result<Vec<String>> {
        let program = self.program();
        let known = KNOWN
            .iter()
            .find(|(names, ..)| names.contains(&program.as_str()));
        let (needs_terminal, style) =
            known.map_or((false, Style::File), |known| (known.1, known.2));
        let file = file.to_str().context("the file's path is not UTF-8")?;
        let words = self.filled(file, line, style);
        if !(needs_terminal && !self.talks_to_a_server() || self.asks_for_terminal()) {
            return Ok(words);
        }
        if !tmux {
            bail!(
                "{program} needs a terminal of its own: open {file} in another window, run kata \
                 in tmux, or name an editor with a window"
            );
        }
        let window = ["tmux", "new-window", "-n", "kata"].map(str::to_owned);
        Ok(window.into_iter().chain(words).collect())
    }

    fn filled(&self, file: &str, line: Option<u32>, style: Style) -> Vec<String> {
        let number = line.unwrap_or(1).to_string();
        let fill = |word: &String| word.replace("{line}", &number).replace("{file}", file);
        let mut words: Vec<String> = self.words.iter().map(fill).collect();
        if self.words.iter().any(|word| word.contains("{file}")) {
            return words;
        }
        let file = file.to_owned();
        match (style, line) {
            (Style::Goto, Some(_)) => words.extend(["--goto".into(), format!("{file}:{number}")]),
            (Style::Colon, Some(_)) => words.push(format!("{file}:{number}")),
            (Style::Line, Some(_)) => words.extend(["--line".into(), number, file]),
            (Style::Plus, Some(_)) => words.extend([format!("+{number}"), file]),
            (Style::File, _) | (_, None) => words.push(file),
        }
        words
    }

    /// The program's name without its folder and Windows' endings.
    fn program(&self) -> String {
        let path = PathBuf::from(&self.words[0]);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        let ending = [".exe", ".cmd", ".bat", ".sh"].into_iter();
        let mut bare = ending.filter_map(|ending| name.strip_suffix(ending));
        bare.next().unwrap_or(&name).to_owned()
    }

    /// Vim that hands the file to another one, and Vim with a window.
    fn talks_to_a_server(&self) -> bool {
        let mut arguments = self.words.iter().skip(1);
        arguments.any(|word| word.starts_with("--remote") || word == "--server" || word == "-g")
    }

    /// Emacs that is told to do without a window.
    fn asks_for_terminal(&self) -> bool {
        let emacs = self.program().starts_with("emacs");
        let mut arguments = self.words.iter().skip(1);
        emacs
            && arguments
                .any(|word| ["-nw", "-t", "--tty", "--no-window-system"].contains(&word.as_str()))
    }
}

/// Waits for the end; what went wrong, if anything did.
fn wait(mut child: Child) -> Option<String> {
    let mut said = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        // What cannot be read is not needed; the rest is read so that the editor never waits.
        let _ = stderr.by_ref().take(COMPLAINT_BYTES).read_to_end(&mut said);
        let _ = io::copy(stderr, &mut io::sink());
    }
    match child.wait() {
        Ok(status) if status.success() => None,
        Ok(status) => {
            let said = String::from_utf8_lossy(&said);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            let last = last
                .map(|line| format!(": {}", line.trim()))
                .unwrap_or_default();
            Some(format!("failed ({status}){last}"))
        }
        Err(error) => Some(format!("was lost sight of: {error}")),
    }
}

#[cfg(test)]
#[path = "editor_tests.rs"]
mod tests;
