//! What a reset did, and the way back.

use crate::model::exercise::Exercise;

/// The stub is restored; the learner's version lies in `folder`.
pub fn done(exercise: &Exercise, folder: &str) -> String {
    format!(
        "{} is the stub again\n  Your version lies in {folder}.\n  Back: kata reset {} --undo\n",
        exercise.file(),
        exercise.day
    )
}
