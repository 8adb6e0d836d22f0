//! Where the system announces nothing, saves are found all the same, and the learner is told why.

use std::{fs, io, path::Path};

use kata::world::watcher::{Mode, Options};
use notify::{
    Config, Error, ErrorKind, Event, EventHandler, NullWatcher, RecommendedWatcher, RecursiveMode,
    Watcher, WatcherKind,
};

use crate::course::{Course, exercises};

fn why(course: &Course) -> String {
    match course.watcher.mode() {
        Mode::Poll { why } => why,
        Mode::Notify => panic!("it believes in notifications"),
    }
}

fn saves_are_found(mut course: Course) {
    for number in 0..3 {
        course.counts_once("without notifications", |course| {
            fs::write(course.lib(), format!("// {number}\n")).unwrap();
        });
    }
}

#[test]
fn a_system_that_announces_nothing_is_found_out_at_the_start() {
    let course = Course::start_on::<NullWatcher>(exercises(), Options::default());
    assert!(
        why(&course).contains("was not announced"),
        "{}",
        why(&course)
    );
    saves_are_found(course);
}

#[test]
fn polling_can_be_asked_for() {
    let course = Course::polled();
    assert!(why(&course).contains("asked for"), "{}", why(&course));
}

/// No more folders may be watched, as when another program took them all.
struct Full;

impl Watcher for Full {
    fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
        Ok(Self)
    }
    fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
        Err(Error::new(ErrorKind::MaxFilesWatch))
    }
    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }
    fn kind() -> WatcherKind {
        WatcherKind::NullWatcher
    }
}

#[test]
fn the_limit_of_watches_is_named_with_what_raises_it() {
    let course = Course::start_on::<Full>(exercises(), Options::default());
    assert!(
        why(&course).contains("sysctl fs.inotify.max_user_watches"),
        "{}",
        why(&course)
    );
    saves_are_found(course);
}

/// No more programs may watch.
struct Crowded;

impl Watcher for Crowded {
    fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
        Err(Error::io(io::Error::from_raw_os_error(24)))
    }
    fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
        unreachable!("it could not be made")
    }
    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        unreachable!("it could not be made")
    }
    fn kind() -> WatcherKind {
        WatcherKind::NullWatcher
    }
}

#[test]
fn the_limit_of_watchers_is_named_with_what_raises_it() {
    let course = Course::start_on::<Crowded>(exercises(), Options::default());
    assert!(
        why(&course).contains("sysctl fs.inotify.max_user_instances"),
        "{}",
        why(&course)
    );
    saves_are_found(course);
}

/// The system's own, whose announcements pass through `filter`.
fn filtered<F: EventHandler>(
    mut handler: F,
    config: Config,
    filter: fn(Event) -> Option<notify::Result<Event>>,
) -> notify::Result<RecommendedWatcher> {
    let handler = move |event: notify::Result<Event>| match event {
        Ok(event) => filter(event)
            .into_iter()
            .for_each(|event| handler.handle_event(event)),
        Err(error) => handler.handle_event(Err(error)),
    };
    RecommendedWatcher::new(handler, config)
}

fn is_probe(event: &Event) -> bool {
    event
        .paths
        .iter()
        .any(|path| path.to_string_lossy().contains("/.kata/"))
}

/// Announces what this machine writes and keeps silent about what others do.
struct Deaf(RecommendedWatcher);

impl Watcher for Deaf {
    fn new<F: EventHandler>(handler: F, config: Config) -> notify::Result<Self> {
        filtered(handler, config, |event| {
            is_probe(&event).then_some(Ok(event))
        })
        .map(Self)
    }
    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> notify::Result<()> {
        self.0.watch(path, mode)
    }
    fn unwatch(&mut self, path: &Path) -> notify::Result<()> {
        self.0.unwatch(path)
    }
    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}

#[test]
fn a_system_that_falls_silent_later_is_found_out_by_the_first_save() {
    let mut course = Course::start_on::<Deaf>(exercises(), Options::default());
    assert_eq!(course.watcher.mode(), Mode::Notify);
    fs::write(course.lib(), "// not announced\n").unwrap();
    let why = course.turns_to_polling();
    assert!(why.contains("had not announced"), "{why}");
    assert_eq!(course.saved().digest, course.digest());
    saves_are_found(course);
}

/// Fails instead of announcing a save.
struct Failing(RecommendedWatcher);

impl Watcher for Failing {
    fn new<F: EventHandler>(handler: F, config: Config) -> notify::Result<Self> {
        let filter = |event: Event| {
            let failure = Err(Error::new(ErrorKind::MaxFilesWatch));
            Some(if is_probe(&event) { Ok(event) } else { failure })
        };
        filtered(handler, config, filter).map(Self)
    }
    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> notify::Result<()> {
        self.0.watch(path, mode)
    }
    fn unwatch(&mut self, path: &Path) -> notify::Result<()> {
        self.0.unwatch(path)
    }
    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}

#[test]
fn notifications_that_fail_later_cost_no_save() {
    let mut course = Course::start_on::<Failing>(exercises(), Options::default());
    fs::write(course.lib(), "// fails\n").unwrap();
    let why = course.turns_to_polling();
    assert!(why.contains("sysctl"), "{why}");
    assert_eq!(course.saved().digest, course.digest());
    saves_are_found(course);
}

/// Says that announcements were lost instead of announcing anything.
struct Overflowing(RecommendedWatcher);

impl Watcher for Overflowing {
    fn new<F: EventHandler>(handler: F, config: Config) -> notify::Result<Self> {
        let filter = |event: Event| {
            let lost = Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan);
            let is_write = event.kind.is_modify() || event.kind.is_create();
            Some(Ok(if is_probe(&event) { event } else { lost })).filter(|_| is_write)
        };
        filtered(handler, config, filter).map(Self)
    }
    fn watch(&mut self, path: &Path, mode: RecursiveMode) -> notify::Result<()> {
        self.0.watch(path, mode)
    }
    fn unwatch(&mut self, path: &Path) -> notify::Result<()> {
        self.0.unwatch(path)
    }
    fn kind() -> WatcherKind {
        RecommendedWatcher::kind()
    }
}

#[test]
fn an_overflow_of_announcements_costs_no_save() {
    let course = Course::start_on::<Overflowing>(exercises(), Options::default());
    assert_eq!(course.watcher.mode(), Mode::Notify);
    saves_are_found(course);
}

#[test]
fn the_self_test_leaves_nothing_behind() {
    let course = Course::notified();
    assert!(!course.exercises().join(".kata").exists());
}
