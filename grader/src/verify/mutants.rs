//! Whether the checks notice small changes to the solution.
//!
//! cargo-mutants says which changes there are; each is then graded as any other variant, which is
//! many times quicker than a cargo run for each of them.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::{Complaint, Event, variants::Bench};
use crate::{
    grade::{Grader, Implementation, clear_benches},
    model::{
        exercise::Exercise,
        mutant::{Equivalent, Mutant, listed},
        verdict::Status,
    },
    world::{
        disk,
        parallel::in_parallel,
        process::{Cancel, capture, command},
    },
};

/// At least so many of a hundred viable mutants must be caught.
const LEAST_PERCENT: usize = 95;

/// How the mutants of one exercise fared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The exercise's slug.
    pub exercise: String,
    /// Those that compile.
    pub viable: usize,
    /// Those of them that fail a check.
    pub caught: usize,
    /// Those that do not compile.
    pub unviable: usize,
}

impl Tally {
    /// How many of a hundred viable mutants were caught, rounded down.
    pub fn percent(&self) -> usize {
        (self.caught * 100).checked_div(self.viable).unwrap_or(100)
    }
}

/// `grader/hidden/<slug>/mutants.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(default)]
    equivalent: Vec<Equivalent>,
}

/// What became of one mutant.
enum Fate {
    Unviable,
    Caught,
    Survived,
}

/// Grades every mutant of these exercises' solutions, `jobs` at a time.
pub fn verify(
    grader: &Grader,
    exercises: &[&Exercise],
    jobs: usize,
    cancel: &Cancel,
    on: &dyn Fn(Event),
) -> Result<(Vec<Tally>, Vec<Complaint>)> {
    let (mut tallies, mut complaints) = (Vec::new(), Vec::new());
    for exercise in exercises {
        grader.prepare(exercise, cancel, &|_| {})?;
        let bench = Bench {
            grader,
            exercise,
            cancel,
        };
        let (tally, found) = bench.mutants(jobs, on)?;
        tallies.push(tally);
        complaints.extend(found);
        clear_benches(grader, exercise)?;
    }
    complaints.sort();
    Ok((tallies, complaints))
}

impl Bench<'_> {
    fn mutants(&self, jobs: usize, on: &dyn Fn(Event)) -> Result<(Tally, Vec<Complaint>)> {
        let slug = &self.exercise.slug;
        let mutants = self.list()?;
        let known = self.known()?;
        let mut tally = Tally {
            exercise: slug.clone(),
            ..Tally::default()
        };
        let (mut survivors, mut done) = (Vec::new(), 0);
        in_parallel(
            &mutants,
            jobs,
            |mutant| (mutant, self.fate(mutant)),
            |(mutant, fate)| {
                match fate? {
                    Fate::Unviable => tally.unviable += 1,
                    Fate::Caught => tally.caught += 1,
                    Fate::Survived => survivors.push(mutant),
                }
                done += 1;
                on(Event::Done {
                    what: format!("{slug}: line {}: {}", mutant.line, mutant.name),
                    done,
                    total: mutants.len(),
                });
                Ok(())
            },
        )?;
        tally.viable = tally.caught + survivors.len();
        let complaints = self.judge(&tally, &survivors, &known);
        Ok((tally, complaints))
    }

    fn list(&self) -> Result<Vec<Mutant>> {
        let solution = self.grader.course.solution(self.exercise);
        let source = disk::text(&solution.join("src/lib.rs"))?;
        let mut cargo = command(self.grader.toolchain.cargo());
        cargo
            .args(["mutants", "--list", "--json", "--package"])
            .arg(format!("solution_{}", self.exercise.slug))
            .args(["--file", "lib.rs"])
            .current_dir(&self.grader.course.trusted);
        let printed = capture(&mut cargo, self.cancel)?;
        match listed(&printed.stdout, &source) {
            Some(mutants) if printed.status.success() => Ok(mutants),
            _ => bail!(
                "`cargo mutants` does not list the mutants of {}:\n{}\n\
                 Is it installed? cargo install --locked cargo-mutants",
                self.exercise.slug,
                printed.stderr.trim()
            ),
        }
    }

    fn known(&self) -> Result<Vec<Equivalent>> {
        let hidden = self.grader.course.hidden(self.exercise);
        let file = hidden.join("mutants.toml");
        if !file.exists() {
            return Ok(Vec::new());
        }
        match toml::from_str::<Known>(&disk::text(&file)?) {
            Ok(known) => Ok(known.equivalent),
            Err(error) => bail!("{} is not understood: {error}", file.display()),
        }
    }

    fn fate(&self, mutant: &Mutant) -> Result<Fate> {
        let folder = disk::temporary_folder()?;
        let file = folder.path().join("lib.rs");
        disk::write(&file, mutant.source.as_bytes())?;
        let verdict = self.grade(Implementation::File(&file))?.verdict;
        Ok(match verdict.status {
            Status::DoesNotCompile | Status::ContractChanged => Fate::Unviable,
            Status::Passed => Fate::Survived,
            Status::Failed | Status::NotStarted => Fate::Caught,
            Status::GraderError => {
                let said: Vec<_> = verdict.diagnostics.into_iter().map(|d| d.message).collect();
                bail!("{} cannot be graded: {}", mutant.name, said.join("\n"))
            }
        })
    }

    fn judge(&self, tally: &Tally, survivors: &[&Mutant], known: &[Equivalent]) -> Vec<Complaint> {
        let solution = format!("solutions/{}/src/lib.rs", self.exercise.slug);
        let list = format!("grader/hidden/{}/mutants.toml", self.exercise.slug);
        let unknown = survivors
            .iter()
            .filter(|mutant| !known.iter().any(|entry| entry.is(mutant)));
        let mut complaints: Vec<Complaint> = unknown
            .map(|mutant| {
                self.at(
                    &solution,
                    mutant.line,
                    format!("no check notices: {}\n    {}", mutant.name, mutant.code),
                    "add a check or sharpen one; if it cannot be noticed, say why in mutants.toml",
                )
            })
            .collect();
        let stale = known
            .iter()
            .filter(|entry| !survivors.iter().any(|mutant| entry.is(mutant)));
        complaints.extend(stale.map(|entry| {
            self.at(
                &list,
                0,
                format!("is caught, or there is no such mutant: {}", entry.mutant),
                "remove the entry",
            )
        }));
        let unexplained = known.iter().filter(|entry| entry.why.trim().is_empty());
        complaints.extend(unexplained.map(|entry| {
            self.at(
                &list,
                0,
                format!("does not say why it is equivalent: {}", entry.mutant),
                "say what makes it behave as the solution does",
            )
        }));
        if tally.percent() < LEAST_PERCENT {
            complaints.push(self.at(
                &solution,
                0,
                format!(
                    "only {} of {} viable mutants are caught",
                    tally.caught, tally.viable
                ),
                "at least 95 % must be",
            ));
        }
        complaints
    }
}
