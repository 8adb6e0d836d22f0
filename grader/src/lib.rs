//! `kata`: twenty days of async Rust, graded at every save.
//!
//! ```text
//! file saved → events → watch → grade: stage → build → run → judge → record → view → terminal
//!                                 └──────── check, verify enter here ───────┘
//! ```
//!
//! Imports run one way: `main → lib → commands → {watch, verify} → desk →
//! grade → {world, judge, view} → model → nothing`. Effects live in `world`
//! alone; `judge`, `view` and `model` do no I/O. A learner's failure is a
//! [`model::verdict::Verdict`], never an `Err`. Everything here is synchronous:
//! threads and, in `watch`, one channel with one event type.
//!
//! What is graded comes from three trees that share a slug: the learner's
//! `exercises/<slug>/src`, the course's `grader/hidden/<slug>`, and
//! `solutions/<slug>`. The stub as the course gives it is kept a second time, in
//! `grader/hidden/<slug>/original`: a learner works in the first copy, and
//! "unchanged", "reset" and the given files need one that nobody works in.
//!
//! The learner's library is compiled with rustc directly, then the hidden test
//! against it; all that they depend on was compiled once by cargo, the harness
//! as a dynamic library, because linking it at each save would cost more than
//! the checks. Each check then runs in a process of its own, which is handed
//! one end of a socket as standard input: its request comes in and its record
//! goes out there, where nothing that the learner prints can get.
//!
//! `kata demo` takes a shorter way: an example of the reference book and the driver that
//! stands in for its outside are one crate, compiled with rustc and run once, as a check is; the
//! spans of its record are what is drawn, and nothing is judged or recorded.
//!
//! The hidden test's compiler starts as soon as the library's metadata is
//! there; only its linker waits for the library's code (`grade/stand_in.rs`).
//!
//! # What is trusted
//! A learner's code is kept from reaching anything by accident, and from most
//! ways of doing so on purpose: no unsafe code, no files from outside, no build
//! script, a compiler and a process with limits, no processes or sockets, no
//! changes outside of a check's own folder, a record that nothing printed can
//! imitate. (Limits and refusals are Linux's; elsewhere deadlines alone hold.)
//! Where a course that lies elsewhere grades a folder (`KATA_COURSE`), neither
//! that folder's toolchain and wrappers are obeyed nor links among the grader's
//! own files; what is believed is its cache of verdicts, but for `--fresh`.
//!
//! Two things are not kept from somebody who sets out to deceive: the checks run
//! in the learner's process, where a hole in the compiler's soundness is enough
//! to forge a record, and a learner's crate may define the given types anew, for
//! hidden tests name them through it. Nor is reading the user's files prevented.
//! Marking strangers' code needs a machine of its own for that.
//!
//! | file | what lives there |
//! |---|---|
//! | `model/book.rs` | The reference book's pages: sections and their anchors |
//! | `model/demo.rs` | A demo: an example to be run in virtual time, and what of it the reader may change |
//! | `model/exercise.rs` | One day of the roadmap, as its `kata.toml` and its slug describe it |
//! | `model/gaps.rs` | The gaps of a stub, `todo!("what to do")`, and what they can be filled with |
//! | `model/head.rs` | The head of a `wrong/` file: which checks must fail, and how |
//! | `model/hints.rs` | `hints.md`: numbered hints per task, from a nudge to nearly the answer |
//! | `model/marker.rs` | A day's marker in `progress.json` |
//! | `model/mod.rs` | The nouns: exercises, verdicts, markers, progress. No I/O, no imports from above |
//! | `model/mutant.rs` | Small changes to a solution, as `cargo mutants --list --json` names them |
//! | `model/name.rs` | Mistyped names: what may have been meant |
//! | `model/progress/conflict.rs` | The two sides of a file in which git left conflict markers |
//! | `model/progress/entry.rs` | What is remembered of one exercise |
//! | `model/progress/mark.rs` | What the learner changes by hand: a marker, a hint looked at |
//! | `model/progress/merge.rs` | The best of two files: of two machines, or of both sides of a git conflict |
//! | `model/progress/mod.rs` | `progress.json` in memory: what is known of every exercise, and the pure steps in it |
//! | `model/progress/overview.rs` | The course as a whole: sums, and where to go on |
//! | `model/progress/parse.rs` | Text to progress, and what can be wrong with the text |
//! | `model/progress/record.rs` | What one verdict changes |
//! | `model/progress/text.rs` | The one text of a state: keys sorted, one exercise per line, so that it merges in git |
//! | `model/progress/time.rs` | Points in time as `progress.json` writes them: RFC 3339 with the local offset |
//! | `model/select.rs` | Which exercise a word means: `7`, `07`, `day07`, or any unique part of the slug |
//! | `model/shelf.rs` | What `kata read` can open: the reference book's pages, and the days' texts |
//! | `model/tally.rs` | What spans come to: how many of a kind there were, how many at once, who waited longest |
//! | `model/verdict.rs` | What grading one exercise gave |
//! | `judge/check.rs` | One test process in, one check's verdict out |
//! | `judge/diagnostics.rs` | rustc's JSON messages |
//! | `judge/mod.rs` | Pure: what the compiler and the test processes said in, a verdict out |
//! | `view/axis.rs` | The axis of virtual time: which cell an instant falls on, and where the round ticks stand |
//! | `view/bars.rs` | One row of a chart: its bars cell by cell, and the words beside them |
//! | `view/book.rs` | `kata read` alone: the pages of the reference book, and the days' texts |
//! | `view/chart.rs` | Spans drawn on an axis of virtual time |
//! | `view/check_list.rs` | The checks of one verdict, a line each: marker, name, points |
//! | `view/compiler.rs` | Pages for what does not compile: rustc's own words, the first error last |
//! | `view/demo.rs` | `kata demo`: the demos in a list, and one of them drawn |
//! | `view/done.rs` | The page of a passed day: what it took, what was learned, what to ask oneself |
//! | `view/duration.rs` | Virtual and real time in words |
//! | `view/error.rs` | `error: …`: what happened, to what, what was kept, what to do |
//! | `view/failure.rs` | A failed check in full: what should have been, what was, when, why, where, and what to do |
//! | `view/footer.rs` | What stands at the foot of a watched page: keys, times, the phase under way |
//! | `view/hints.rs` | One hint as a page |
//! | `view/json.rs` | What `--json` prints: one object on one line, its keys always in the same order |
//! | `view/label.rs` | What a span is called beside its bar |
//! | `view/list.rs` | `kata list`: every exercise in one line |
//! | `view/markdown/mod.rs` | Markdown as calm text: paragraphs, lists, tables, code |
//! | `view/markdown/parse.rs` | Markdown as blocks whose words are painted already |
//! | `view/markdown/table.rs` | A Markdown table in columns that fit the page |
//! | `view/mod.rs` | Pure: verdicts and progress in, text out |
//! | `view/progress.rs` | `kata progress`: the course at a glance, then a line per day |
//! | `view/replay.rs` | The command that runs one check again |
//! | `view/reset.rs` | What a reset did, and the way back |
//! | `view/rows.rs` | Which spans share a row of a chart, and which rows are shown |
//! | `view/sentence.rs` | What a check's status means, in one sentence |
//! | `view/sites.rs` | The table of tasks in a finding: who, in which function, where, doing what |
//! | `view/style.rs` | How a page looks: its width, and whether colour, emoji and links are wanted |
//! | `view/svg.rs` | Spans as a picture in SVG: the terminal's chart for a browser |
//! | `view/text.rs` | Plain text before it is painted: its width, its cleaning, its ASCII form |
//! | `view/timeline.rs` | `kata timeline`: one check's spans as a page, and what happened at which instant |
//! | `view/verdict.rs` | One verdict as a page: head line, check list, and the first failure in full |
//! | `world/backup.rs` | Putting a learner's version away before a stub takes its place |
//! | `world/clock.rs` | The one place that asks what time it is |
//! | `world/course.rs` | Finding the workspace and its exercises on disk |
//! | `world/disk.rs` | Whole files and folders: written atomically, read as a tree, digested |
//! | `world/editor.rs` | Opens the learner's file in the learner's editor, beside the running watch |
//! | `world/embedded.rs` | The course inside the binary: what `kata init` and `kata update` lay down, and what an installed `kata` grades with |
//! | `world/files.rs` | What of a learner's exercise is read: the regular `*.rs` files under `src`, and nothing else |
//! | `world/load.rs` | A machine that is busy with something else |
//! | `world/lock.rs` | One at a time: a lock on a file, held until dropped |
//! | `world/mod.rs` | Effects: files, processes, the clock, the terminal, the watcher. Nothing else touches them |
//! | `world/pager.rs` | Shows a long text in the reader's pager |
//! | `world/parallel.rs` | Several pieces of work at a time |
//! | `world/process/cancel.rs` | Stopping a grading run from another thread |
//! | `world/process/capture.rs` | Running a tool of ours (rustc, cargo) to its end and keeping what it says |
//! | `world/process/check.rs` | One test process: a socket as its standard input, a deadline, capped output, no survivor |
//! | `world/process/gate.rs` | A standard input that says nothing, and ends when it may go on |
//! | `world/process/mod.rs` | Child processes: each in its own group, each killed with all its descendants |
//! | `world/process/orphans.rs` | Descendants that left a test process's group: daemons |
//! | `world/progress_file/backup.rs` | The last good state, kept out of the learner's way |
//! | `world/progress_file/error.rs` | How reading or writing the progress file can fail |
//! | `world/progress_file/heal.rs` | What is done with a `progress.json` that cannot be read |
//! | `world/progress_file/lock.rs` | The lock under which `progress.json` is changed |
//! | `world/progress_file/mod.rs` | `progress.json` on disk: read with care, written so that nothing is lost |
//! | `world/progress_file/notice.rs` | What the learner has to be told about the progress file, though all is well by now |
//! | `world/progress_file/replace.rs` | Replaces a file's contents in one step: all of the new, or all of the old |
//! | `world/terminal/capabilities.rs` | What the terminal can do, if there is one |
//! | `world/terminal/clip.rs` | How much of a line fits into a number of columns |
//! | `world/terminal/input.rs` | The threads that wait for keys, lines and signals |
//! | `world/terminal/key.rs` | Which key was pressed |
//! | `world/terminal/mod.rs` | The learner's terminal: what it can do, what is typed, what is painted |
//! | `world/terminal/raw.rs` | Single keys instead of lines, and the way back from that, whatever happens |
//! | `world/terminal/screen.rs` | Pages, and a status line beneath; never erases what it did not paint |
//! | `world/toolchain.rs` | The Rust toolchain: the real rustc behind rustup, and what it is |
//! | `world/watcher/debounce.rs` | When to look after a hint, and what to make of what is seen. Pure: the time is passed in |
//! | `world/watcher/digest.rs` | What an exercise's sources are, as a hash, and what the file system said of them then |
//! | `world/watcher/engine.rs` | The watcher's thread: hints in, saves out |
//! | `world/watcher/exercise.rs` | One watched exercise: what was last seen of it, and what is known to have happened since |
//! | `world/watcher/git.rs` | Whether git is rewriting the work tree at this moment |
//! | `world/watcher/mod.rs` | Learns of saves, whatever the editor and the file system do, and tells each once |
//! | `world/watcher/mount.rs` | Which kinds of file system keep silent about changes that others make |
//! | `world/watcher/notify.rs` | Notifications of the system: which folders are watched, and what an event means |
//! | `world/workspace.rs` | A learner's workspace made from the binary alone: `kata init`, `kata update` |
//! | `grade/build.rs` | From staged sources to a test program: the library first, then the hidden test |
//! | `grade/cache.rs` | Verdicts by the digest of all they depend on |
//! | `grade/cargo.rs` | The part of cargo's JSON that we read |
//! | `grade/demo.rs` | From an example to its spans: staged with its driver, compiled, run once in virtual time |
//! | `grade/deps.rs` | What a day's crates link: built once by cargo, then found without it |
//! | `grade/manifest.rs` | The manifests of a day's dependencies, made from the course's own |
//! | `grade/mod.rs` | From source to verdict: stage, build, run, judge |
//! | `grade/phase.rs` | What grading is doing at the moment, for whoever shows it |
//! | `grade/run.rs` | Running the checks of a built program, several at a time, one process each |
//! | `grade/rustc.rs` | The command lines of rustc: the learner's library, the hidden test, the contract |
//! | `grade/stage.rs` | Copies an implementation into the grader's own folder, where rustc reads it |
//! | `grade/stand_in.rs` | A library that has its metadata and no code yet, for a compiler that starts early |
//! | `grade/work.rs` | One implementation on its way: staged, built, run, judged |
//! | `desk.rs` | What a learner can ask for, whether by a command or by a key: verdicts recorded, hints, help, the solution, a fresh start |
//! | `verify/mod.rs` | Whether the course is sound: what every exercise must hold, proved by running it |
//! | `verify/empty.rs` | An implementation that does nothing: no check may pass on it |
//! | `verify/mutants.rs` | Whether the checks notice small changes to the solution |
//! | `verify/style.rs` | Formatting and lints of everything an author writes in Rust |
//! | `verify/texts.rs` | The files that are read, not run: README, hints, kata.toml, links, anchors |
//! | `verify/variants.rs` | Grading the stub, the solution, every `right/` and every `wrong/` |
//! | `watch/act.rs` | Doing what the machine says |
//! | `watch/canvas.rs` | The screen with what stands on it, so that it can be drawn again |
//! | `watch/event.rs` | The one event type of the loop |
//! | `watch/intent.rs` | What the learner wants: a key, or a word on a line where there are no keys |
//! | `watch/machine.rs` | The loop's state and what each event makes of it. No effects: it answers with what to do |
//! | `watch/mod.rs` | The loop: saves and keys in, verdicts out |
//! | `watch/pages.rs` | What stands on the screen: a page, and below it the keys and the status |
//! | `watch/runner.rs` | Grading on a thread of its own, so that keys stay live |
//! | `commands/bar.rs` | What is going on, on one line of standard error: a bar while dependencies compile |
//! | `commands/check.rs` | `kata check`: grade once, say it, record it |
//! | `commands/completions.rs` | `kata completions`: for the shell |
//! | `commands/context.rs` | What every command needs: where it was called, and how to speak |
//! | `commands/demo.rs` | `kata demo`: a runnable example in virtual time, drawn |
//! | `commands/doctor.rs` | `kata doctor`: what this machine gives and what it lacks |
//! | `commands/exit.rs` | How the program ends: four exit codes, and errors that know theirs |
//! | `commands/hint.rs` | `kata hint`: one more hint at each call |
//! | `commands/mark.rs` | `kata mark`: ask for help, or take it back |
//! | `commands/mod.rs` | What the command line asks for |
//! | `commands/new.rs` | `kata new`: the three trees of a new exercise, filled with a small one that works |
//! | `commands/overview.rs` | `kata progress` and `kata list`: where the learner stands |
//! | `commands/read.rs` | `kata read`: the reference book and the days' texts, in the terminal |
//! | `commands/reset.rs` | `kata reset`: the stub as it was, and the learner's version in a safe place |
//! | `commands/solution.rs` | `kata solution`: the reference solution, after ✅ or when the learner gives up |
//! | `commands/timeline.rs` | `kata timeline`: what one check saw in virtual time, drawn |
//! | `commands/verify.rs` | `kata verify`: prove that exercises are sound |
//! | `commands/watch.rs` | `kata watch`: grade at every save |
//! | `commands/workspace.rs` | `kata init` and `kata update`: a learner's workspace from the binary alone |

pub mod commands;
pub mod desk;
pub mod grade;
pub mod judge;
pub mod model;
pub mod verify;
pub mod view;
pub mod watch;
pub mod world;
