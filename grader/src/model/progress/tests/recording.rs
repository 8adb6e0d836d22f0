//! What one verdict after another makes of an exercise.

use super::{SLUG, at, unchecked, verdict};
use crate::model::{
    marker::Marker,
    progress::{Entry, Marked, Progress, STUCK_AFTER, Step},
    verdict::{Status, Verdict},
};

/// Records verdicts a minute apart, each on a save of its own.
struct Learner {
    progress: Progress,
    minute: u32,
}

impl Learner {
    fn new() -> Self {
        Self {
            progress: Progress::default(),
            minute: 0,
        }
    }

    fn saves(&mut self, verdict: &Verdict) -> Step {
        let digest = format!("{:064}", self.minute)
            .chars()
            .rev()
            .collect::<String>();
        self.saves_source(&digest, verdict)
    }

    fn saves_source(&mut self, digest: &str, verdict: &Verdict) -> Step {
        let step = self.progress.record(verdict, digest, &at(self.minute));
        self.minute += 1;
        step
    }

    fn fails_until_stuck(&mut self) {
        for _ in 0..STUCK_AFTER {
            self.saves(&verdict("abc"));
        }
        assert_eq!(self.entry().marker, Marker::NeedHelp);
    }

    fn entry(&self) -> &Entry {
        self.progress.entry(SLUG).expect("the exercise is known")
    }
}

#[test]
fn an_unchanged_stub_leaves_no_trace() {
    let mut learner = Learner::new();
    let step = learner.saves(&unchecked(Status::NotStarted));
    assert_eq!(step.after, Marker::NotStarted);
    assert_eq!(learner.progress, Progress::default());
}

#[test]
fn a_grader_error_leaves_no_trace() {
    let mut learner = Learner::new();
    learner.saves(&unchecked(Status::GraderError));
    assert_eq!(learner.progress, Progress::default());
    learner.saves(&verdict("Abc"));
    let before = learner.progress.clone();
    let step = learner.saves(&unchecked(Status::GraderError));
    assert_eq!(learner.progress, before);
    assert_eq!(
        (step.before, step.after),
        (Marker::InProgress, Marker::InProgress)
    );
}

#[test]
fn a_failing_edit_is_in_progress() {
    let mut learner = Learner::new();
    let step = learner.saves(&verdict("Abc"));
    assert_eq!(
        (step.before, step.after),
        (Marker::NotStarted, Marker::InProgress)
    );
    assert_eq!(step.new_checks, ["a"]);
    assert_eq!(step.points_gained, 2);
    assert!(step.new_save);
    let entry = learner.entry();
    assert_eq!((entry.points, entry.max_points), (2, 6));
    assert_eq!(entry.status, Some(Status::Failed));
    assert_eq!(entry.first, Some(at(0)));
}

#[test]
fn code_that_does_not_compile_is_an_edit() {
    for status in [Status::DoesNotCompile, Status::ContractChanged] {
        let mut learner = Learner::new();
        let step = learner.saves(&unchecked(status));
        assert_eq!(step.after, Marker::InProgress, "{status:?}");
        assert_eq!(learner.entry().stuck, 1, "{status:?}");
    }
}

#[test]
fn code_that_does_not_compile_keeps_of_how_many_points() {
    let mut learner = Learner::new();
    learner.saves(&verdict("abc"));
    learner.saves(&unchecked(Status::DoesNotCompile));
    assert_eq!(learner.entry().max_points, 6);
}

#[test]
fn all_checks_passed_completes() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    learner.progress.hint_seen(SLUG, 1);
    let step = learner.saves(&verdict("ABC"));
    assert!(step.first_completion);
    assert_eq!(step.after, Marker::Completed);
    assert_eq!(step.new_checks, ["b", "c"]);
    assert_eq!(step.points_gained, 4);
    assert_eq!((step.saves, step.minutes, step.hints), (2, 1, 1));
    assert_eq!(learner.entry().completed, Some(at(1)));
}

