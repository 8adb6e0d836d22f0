//! `kata doctor`: what this machine gives and what it lacks.

use std::path::Path;

use anyhow::Result;

use super::{context::Context, exit::Exit};
use crate::{
    view::style::Style,
    world::{
        course::Course,
        disk,
        process::{Cancel, capture, command},
        progress_file::ProgressFile,
        toolchain::{self, Toolchain},
        watcher::{self, Mode, Watcher},
    },
};

/// One line of the report.
struct Finding {
    sound: bool,
    what: &'static str,
    words: String,
}

/// Runs the command. What is missing gives exit code 2.
pub fn run(context: &Context) -> Result<Exit> {
    let course = context.course()?;
    let mut findings = vec![toolchain_found(&course), linker(), disk(&course.workspace)];
    findings.push(watcher(&course));
    findings.push(progress(&course));
    findings.extend(exercises(&course));
    findings.push(terminal(context));
    findings.extend(diagnoses());
    let style = context.style();
    for finding in &findings {
        context.say(&line(finding, &style));
    }
    let sound = findings.iter().all(|finding| finding.sound);
    Ok(if sound { Exit::Passed } else { Exit::Call })
}

fn line(finding: &Finding, style: &Style) -> String {
    let sign = if finding.sound {
        style.sign("✅", "[ok]")
    } else {
        style.sign("❌", "[!!]")
    };
    let wrapped: Vec<String> = finding
        .words
        .lines()
        .flat_map(|line| style.wrap(line, style.page().saturating_sub(17), 0))
        .collect();
    let mut lines = wrapped.iter();
    let mut text = format!(
        "{sign} {:<12} {}\n",
        finding.what,
        lines.next().map_or("", |line| line.trim_start())
    );
    for line in lines {
        text += &" ".repeat(17);
        text += line;
        text += "\n";
    }
    text
}

fn toolchain_found(course: &Course) -> Finding {
    let found = toolchain::find(&course.owner, &course.store());
    let words = match &found {
        Ok(toolchain) => describe(toolchain),
        Err(error) => format!("{error:#}"),
    };
    Finding {
        sound: found.is_ok(),
        what: "toolchain",
        words,
    }
}

fn describe(toolchain: &Toolchain) -> String {
    format!(
        "rustc {} for {}\n{}",
        toolchain.release(),
        toolchain.host(),
        toolchain.sysroot.display()
    )
}

fn linker() -> Finding {
    let found = capture(command("cc").arg("--version"), &Cancel::default());
    let words = match &found {
        Ok(printed) => printed.stdout.lines().next().unwrap_or("cc").to_owned(),
        Err(_) => "there is no C compiler `cc` to link with\n\
                   Debian: apt-get install gcc; macOS: xcode-select --install"
            .to_owned(),
    };
    Finding {
        sound: found.is_ok(),
        what: "linker",
        words,
    }
}

fn disk(workspace: &Path) -> Finding {
    const NEEDED: u64 = 1 << 30;
    let Some(free) = disk::free(workspace) else {
        return Finding {
            sound: true,
            what: "disk",
            words: "free space unknown".to_owned(),
        };
    };
    let words = format!("{} MiB free", free >> 20);
    if free < NEEDED {
        let words = format!("{words}\nthe compiled dependencies need about 1 GiB");
        return Finding {
            sound: false,
            what: "disk",
            words,
        };
    }
    Finding {
        sound: true,
        what: "disk",
        words,
    }
}

/// The watcher tests itself when it starts: what it would do in `kata watch` is what it says.
fn watcher(course: &Course) -> Finding {
    let folders: Vec<_> = course
        .exercises
        .iter()
        .map(|exercise| course.stub(exercise))
        .collect();
    let started = Watcher::start(&folders, watcher::Options::default(), |_| {});
    let words = match &started {
        Ok(watcher) => match watcher.mode() {
            Mode::Notify => "the system announces each save".to_owned(),
            Mode::Poll { why } => format!("looks at the files a few times a second\n{why}"),
        },
        Err(error) => format!("{error:#}"),
    };
    Finding {
        sound: started.is_ok(),
        what: "watcher",
        words,
    }
}

fn progress(course: &Course) -> Finding {
    let file = ProgressFile::at(&course.workspace);
    match file.load() {
        Ok(loaded) => {
            let done = loaded.progress.completed();
            let words = format!("{} of {} days", done, course.exercises.len());
            Finding {
                sound: true,
                what: "progress",
                words,
            }
        }
        Err(error) => Finding {
            sound: false,
            what: "progress",
            words: error.to_string(),
        },
    }
}

fn exercises(course: &Course) -> Vec<Finding> {
    let missing: Vec<String> = course
        .exercises
        .iter()
        .filter(|exercise| !course.stub(exercise).join("src/lib.rs").exists())
        .map(|exercise| {
            format!(
                "{} is missing; bring it back: kata reset {} --yes",
                exercise.file(),
                exercise.day
            )
        })
        .chain(course.broken.iter().cloned())
        .collect();
    let words = match missing.as_slice() {
        [] => format!("{} found", course.exercises.len()),
        missing => missing.join("\n"),
    };
    vec![Finding {
        sound: missing.is_empty(),
        what: "exercises",
        words,
    }]
}

fn terminal(context: &Context) -> Finding {
    let terminal = &context.terminal;
    let yes = |flag: bool, name: &str| {
        if flag {
            name.to_owned()
        } else {
            format!("no {name}")
        }
    };
    let words = format!(
        "{} by {}, {}, {}, {}, {}",
        terminal.width,
        terminal.height,
        yes(terminal.stdin_tty, "keys"),
        yes(terminal.colour, "colour"),
        yes(terminal.unicode, "emoji"),
        yes(terminal.links, "links"),
    );
    Finding {
        sound: true,
        what: "terminal",
        words,
    }
}

/// Which mistakes are named here with the learner's line, and which only by what they lead to.
fn diagnoses() -> Vec<Finding> {
    let linux = cfg!(target_os = "linux");
    let traced = linux
        && cfg!(any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "x86"
        ));
    let finding = |words: String| Finding {
        sound: true,
        what: "diagnoses",
        words,
    };
    let place = |there: bool| {
        if there {
            "with the line"
        } else {
            "without the line on this system"
        }
    };
    vec![finding(format!(
        "deadlock: {}\nblocked runtime: {}\nselect! and hash order by seed: {}\n\
         never-ending runs, busy loops, leaked tasks, lost panics: everywhere",
        place(traced),
        place(linux),
        if linux { "yes" } else { "select! alone" },
    ))]
}
