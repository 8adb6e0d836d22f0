//! What holds after any sequence of verdicts, marks and hints.

use super::{SLUG, at, unchecked, verdict};
use crate::model::{
    marker::Marker,
    progress::{Entry, Progress, STUCK_AFTER},
    verdict::Status,
};

/// Marsaglia's xorshift: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Does one random thing to `progress`.
fn step(progress: &mut Progress, random: &mut Random, minute: u32) {
    let digest = random.below(12).to_string();
    let verdict = match random.below(12) {
        0 => unchecked(Status::NotStarted),
        1 => unchecked(Status::GraderError),
        2 => unchecked(Status::DoesNotCompile),
        3 => unchecked(Status::ContractChanged),
        4 => {
            let marker = Marker::ALL[usize::try_from(random.below(4)).unwrap()];
            progress.mark(SLUG, marker, &at(minute));
            return;
        }
        5 => {
            progress.hint_seen(SLUG, u32::try_from(random.below(5)).unwrap());
            return;
        }
        _ => {
            // Mostly failing, or every run would soon be completed; a course of two or three checks.
            let length = 2 + usize::try_from(random.below(2)).unwrap();
            let letters = ["a", "a", "a", "a", "A", "."];
            let checks: String = (0..length)
                .map(|_| letters[usize::try_from(random.below(6)).unwrap()])
                .collect();
            verdict(&checks)
        }
    };
    let before = progress.marker(SLUG);
    let step = progress.record(&verdict, &digest, &at(minute));
    assert_eq!((step.before, step.after), (before, progress.marker(SLUG)));
}

fn holds(before: &Entry, after: &Entry) {
    if before.marker == Marker::Completed {
        assert_eq!(after.marker, Marker::Completed, "demoted");
        assert_eq!(after.completed, before.completed, "completed anew");
    }
    if before.marker != Marker::NotStarted && after.marker == Marker::NotStarted {
        assert_eq!(after.saves, before.saves, "only a mark may do that");
    }
    assert_eq!(after.marker == Marker::Completed, after.completed.is_some());
    assert!(after.points >= before.points, "points dropped");
    assert!(
        after.points <= after.max_points,
        "more points than there are"
    );
    assert!(after.checks_run >= before.checks_run && after.saves >= before.saves);
    assert!(after.hints >= before.hints);
    assert!(before.first.is_none() || after.first == before.first);
    assert!(
        before
            .passed
            .iter()
            .all(|check| after.passed.contains(check))
    );
    assert!(after.passed.is_sorted());
    assert!(after.stuck <= STUCK_AFTER);
    assert_eq!(after.tried.len(), usize::try_from(after.stuck).unwrap());
}

#[test]
fn nothing_earned_is_ever_lost() {
    let mut completed = 0;
    for seed in 1..=400 {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut progress = Progress::default();
        for minute in 0..60 {
            let before = progress.entry(SLUG).cloned().unwrap_or_default();
            step(&mut progress, &mut random, minute);
            let after = progress.entry(SLUG).cloned().unwrap_or_default();
            holds(&before, &after);
            let text = progress.to_json();
            assert_eq!(Progress::parse(&text).unwrap(), progress, "{text}");
        }
        completed += progress.completed();
    }
    assert!((100..400).contains(&completed), "a poor mix: {completed}");
}

#[test]
fn merging_any_two_files_loses_nothing() {
    for seed in 1..=400 {
        let mut random = Random(seed * 0x9E37_79B9);
        let mut one = Progress::default();
        for minute in 0..random_length(&mut random) {
            step(&mut one, &mut random, minute);
        }
        let mut other = one.clone();
        for minute in 20..20 + random_length(&mut random) {
            step(&mut one, &mut random, minute);
        }
        for minute in 20..20 + random_length(&mut random) {
            step(&mut other, &mut random, minute);
        }
        let merged = one.clone().merge(other.clone());
        assert_eq!(merged, other.clone().merge(one.clone()), "seed {seed}");
        assert_eq!(merged, merged.clone().merge(merged.clone()), "seed {seed}");
        let merged = merged.entry(SLUG).cloned().unwrap_or_default();
        for side in [one, other] {
            let side = side.entry(SLUG).cloned().unwrap_or_default();
            assert!(merged.points >= side.points);
            assert!(
                side.passed
                    .iter()
                    .all(|check| merged.passed.contains(check))
            );
            assert!(merged.marker == Marker::Completed || side.marker != Marker::Completed);
        }
    }
}

fn random_length(random: &mut Random) -> u32 {
    u32::try_from(random.below(20)).unwrap()
}
