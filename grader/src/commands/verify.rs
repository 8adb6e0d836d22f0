//! `kata verify`: prove that exercises are sound.

use std::thread;

use anyhow::Result;
use clap::Args;

use super::{
    context::{Context, chosen},
    exit::{Exit, call_error},
};
use crate::{
    grade::Grader,
    model::exercise::Exercise,
    verify::{
        Complaint, Effort, Event,
        mutants::{self, Tally},
        titles, verify,
    },
    view::duration::count,
    world::{disk, process::Cancel},
};

/// Arguments of `kata verify`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Args)]
pub struct Arguments {
    /// Exercises, by number or by any unique part of their name
    exercises: Vec<String>,
    /// All exercises
    #[arg(long, conflicts_with = "exercises")]
    all: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// How often the solution is run; every run must give the same report
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeats: u32,
    /// Keep the machine busy during half of these runs
    #[arg(long)]
    load: bool,
    /// Change each solution a little, in every way that cargo-mutants knows, and see whether the
    /// checks notice; nothing else is verified
    #[arg(long, conflicts_with = "only")]
    mutants: bool,
    /// Only what has this in its title: `wrong/in_sequence`, `solution`, `texts`
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// How many variants are graded at a time; as many as there are cores unless told otherwise
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Take each stub as it lies in `exercises/` for the course's original, then verify
    #[arg(long)]
    bless: bool,
}

/// Runs the command.
pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut grader = context.grader()?;
    // Variants are graded side by side, each on one core.
    grader.parallel = 1;
    let exercises: Vec<&Exercise> = if arguments.all {
        grader.course.exercises.iter().collect()
    } else {
        chosen(&grader.course, &arguments.exercises)?
    };
    if exercises.is_empty() {
        return Err(call_error("name an exercise, or say `--all`"));
    }
    if arguments.bless {
        for exercise in &exercises {
            bless(&grader, exercise)?;
        }
    }
    let cores = || thread::available_parallelism().map_or(2, usize::from);
    let jobs = arguments.jobs.unwrap_or_else(cores);
    let (cancel, on) = (Cancel::default(), |event| {
        let Event::Done { what, done, total } = event;
        eprintln!("{done:>4} of {total}  {what}");
    });
    let (tallies, mut complaints) = if arguments.mutants {
        mutants::verify(&grader, &exercises, jobs, &cancel, &on)?
    } else {
        let effort = Effort {
            repeats: arguments.repeats,
            load: arguments.load,
            jobs,
            only: arguments.only.clone(),
        };
        let titles = titles(&grader, &exercises);
        if !titles.iter().any(|title| effort.takes(title)) {
            return Err(call_error(format!(
                "nothing has `{}` in its title; the titles are\n{}",
                arguments.only.as_deref().unwrap_or_default(),
                titles.join("\n")
            )));
        }
        let complaints = verify(&grader, &exercises, &effort, &cancel, &on)?;
        (Vec::new(), complaints)
    };
    complaints.extend(grader.course.broken.iter().map(|broken| Complaint {
        exercise: broken.split(':').next().unwrap_or_default().to_owned(),
        file: "grader/hidden".to_owned(),
        line: 0,
        what: broken.clone(),
        mend: "mend kata.toml".to_owned(),
    }));
    if arguments.json {
        let mut whole = serde_json::json!({ "version": 1, "complaints": complaints });
        if arguments.mutants {
            whole["mutants"] = serde_json::to_value(&tallies)?;
        }
        println!("{whole}");
    } else {
        print(&tallies, &complaints, exercises.len());
    }
    Ok(if complaints.is_empty() {
        Exit::Passed
    } else {
        Exit::NotPassed
    })
}

fn print(tallies: &[Tally], complaints: &[Complaint], exercises: usize) {
    for complaint in complaints {
        let line = if complaint.line == 0 {
            String::new()
        } else {
            format!(":{}", complaint.line)
        };
        println!(
            "{}{line}: {}\n    {}",
            complaint.file, complaint.what, complaint.mend
        );
    }
    for tally in tallies {
        println!(
            "{}: {} of {} viable mutants are caught ({} %), {} more do not compile",
            tally.exercise,
            tally.caught,
            tally.viable,
            tally.percent(),
            tally.unviable
        );
    }
    let complaints = match complaints.len() {
        0 => "no complaints".to_owned(),
        some => count(some as u64, "complaint"),
    };
    println!("{}, {complaints}", count(exercises as u64, "exercise"));
}

fn bless(grader: &Grader, exercise: &Exercise) -> Result<()> {
    let original = grader.course.original(exercise);
    disk::remove_folder(&original)?;
    for (name, bytes) in disk::tree(&grader.course.stub(exercise).join("src"))? {
        disk::write(&original.join(name), &bytes)?;
    }
    Ok(())
}
