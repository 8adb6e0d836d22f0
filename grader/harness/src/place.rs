//! Places in the learner's code: which frame of a stack is the learner's, and how its file is called.

use std::collections::BTreeMap;
use std::panic::Location as Source;
use std::sync::{Arc, Mutex, PoisonError};

use kata_report::Location;

use crate::symbols;

/// Stacks deeper than this are cut.
const MAX_FRAMES: usize = 200;

/// A place in the learner's code; a stack is searched for it only when somebody asks.
#[derive(Clone, Default)]
pub struct Place(Option<Kind>);

#[derive(Clone)]
enum Kind {
    Known(Location),
    /// And what to say if the learner's code is not on it.
    Stack(Stack, Option<Location>),
}

impl Place {
    /// Where the calling code stands. Takes microseconds; the costly search is left for later.
    pub(crate) fn here() -> Self {
        Self::here_or(None)
    }

    /// Where the calling code stands, or `otherwise` if the learner's code is not on the stack.
    pub(crate) fn here_or(otherwise: Option<Location>) -> Self {
        Self(Some(Kind::Stack(Stack::here(), otherwise)))
    }

    /// The innermost frame that is the learner's; `None` if the learner's code is not on the stack.
    pub fn location(&self) -> Option<Location> {
        match self.0.as_ref()? {
            Kind::Known(location) => Some(location.clone()),
            Kind::Stack(stack, otherwise) => {
                let frames = stack.frames();
                let learners = innermost(&frames).and_then(|index| frames[index].location.clone());
                learners.or_else(|| otherwise.clone())
            }
        }
    }
}

/// Without addresses, which no two runs have in common.
impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Place").finish_non_exhaustive()
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self(Some(Kind::Known(location)))
    }
}

impl From<Option<Location>> for Place {
    fn from(location: Option<Location>) -> Self {
        Self(location.map(Kind::Known))
    }
}

/// One word of a stack: an instruction, and where its function begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ip {
    pub ip: usize,
    pub start: usize,
}

/// A stack, innermost frame first, as bare addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stack(Arc<[usize]>);

impl Stack {
    /// The calling thread's.
    pub fn here() -> Self {
        let mut ips = Vec::with_capacity(64);
        backtrace::trace(|frame| {
            ips.push(frame.ip() as usize);
            ips.len() < MAX_FRAMES
        });
        Self(ips.into())
    }

    /// Its frames, innermost first, those that the compiler inlined included.
    pub fn frames(&self) -> Vec<Frame> {
        self.0.iter().flat_map(|&ip| frames_at(ip)).collect()
    }
}

/// A frame of a stack with its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The whole path: `tokio::sync::mutex::Mutex<T>::lock::{{closure}}`.
    pub function: String,
    /// Where it stands, if it is in the learner's code.
    pub location: Option<Location>,
}

impl Frame {
    pub fn new(function: &str, file: Option<&str>, line: Option<u32>, column: Option<u32>) -> Self {
        let location = file
            .and_then(learners_file)
            .zip(line)
            .map(|(file, line)| Location {
                file,
                line,
                column: column.unwrap_or(1).max(1),
            });
        Self {
            function: function.to_owned(),
            location,
        }
    }
}

/// What an address stands for, inlined functions first; searched for once.
///
/// Debug info is read for the program itself alone, which is where the learner's code is:
/// that of the libraries takes ten times as long to read and names nothing of the learner's.
pub(crate) fn frames_at(ip: usize) -> Vec<Frame> {
    static KNOWN: Mutex<BTreeMap<usize, Vec<Frame>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(ip).or_insert_with(|| look_up(ip)).clone()
}

