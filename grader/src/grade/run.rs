//! Running the checks of a built program, several at a time, one process each.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use kata_report::{CheckInfo, GRADER_FLAG, Request};

use super::phase::Phase;
use crate::{
    judge::check::{self, Evidence, Exit},
    model::verdict::CheckVerdict,
    world::{
        clock::Stopwatch,
        disk,
        parallel::in_parallel,
        process::{Cancel, CheckExit, command, run_check},
    },
};

/// A built hidden test and how it is to be run.
#[derive(Debug)]
pub struct Program<'a> {
    /// The executable.
    pub file: PathBuf,
    /// Where its dynamic libraries lie.
    pub libraries: Vec<PathBuf>,
    /// A folder in which each check gets an empty one, its working directory.
    pub folder: &'a Path,
    /// Real time that one check may take.
    pub deadline: Duration,
    /// How many checks run at a time.
    pub parallel: usize,
    /// Lines of code in which the implementation differs from the stub.
    pub changed_lines: usize,
}

impl Program<'_> {
    /// The checks that it offers. No code of the learner's runs for that.
    pub fn list(&self, cancel: &Cancel) -> Result<Vec<CheckInfo>> {
        let nonce = nonce();
        let request = line(&Request::List {
            nonce: nonce.clone(),
        })?;
        let run = run_check(
            &mut self.command(self.folder),
            &request,
            self.deadline,
            cancel,
        )?;
        match check::listing(&run.report, &nonce) {
            Some(checks) => Ok(checks),
            None => bail!(
                "the hidden test lists no checks ({:?}):\n{}",
                run.exit,
                run.output
            ),
        }
    }

    /// Runs these checks; the verdicts come in the order in which they end, each
    /// with the real time it took.
    pub fn run(
        &self,
        checks: &[CheckInfo],
        seeds: &[u64],
        cancel: &Cancel,
        on: &(dyn Fn(Phase) + Sync),
    ) -> Result<Vec<(CheckVerdict, Duration)>> {
        let total = checks.len();
        on(Phase::Testing { done: 0, total });
        let mut verdicts = Vec::with_capacity(total);
        in_parallel(
            checks,
            self.parallel.min(total),
            |info| self.run_one(info, seeds, cancel),
            |verdict| {
                verdicts.push(verdict?);
                let done = verdicts.len();
                on(Phase::Testing { done, total });
                Ok(())
            },
        )?;
        Ok(verdicts)
    }

    fn run_one(
        &self,
        info: &CheckInfo,
        seeds: &[u64],
        cancel: &Cancel,
    ) -> Result<(CheckVerdict, Duration)> {
        let watch = Stopwatch::start();
        let nonce = nonce();
        let request = line(&Request::Run {
            nonce: nonce.clone(),
            check: info.name.clone(),
            seeds: seeds.to_vec(),
            changed_lines: Some(self.changed_lines),
        })?;
        // A folder of its own: two checks may write files of the same name.
        let folder = disk::temporary_folder_in(self.folder)?;
        let run = run_check(
            &mut self.command(folder.path()),
            &request,
            self.deadline,
            cancel,
        )?;
        let exit = match run.exit {
            CheckExit::Code(code) => Exit::Code(code),
            CheckExit::Signal(signal) => Exit::Signal(signal),
            CheckExit::Deadline => {
                Exit::Deadline(u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX))
            }
            CheckExit::Flood => Exit::Flood,
        };
        let verdict = check::judge(Evidence {
            info,
            nonce: &nonce,
            exit,
            report: &run.report,
            output: &run.output,
        });
        Ok((verdict, watch.elapsed()))
    }

    /// The environment holds what a process needs to start, and nothing of the user's.
    fn command(&self, folder: &Path) -> Command {
        let mut program = command(&self.file);
        let libraries = env::join_paths(&self.libraries).unwrap_or_default();
        program
            .arg(GRADER_FLAG)
            .env_clear()
            .env(LIBRARY_PATH, libraries)
            .env("TMPDIR", folder)
            .current_dir(folder);
        program
    }
}

#[cfg(target_os = "macos")]
const LIBRARY_PATH: &str = "DYLD_LIBRARY_PATH";
#[cfg(not(target_os = "macos"))]
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

fn line(request: &Request) -> Result<String> {
    let mut line = serde_json::to_string(request).context("a request could not be written")?;
    line.push('\n');
    Ok(line)
}

/// A number that the learner's code cannot foresee: std's hasher keys are random.
fn nonce() -> String {
    let half = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", half(), half())
}
