//! The loop's state and what each event makes of it. No effects: it answers with what to do.

use super::intent::Intent;

/// Tells runs apart, so that the news of a stopped run is not taken for the newest.
pub type RunId = u64;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The learner saved a change to this exercise.
    Saved(String),
    /// The learner wants something.
    Intent(Intent),
    /// A run gave a verdict; whether every check passed.
    Graded(RunId, bool),
    /// A run failed: the grader's fault.
    RunFailed(RunId),
    /// Every day was graded.
    AllGraded(RunId),
    /// The terminal has another size.
    Resized,
    /// There is something to say below the page.
    Remark,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stop the run that is going on; its news no longer count.
    Cancel,
    /// Grade the current exercise; anew, if it must not come from the cache.
    Run {
        /// The run's number.
        id: RunId,
        /// Whether to find the verdict anew.
        fresh: bool,
    },
    /// Grade every day.
    RunAll(RunId),
    /// Make this exercise the current one, and open its file.
    Open(String),
    /// Go on to the next exercise that is not completed, and open its file.
    OpenNext,
    /// Record and show the verdict that just came.
    ShowVerdict,
    /// Show what stands on the screen again.
    Redraw,
    /// Show the verdict of the current exercise again.
    BackToVerdict,
    /// Show one more hint.
    ShowHint,
    /// Show the failed check's pitfall.
    ShowPitfall,
    /// Show the failed check's time line.
    ShowTimeline,
    /// Show all days.
    ShowList,
    /// Show the reference solution.
    ShowSolution,
    /// Mark ❌ and say what helps.
    MarkStuck,
    /// Give up: mark ❌ and show the solution.
    GiveUp,
    /// Put the learner's version away and restore the stub.
    Reset,
    /// Ask before going on.
    Ask(Question),
    /// Leave.
    Quit,
}

/// What is asked before something happens that the learner may not have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Put the learner's version away?
    Reset,
    /// Show the solution of an unsolved day?
    GiveUp,
    /// Leave an unsolved day?
    Skip,
}

/// The loop's state.
#[derive(Debug, Default)]
pub struct Machine {
    current: String,
    running: Option<RunId>,
    last_id: RunId,
    asked: Option<Question>,
    passed: bool,
    completed: bool,
}

impl Machine {
    /// Begins with this exercise; whether it was completed before.
    pub fn start(&mut self, slug: &str, completed: bool) -> Vec<Action> {
        let mut actions = self.open(slug, completed);
        actions.insert(0, Action::Open(slug.to_owned()));
        actions
    }

    /// The exercise has changed: its verdict is not known yet.
    pub fn open(&mut self, slug: &str, completed: bool) -> Vec<Action> {
        slug.clone_into(&mut self.current);
        self.passed = false;
        self.completed = completed;
        self.asked = None;
        self.run(false)
    }

    /// The current exercise's slug.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// Whether this run is the one that counts.
    pub fn is_current_run(&self, id: RunId) -> bool {
        self.running == Some(id)
    }

    /// What an event makes to do.
    pub fn on(&mut self, input: Input) -> Vec<Action> {
        match input {
            Input::Saved(slug) if slug == self.current => {
                self.asked = None;
                self.run(false)
            }
            // Whoever works on another day means that day.
            Input::Saved(slug) => vec![Action::Open(slug)],
            Input::Graded(id, passed) if self.is_current_run(id) => {
                self.running = None;
                self.passed = passed;
                self.completed |= passed;
                // A question stays on the screen until it is answered.
                self.asked = None;
                vec![Action::ShowVerdict]
            }
            Input::RunFailed(id) | Input::AllGraded(id) if self.is_current_run(id) => {
                self.running = None;
                Vec::new()
            }
            // A page of another width, or with a remark below it, is made anew.
            Input::Resized | Input::Remark if self.running.is_none() => vec![Action::BackToVerdict],
            Input::Resized => vec![Action::Redraw],
            // News of a stopped run; a remark waits for the running one's page.
            Input::Graded(..) | Input::RunFailed(_) | Input::AllGraded(_) | Input::Remark => {
                Vec::new()
            }
            Input::Intent(intent) => self.intent(intent),
        }
    }

    fn run(&mut self, fresh: bool) -> Vec<Action> {
        let id = self.next_id();
        let run = Action::Run { id, fresh };
        // A new run always stops the old one first: never two at a time.
        if self.running.replace(id).is_some() {
            vec![Action::Cancel, run]
        } else {
            vec![run]
        }
    }

    const fn next_id(&mut self) -> RunId {
        self.last_id += 1;
        self.last_id
    }

