//! What is done with a `progress.json` that cannot be read.

use std::{fs, io, path::PathBuf};

use super::{
    Notice, ProgressError, ProgressFile,
    backup::set_aside,
    lock::Lock,
    notice::Restored,
    replace::{follow, replace},
};
use crate::{
    model::progress::{ParseProblem, Progress},
    world::clock,
};

impl ProgressFile {
    /// Sets the broken file aside, puts the best state that can be had in its
    /// place, and returns that.
    pub(super) fn heal(
        &self,
        problem: ParseProblem,
        lock: &Lock,
        notices: &mut Vec<Notice>,
    ) -> Result<Progress, ProgressError> {
        let (progress, restored) = self.best_state(&problem);
        match self.put_right(&progress, lock) {
            Ok(aside) => {
                notices.push(Notice::Broken {
                    problem,
                    aside: self.shown(&aside),
                    restored,
                });
                Ok(progress)
            }
            Err(source) => Err(ProgressError::NotSetAside {
                file: self.target(),
                problem,
                source,
            }),
        }
    }

    fn put_right(&self, progress: &Progress, lock: &Lock) -> io::Result<PathBuf> {
        let file = follow(&self.path())?;
        let mut name = file.clone().into_os_string();
        name.push(format!(".broken-{}", clock::for_file_name(&clock::now())));
        let aside = set_aside(&file, name.as_ref())?;
        match replace(&self.path(), &progress.to_json(), lock.held()) {
            // Whether the folder is synced matters little: the same would be done again.
            Ok(_folder_sync) => Ok(aside),
            Err(error) => {
                // The broken file is still in its place; a second name each
                // time that this is tried again would only be litter.
                drop(fs::remove_file(aside));
                Err(error)
            }
        }
    }

    /// Both sides of a git conflict, or else the last good state, or else nothing.
    fn best_state(&self, problem: &ParseProblem) -> (Progress, Restored) {
        if let ParseProblem::Conflict {
            merged: Some(merged),
            ..
        } = problem
        {
            return ((**merged).clone(), Restored::BothSides);
        }
        match self.backup().load() {
            Some((progress, saved)) => {
                let backup = self.shown(&self.backup().path());
                (progress, Restored::Backup { saved, backup })
            }
            None => (Progress::default(), Restored::Nothing),
        }
    }
}