#[test]
fn a_chosen_check_that_passes_does_not_complete() {
    let mut learner = Learner::new();
    let chosen = verdict("A..");
    assert_eq!(chosen.status, Status::Passed);
    let step = learner.saves(&chosen);
    assert_eq!(step.after, Marker::InProgress);
    assert_eq!(step.new_checks, ["a"]);
    let again = learner.saves(&chosen);
    assert_eq!(again.after, Marker::InProgress);
    assert_eq!(learner.entry().stuck, 0, "nothing failed");
}

#[test]
fn a_suite_without_checks_completes_nothing() {
    let mut learner = Learner::new();
    let step = learner.saves(&unchecked(Status::Passed));
    assert_eq!(step.after, Marker::InProgress);
}

#[test]
fn a_later_experiment_takes_nothing_back() {
    let mut learner = Learner::new();
    learner.saves(&verdict("ABC"));
    for later in [
        verdict("abc"),
        unchecked(Status::DoesNotCompile),
        unchecked(Status::ContractChanged),
        unchecked(Status::NotStarted),
        unchecked(Status::GraderError),
    ] {
        for _ in 0..2 * STUCK_AFTER {
            let step = learner.saves(&later);
            assert_eq!(step.after, Marker::Completed);
            assert!(!step.first_completion && !step.became_stuck());
        }
    }
    let entry = learner.entry();
    assert_eq!((entry.points, entry.max_points), (6, 6));
    assert_eq!(entry.completed, Some(at(0)));
    assert_eq!(entry.stuck, 0);
    let step = learner.saves(&verdict("ABC"));
    assert!(!step.first_completion);
    assert_eq!(learner.entry().completed, Some(at(0)));
}

#[test]
fn the_minutes_end_at_the_completion() {
    let mut learner = Learner::new();
    learner.saves(&verdict("abc"));
    learner.saves(&verdict("ABC"));
    learner.minute = 90;
    assert_eq!(learner.saves(&verdict("abc")).minutes, 1);
}

#[test]
fn a_longer_course_takes_nothing_back() {
    let mut learner = Learner::new();
    learner.saves(&verdict("AB"));
    let step = learner.saves(&verdict("ABc"));
    assert_eq!(step.after, Marker::Completed);
    assert_eq!((learner.entry().points, learner.entry().max_points), (4, 4));
    learner.saves(&verdict("ABC"));
    assert_eq!((learner.entry().points, learner.entry().max_points), (6, 6));
}

#[test]
fn a_longer_course_shows_while_in_progress() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Ab"));
    learner.saves(&verdict("Abc"));
    assert_eq!((learner.entry().points, learner.entry().max_points), (2, 6));
}

#[test]
fn the_best_points_are_kept() {
    let mut learner = Learner::new();
    learner.saves(&verdict("ABc"));
    let step = learner.saves(&verdict("abC"));
    assert_eq!(step.points_gained, 0);
    assert_eq!(step.new_checks, ["c"]);
    assert_eq!(learner.entry().points, 4);
}

#[test]
fn five_different_failing_saves_in_a_row_are_stuck() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    for _ in 0..4 {
        let step = learner.saves(&verdict("Abc"));
        assert_eq!(
            (step.after, step.became_stuck()),
            (Marker::InProgress, false)
        );
    }
    let step = learner.saves(&unchecked(Status::DoesNotCompile));
    assert_eq!((step.after, step.became_stuck()), (Marker::NeedHelp, true));
    let step = learner.saves(&verdict("Abc"));
    assert_eq!((step.after, step.became_stuck()), (Marker::NeedHelp, false));
}