    fn intent(&mut self, intent: Intent) -> Vec<Action> {
        if let Some(question) = self.asked.take() {
            match (question, intent) {
                (_, Intent::Quit) => return self.intent(Intent::Quit),
                (Question::Reset, Intent::Yes) => return vec![Action::Reset],
                (Question::GiveUp, Intent::Yes) => return vec![Action::GiveUp],
                (Question::Skip, Intent::Yes | Intent::Next) => return vec![Action::OpenNext],
                _ => return vec![Action::BackToVerdict],
            }
        }
        match intent {
            Intent::Next if self.passed || self.completed => vec![Action::OpenNext],
            Intent::Next => self.ask(Question::Skip),
            Intent::Hint => vec![Action::ShowHint],
            Intent::Pitfall => vec![Action::ShowPitfall],
            Intent::Timeline => vec![Action::ShowTimeline],
            Intent::List => vec![Action::ShowList],
            Intent::Run => self.run(true),
            Intent::Stuck => vec![Action::MarkStuck],
            Intent::Solution if self.completed => vec![Action::ShowSolution],
            Intent::Solution => self.ask(Question::GiveUp),
            Intent::Reset => self.ask(Question::Reset),
            Intent::CheckAll => {
                let id = self.next_id();
                let run = Action::RunAll(id);
                if self.running.replace(id).is_some() {
                    vec![Action::Cancel, run]
                } else {
                    vec![run]
                }
            }
            Intent::Open(word) => vec![Action::Open(word)],
            Intent::Yes | Intent::Back => vec![Action::BackToVerdict],
            Intent::Quit => {
                let stop = self.running.take().map(|_| Action::Cancel);
                stop.into_iter().chain([Action::Quit]).collect()
            }
        }
    }

    fn ask(&mut self, question: Question) -> Vec<Action> {
        self.asked = Some(question);
        vec![Action::Ask(question)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Machine {
        let mut machine = Machine::default();
        assert_eq!(
            machine.start("day01_x", false),
            [
                Action::Open("day01_x".to_owned()),
                Action::Run {
                    id: 1,
                    fresh: false
                }
            ]
        );
        machine
    }

    fn key(key: char) -> Input {
        Input::Intent(Intent::of_key(key))
    }

    #[test]
    fn a_save_during_a_run_stops_it_and_starts_one_new_one() {
        let mut machine = started();
        let saved = Input::Saved("day01_x".to_owned());
        assert_eq!(
            machine.on(saved.clone()),
            [
                Action::Cancel,
                Action::Run {
                    id: 2,
                    fresh: false
                }
            ]
        );
        assert_eq!(
            machine.on(Input::Graded(1, true)),
            [],
            "the stopped run's news are nothing"
        );
        assert_eq!(machine.on(Input::Graded(2, false)), [Action::ShowVerdict]);
        assert_eq!(
            machine.on(saved),
            [Action::Run {
                id: 3,
                fresh: false
            }]
        );
    }

    #[test]
    fn green_stops_and_a_key_moves_on() {
        let mut machine = started();
        assert_eq!(machine.on(Input::Graded(1, true)), [Action::ShowVerdict]);
        assert_eq!(machine.on(key('n')), [Action::OpenNext]);
    }

    #[test]
    fn an_unsolved_day_is_left_only_on_purpose() {
        let mut machine = started();
        machine.on(Input::Graded(1, false));
        assert_eq!(machine.on(key('n')), [Action::Ask(Question::Skip)]);
        assert_eq!(machine.on(key('h')), [Action::BackToVerdict]);
        machine.on(key('n'));
        assert_eq!(machine.on(key('n')), [Action::OpenNext]);
    }

    #[test]
    fn reset_and_giving_up_are_asked_for_first() {
        let mut machine = started();
        assert_eq!(machine.on(key('x')), [Action::Ask(Question::Reset)]);
        assert_eq!(machine.on(key('n')), [Action::BackToVerdict]);
        machine.on(key('x'));
        assert_eq!(machine.on(key('y')), [Action::Reset]);
        assert_eq!(machine.on(key('o')), [Action::Ask(Question::GiveUp)]);
        assert_eq!(machine.on(key('y')), [Action::GiveUp]);
    }

    #[test]
    fn quitting_works_at_any_moment() {
        let mut machine = started();
        assert_eq!(machine.on(key('q')), [Action::Cancel, Action::Quit]);
        let mut machine = started();
        machine.on(Input::Graded(1, false));
        machine.on(key('x'));
        assert_eq!(machine.on(key('q')), [Action::Quit]);
    }

    #[test]
    fn a_save_of_another_day_makes_it_the_current_one() {
        let mut machine = started();
        let opened = machine.on(Input::Saved("day02_y".to_owned()));
        assert_eq!(opened, [Action::Open("day02_y".to_owned())]);
    }
}
