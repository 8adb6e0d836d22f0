//! What is going on, on one line of standard error: a bar while dependencies compile.

use std::{
    io::{IsTerminal, stderr},
    sync::{Mutex, PoisonError},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::grade::phase::Phase;

/// A line that comes with the first slow phase and goes when it is dropped.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    /// Without a terminal: what was said last, so that it is said once.
    said: Mutex<String>,
}

impl Bar {
    /// A bar that has nothing to show yet.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(15));
        bar.set_style(style("{msg}"));
        Self {
            bar,
            said: Mutex::default(),
        }
    }

    /// Shows a phase.
    pub fn show(&self, phase: &Phase) {
        match phase {
            Phase::Preparing { krate, done, total } if *total > 0 => {
                if stderr().is_terminal() {
                    self.bar.set_style(style(
                        "preparing, only this once {wide_bar} {pos:>3} of {len}  {msg:24!} {elapsed:>4}",
                    ));
                    self.bar.set_length(*total as u64);
                    self.bar.set_position(*done as u64);
                    self.bar.set_message(krate.clone());
                } else {
                    self.say(
                        krate,
                        &format!("preparing: compiling {krate} ({done} of {total})"),
                    );
                }
            }
            Phase::Preparing { .. } => self
                .bar
                .set_message("preparing: looking at the dependencies"),
            Phase::Compiling | Phase::Linking => {
                self.bar.set_style(style("{msg}"));
                self.bar.set_message("compiling");
            }
            Phase::Testing { done, total } => {
                self.bar.set_message(format!("testing {done} of {total}"));
            }
        }
    }

    fn say(&self, key: &str, line: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !key.is_empty() && *said != key {
            key.clone_into(&mut said);
            eprintln!("{line}");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█░")
}
