//! Places in the learner's code: which frame of a stack is the learner's, and how its file is called.

use std::panic::Location as Source;
use std::sync::Arc;

use kata_report::Location;

/// Stacks deeper than this are cut.
const MAX_FRAMES: usize = 160;

/// A place in the learner's code; a stack is searched for it only when somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Place(Option<Kind>);

#[derive(Debug, Clone)]
enum Kind {
    Known(Location),
    Stack(Arc<[usize]>),
}

impl Place {
    /// Where the calling code stands. Takes microseconds; the costly search is left for later.
    pub(crate) fn here() -> Self {
        let mut stack = Vec::with_capacity(64);
        backtrace::trace(|frame| {
            stack.push(frame.ip() as usize);
            stack.len() < MAX_FRAMES
        });
        Self(Some(Kind::Stack(stack.into())))
    }

    /// The innermost frame that is the learner's; `None` if the learner's code is not on the stack.
    pub fn location(&self) -> Option<Location> {
        match self.0.as_ref()? {
            Kind::Known(location) => Some(location.clone()),
            Kind::Stack(stack) => innermost(stack).map(|frame| frame.location),
        }
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

/// A frame of a stack that lies in the learner's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub function: String,
    pub location: Location,
}

fn innermost(stack: &[usize]) -> Option<Frame> {
    let mut given = None;
    for &ip in stack {
        let mut found = None;
        backtrace::resolve(ip as *mut _, |symbol| {
            if found.is_some() {
                return;
            }
            let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) else {
                return;
            };
            let Some(file) = file.to_str().and_then(learners_file) else {
                return;
            };
            let function = symbol
                .name()
                .map(|name| function_name(&format!("{name:#}")))
                .unwrap_or_default();
            let location = Location {
                file,
                line,
                column: symbol.colno().unwrap_or(1),
            };
            found = Some(Frame { function, location });
        });
        match found {
            Some(frame) if frame.location.file.ends_with("/given.rs") => {
                given = given.or(Some(frame))
            }
            Some(frame) => return Some(frame),
            None => {}
        }
    }
    given
}

/// `…/exercises/<slug>/src/…` or `…/solutions/<slug>/src/…` as the learner knows it; `None` for any other file.
pub(crate) fn learners_file(file: &str) -> Option<String> {
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

/// A function's name without crate, hash and closures: `transfer` of `day01::transfer::{{closure}}`.
pub(crate) fn function_name(symbol: &str) -> String {
    let mut parts: Vec<&str> = symbol
        .split("::")
        .filter(|part| !part.starts_with('{'))
        .collect();
    if parts.len() > 1 {
        parts.remove(0);
    }
    parts.join("::")
}