fn look_up(ip: usize) -> Vec<Frame> {
    // A return address lies behind its call, perhaps in the next function.
    let name = symbols::name_of(ip.wrapping_sub(1)).unwrap_or_default();
    let mut frames = Vec::new();
    if symbols::is_in_program(ip) {
        backtrace::resolve(ip as *mut _, |symbol| {
            let function = symbol
                .name()
                .map(|name| format!("{name:#}"))
                .unwrap_or_default();
            let file = symbol.filename().and_then(|file| file.to_str());
            frames.push(Frame::new(&function, file, symbol.lineno(), symbol.colno()));
        });
    }
    match frames.last_mut() {
        // Line tables name functions without their path.
        Some(outermost) if !name.is_empty() => outermost.function = name,
        Some(_) => {}
        None => frames.push(Frame::new(&name, None, None, None)),
    }
    frames
}

/// The learner's innermost frame; one in `given.rs`, which the exercise gave, only if there is
/// no other.
pub(crate) fn innermost(frames: &[Frame]) -> Option<usize> {
    let learners = |frame: &Frame| frame.location.is_some();
    let given = |frame: &Frame| {
        frame
            .location
            .as_ref()
            .is_some_and(|location| location.file.ends_with("/given.rs"))
    };
    let own = frames
        .iter()
        .position(|frame| learners(frame) && !given(frame));
    own.or_else(|| frames.iter().position(learners))
}

/// Whether a file belongs to a hidden test.
pub(crate) fn is_hidden(file: &str) -> bool {
    file.contains("grader/hidden/")
}

/// `…/exercises/<slug>/src/…` or `…/solutions/<slug>/src/…` as the learner knows it; `None` for any other file.
pub(crate) fn learners_file(file: &str) -> Option<String> {
    // An example of the book that a demo runs is the reader's to change, too.
    if let Some(begin) = file.rfind("docs/examples/") {
        return Some(file[begin..].to_owned());
    }
    let begin = file.rfind("exercises/").max(file.rfind("solutions/"))?;
    let file = &file[begin..];
    file.contains("/src/").then(|| file.to_owned())
}

/// A place in source code; the file as the learner knows it if it is the learner's.
pub(crate) fn of_source(source: &Source<'_>) -> Location {
    Location {
        file: learners_file(source.file()).unwrap_or_else(|| source.file().to_owned()),
        line: source.line(),
        column: source.column(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, innermost, learners_file};

    fn frame(file: &str) -> Frame {
        Frame::new("a::b", Some(file), Some(7), None)
    }

    #[test]
    fn the_learners_file_is_named_as_the_learner_knows_it() {
        let named = |file| learners_file(file).unwrap_or_default();
        assert_eq!(
            named("exercises/day01/src/lib.rs"),
            "exercises/day01/src/lib.rs"
        );
        assert_eq!(
            named("./exercises/day01/src/a/b.rs"),
            "exercises/day01/src/a/b.rs"
        );
        assert_eq!(
            named("/home/me/kata/solutions/day01/src/lib.rs"),
            "solutions/day01/src/lib.rs"
        );
        assert_eq!(
            named("/kata/solutions/day01/src/../../../exercises/day01/src/given.rs"),
            "exercises/day01/src/given.rs"
        );
    }

    #[test]
    fn other_files_are_nobodys() {
        assert_eq!(learners_file("/rustc/0/library/std/src/thread.rs"), None);
        assert_eq!(learners_file("grader/hidden/day01/tests.rs"), None);
        assert_eq!(learners_file("exercises/day01/tests/a.rs"), None);
    }

    #[test]
    fn given_code_is_named_only_if_the_learners_own_is_not_on_the_stack() {
        let given = frame("exercises/day01/src/given.rs");
        let own = frame("exercises/day01/src/lib.rs");
        let other = frame("tokio/src/time.rs");
        assert_eq!(innermost(&[other.clone(), given.clone(), own]), Some(2));
        assert_eq!(innermost(&[other.clone(), given]), Some(1));
        assert_eq!(innermost(&[other]), None);
    }

    #[test]
    fn columns_count_from_one() {
        let frame = Frame::new("a", Some("exercises/a/src/lib.rs"), Some(3), Some(0));
        assert_eq!(frame.location.unwrap().column, 1);
    }
}