#[test]
fn the_same_save_judged_again_is_not_another() {
    let mut learner = Learner::new();
    for _ in 0..2 * STUCK_AFTER {
        learner.saves_source("one", &verdict("abc"));
    }
    let entry = learner.entry();
    assert_eq!(entry.marker, Marker::InProgress);
    assert_eq!((entry.saves, entry.stuck, entry.checks_run), (1, 1, 3));
    assert_eq!(entry.last, Some(at(2 * STUCK_AFTER - 1)));
}

#[test]
fn a_save_that_gained_something_is_no_failing_one_when_judged_again() {
    let mut learner = Learner::new();
    learner.saves_source("one", &verdict("Abc"));
    learner.saves_source("one", &verdict("Abc"));
    assert_eq!(learner.entry().stuck, 0);
}

#[test]
fn going_back_and_forth_between_two_versions_is_not_stuck() {
    let mut learner = Learner::new();
    for _ in 0..STUCK_AFTER {
        learner.saves_source("one", &verdict("abc"));
        learner.saves_source("other", &verdict("abc"));
    }
    assert_eq!(learner.entry().marker, Marker::InProgress);
    assert_eq!(learner.entry().stuck, 2);
}

#[test]
fn a_new_check_starts_the_row_anew() {
    let mut learner = Learner::new();
    for _ in 1..STUCK_AFTER {
        learner.saves(&verdict("abc"));
    }
    learner.saves(&verdict("Abc"));
    for _ in 1..STUCK_AFTER {
        let step = learner.saves(&verdict("Abc"));
        assert_eq!(step.after, Marker::InProgress);
    }
    assert!(learner.saves(&verdict("Abc")).became_stuck());
}

#[test]
fn help_clears_on_a_check_that_never_passed_before() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    learner.saves(&verdict("abc"));
    learner.fails_until_stuck();
    let step = learner.saves(&verdict("Abc"));
    assert_eq!(step.after, Marker::NeedHelp, "that check passed before");
    let step = learner.saves(&verdict("aBc"));
    assert!(step.cleared_help());
    assert_eq!(step.after, Marker::InProgress);
    assert_eq!(learner.entry().stuck, 0);
}

#[test]
fn help_clears_on_completion() {
    let mut learner = Learner::new();
    learner.fails_until_stuck();
    let step = learner.saves(&verdict("ABC"));
    assert!(step.cleared_help() && step.first_completion);
    assert_eq!(step.after, Marker::Completed);
}

#[test]
fn help_asked_for_by_hand_stays_until_progress() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    let marked = learner.progress.mark(SLUG, Marker::NeedHelp, &at(1));
    assert_eq!(marked, Marked::Changed(Marker::InProgress));
    assert_eq!(learner.saves(&verdict("Abc")).after, Marker::NeedHelp);
    assert_eq!(
        learner.saves(&unchecked(Status::NotStarted)).after,
        Marker::NeedHelp
    );
    assert!(learner.saves(&verdict("ABc")).cleared_help());
}

#[test]
fn a_stub_put_back_does_not_demote() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    let step = learner.saves(&unchecked(Status::NotStarted));
    assert_eq!(step.after, Marker::InProgress);
    assert_eq!(learner.entry().status, Some(Status::NotStarted));
    assert_eq!(learner.entry().saves, 1);
}

#[test]
fn only_checks_that_ran_are_counted() {
    let mut learner = Learner::new();
    learner.saves(&verdict("aB."));
    assert_eq!(learner.entry().checks_run, 2);
    learner.saves(&unchecked(Status::DoesNotCompile));
    assert_eq!(learner.entry().checks_run, 2);
    learner.saves(&verdict("ABC"));
    assert_eq!(learner.entry().checks_run, 5);
}

#[test]
fn fields_of_other_programs_survive_a_verdict() {
    let mut learner = Learner::new();
    learner.saves(&verdict("Abc"));
    let entry = learner.progress.exercises.get_mut(SLUG).unwrap();
    entry.other.insert("note".into(), "mine".into());
    learner.saves(&verdict("ABC"));
    assert_eq!(learner.entry().other["note"], "mine");
}
