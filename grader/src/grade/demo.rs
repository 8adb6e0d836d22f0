//! From an example to its spans: staged with its driver, compiled, run once in virtual time.

use std::path::{Path, PathBuf};

use anyhow::Result;
use kata_report::CheckInfo;

use super::{
    Grader,
    deps::{Deps, Recipe},
    phase::Phase,
    run::Program,
    rustc::Shop,
};
use crate::{
    judge::diagnostics::diagnostics,
    model::{
        demo::{Demo, Values},
        exercise::About,
        verdict::{CheckVerdict, Diagnostic},
    },
    world::{
        course::Course,
        disk,
        lock::Lock,
        process::{Cancel, capture},
    },
};

/// What `kata_harness::demo` calls its one check.
const CHECK: &str = "demo";

/// What came of a demo.
#[derive(Debug)]
pub enum Demonstrated {
    /// The example, as it stands in the reader's folder, does not compile.
    DoesNotCompile(Vec<Diagnostic>),
    /// It ran; whether to its end says the status.
    Ran(Box<CheckVerdict>),
}

impl Grader {
    /// Runs a demo once under one seed. It is compiled only if something changed.
    pub fn demonstrate(
        &self,
        demo: &Demo,
        values: &Values,
        seed: u64,
        cancel: &Cancel,
        on: &(dyn Fn(Phase) + Sync),
    ) -> Result<Demonstrated> {
        let deps = Recipe::of_demo(&self.course, demo, &self.toolchain)?.build(
            &self.toolchain,
            cancel,
            on,
        )?;
        let out = self.course.scratch().join("demos").join(&demo.name);
        // Another terminal may show the same demo.
        let _lock = Lock::take(&out.join("lock"))?;
        on(Phase::Compiling);
        let staged = Staged::write(&self.course, demo, &out)?;
        let shop = Shop {
            prove_contract: false,
            toolchain: &self.toolchain,
            deps: &deps,
            src: staged.folder.clone(),
            known_as: "docs".to_owned(),
            out,
            // There is no library to wait for.
            linker: PathBuf::from("cc"),
            width: self.width,
        };
        let found = compile(&shop, &staged, &deps, cancel)?;
        if !found.is_empty() {
            return Ok(Demonstrated::DoesNotCompile(found));
        }
        let folder = disk::temporary_folder()?;
        let program = Program {
            file: shop.program(),
            libraries: vec![deps.folder.clone(), self.toolchain.lib()],
            folder: folder.path(),
            deadline: About::default_deadline(),
            parallel: 1,
            // Nothing is a stub here.
            changed_lines: 0,
            arguments: values
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        };
        let info = CheckInfo {
            name: CHECK.to_owned(),
            points: 0,
            task: 1,
        };
        let mut ran = program.run(&[info], &[seed], cancel, on)?;
        Ok(Demonstrated::Ran(Box::new(ran.swap_remove(0).0)))
    }
}

/// A demo's two sources in the grader's own folder.
struct Staged {
    folder: PathBuf,
    driver: PathBuf,
    digest: String,
}

impl Staged {
    fn write(course: &Course, demo: &Demo, out: &Path) -> Result<Self> {
        let folder = out.join("stage");
        let file = format!("{}.rs", demo.name);
        let example = disk::read(&course.example(&demo.name))?;
        // The driver comes to lie above the example, so that messages name
        // `docs/examples/…` and no path that climbs.
        let driver = disk::text(&course.driver(&demo.name))?;
        let driver = driver.replace("\"../examples/", "\"examples/").into_bytes();
        let staged = Self {
            digest: disk::digest([example.as_slice(), driver.as_slice()]),
            driver: folder.join(&file),
            folder,
        };
        disk::write_if_changed(&staged.folder.join("examples").join(&file), &example)?;
        disk::write_if_changed(&staged.driver, &driver)?;
        Ok(staged)
    }
}

/// The errors; none if there is a program.
fn compile(
    shop: &Shop<'_>,
    staged: &Staged,
    deps: &Deps,
    cancel: &Cancel,
) -> Result<Vec<Diagnostic>> {
    let mark = shop.out.join("compiled");
    let now = format!("{} {}", staged.digest, deps.fingerprint);
    if shop.program().is_file() && disk::text(&mark).is_ok_and(|before| before == now) {
        return Ok(Vec::new());
    }
    let printed = capture(&mut shop.demo(&staged.driver), cancel)?;
    if printed.status.success() {
        disk::write(&mark, now.as_bytes())?;
        return Ok(Vec::new());
    }
    let found = diagnostics(&printed.stderr).into_iter();
    let errors: Vec<Diagnostic> = found.filter(|diagnostic| diagnostic.error).collect();
    if errors.is_empty() {
        anyhow::bail!("rustc failed without a message:\n{}", printed.stderr);
    }
    Ok(errors)
}
