//! From staged sources to a test program: the library first, then the hidden test.

use std::{
    path::{Component, Path},
    thread,
};

use anyhow::Result;

use super::{
    phase::Phase,
    rustc::{LIMITS, Shop},
    stand_in,
};
use crate::{
    judge::{
        diagnostics::{compiled_files, diagnostics, is_metadata_ready},
        plain,
    },
    model::verdict::Diagnostic,
    world::{
        disk,
        process::{Cancel, Captured, Line, capture_lines, capture_within, gate},
    },
};

/// What compiling gave.
#[derive(Debug)]
pub enum Built {
    /// A program, and the warnings about the learner's library.
    Program(Vec<Diagnostic>),
    /// The learner's library does not compile.
    DoesNotCompile(Vec<Diagnostic>),
    /// The library does not fit the contract.
    ContractChanged(Vec<Diagnostic>),
    /// The hidden test does not compile although the contract holds.
    Broken(String),
}

/// Compiles the library, then the hidden test in `hidden` against it.
///
/// The hidden test's compiler starts as soon as the library's metadata is there, and works while
/// the library's code is generated; only its linker waits for that. If anything goes wrong with
/// this, the test is compiled again as if nothing had been tried.
///
/// The hidden test's own errors quote hidden source: they are never shown. The
/// contract's are shown in their stead.
pub fn build(shop: &Shop<'_>, hidden: &Path, cancel: &Cancel, on: &dyn Fn(Phase)) -> Result<Built> {
    on(Phase::Compiling);
    disk::make_folder(&shop.out)?;
    // The last one may have been made unwritable by its own code.
    disk::remove_if_there(&shop.program())?;
    let tests = hidden.join("tests.rs");
    let ahead = cancel.part();
    let (gate, waiting) = gate()?;
    let mut test = shop.test(&tests);
    test.stdin(waiting);
    let compiled = thread::scope(|scope| {
        let mut start = Some(|| capture_within(&mut test, LIMITS, &ahead));
        let mut test = None;
        let library = capture_lines(&mut shop.library(), Some(LIMITS), cancel, |line| {
            let Line::Err(line) = line else { return };
            if is_metadata_ready(line)
                && stand_in::put(shop).is_ok()
                && let Some(start) = start.take()
            {
                test = Some(scope.spawn(start));
            }
        });
        let library = match library.map(|printed| judge_library(shop, &printed)) {
            Ok(Ok(warnings)) => stand_in::replace(shop).map(|()| Ok(warnings)),
            Ok(Err(errors)) => Ok(Err(errors)),
            Err(error) => Err(error),
        };
        if !matches!(library, Ok(Ok(_))) {
            ahead.cancel();
        }
        drop(gate);
        on(Phase::Linking);
        let test = test.and_then(|test| test.join().ok()?.ok());
        library.map(|library| (library, test))
    })?;
    let (found, test) = match compiled {
        (Ok(warnings), test) => (warnings, test),
        (Err(errors), _) => return Ok(Built::DoesNotCompile(errors)),
    };

    let printed = match test {
        Some(printed) if printed.status.success() => printed,
        _ => capture_within(&mut shop.test(&tests), LIMITS, cancel)?,
    };
    let works = printed.status.success();
    if works && !shop.prove_contract {
        return Ok(Built::Program(found));
    }
    let contract = contract_errors(shop, hidden, cancel)?;
    if !contract.is_empty() {
        return Ok(Built::ContractChanged(contract));
    }
    if works {
        return Ok(Built::Program(found));
    }
    if !shop.prove_contract {
        let missing = plain(
            "the checks use more of your crate than is left: `mod given;` and `pub use given::*;` \
             belong into lib.rs, and every public item of the stub keeps its name, its bounds and \
             its place",
        );
        return Ok(Built::ContractChanged(vec![missing]));
    }
    let messages: Vec<String> = errors(diagnostics(&printed.stderr))
        .into_iter()
        .map(|error| error.rendered)
        .collect();
    Ok(Built::Broken(format!(
        "the hidden test does not compile although the contract holds:\n{}{}",
        messages.concat(),
        if messages.is_empty() {
            printed.stderr.as_str()
        } else {
            ""
        },
    )))
}

/// In what the library does not have the shapes that the contract names.
pub fn contract_errors(shop: &Shop<'_>, hidden: &Path, cancel: &Cancel) -> Result<Vec<Diagnostic>> {
    let mut rustc = shop.contract(&hidden.join("contract.rs"));
    let printed = capture_within(&mut rustc, LIMITS, cancel)?;
    if printed.status.success() {
        return Ok(Vec::new());
    }
    let found = errors(diagnostics(&printed.stderr));
    Ok(if found.is_empty() {
        vec![plain(&stopped(&printed))]
    } else {
        found
    })
}

/// The warnings about a library that compiles, or what is wrong with it.
fn judge_library(shop: &Shop<'_>, printed: &Captured) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let mut found = diagnostics(&printed.stderr);
    if let Some(reach) = out_of_reach(shop, &found) {
        return Err(vec![reach]);
    }
    if printed.status.success() {
        return Ok(found);
    }
    if found.is_empty() {
        found.push(plain(&stopped(printed)));
    }
    Err(found)
}

/// Why a compiler ended that said nothing of an error.
fn stopped(printed: &Captured) -> String {
    if printed.is_killed() {
        return "the compiler was stopped: this code takes more than two minutes, 6 GiB of memory \
                or a gibibyte of code to compile\nlook for a constant, a macro or a type that grows \
                without end, and for large arrays"
            .to_owned();
    }
    let said = diagnostics_left_out(&printed.stderr);
    format!("rustc failed without a message:\n{said}")
}

/// The last lines that are no JSON, such as those of a compiler that ran out of memory.
fn diagnostics_left_out(stderr: &str) -> String {
    let lines = stderr.lines().filter(|line| !line.starts_with('{'));
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

fn errors(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics
        .into_iter()
        .filter(|diagnostic| diagnostic.error)
        .collect()
}

/// An error if the library was made of anything but the staged sources:
/// `include_str!` of a file outside, a `#[path]` that climbs out.
fn out_of_reach(shop: &Shop<'_>, found: &[Diagnostic]) -> Option<Diagnostic> {
    let text = disk::text(&shop.dep_info()).unwrap_or_default();
    let files = compiled_files(&text);
    let inside = |file: &Path| {
        let climbs = file.components().any(|part| part == Component::ParentDir);
        !climbs && (file.starts_with(&shop.src) || file.starts_with(&shop.known_as))
    };
    let compiled = files.iter().map(Path::new).find(|file| !inside(file));
    // On a failure there may be no list, but an error in such a file names it.
    let quoted = found
        .iter()
        .filter_map(|diagnostic| Some(Path::new(&diagnostic.location.as_ref()?.file)))
        .find(|file| !inside(file) && file.is_file());
    compiled.or(quoted).map(|file| {
        plain(&format!(
            "{} is compiled in, but it lies outside of {}: an exercise is graded by its own \
             sources alone",
            file.display(),
            shop.known_as
        ))
    })
}
