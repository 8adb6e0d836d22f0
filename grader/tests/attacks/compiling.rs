//! On the way to a program: sources, manifests, links, the compiler.

use std::fs;

use crate::{
    attacked, first_failure, graded, message,
    support::workspace::{DAY, Test, solution},
};

#[test]
fn a_main_of_ones_own_changes_nothing() {
    let source = solution() + "\npub fn main() { std::process::exit(0) }\n";
    Test::new()
        .source(&source)
        .args(&["check", DAY])
        .run()
        .code(0);
    let exported = solution() + "\n#[unsafe(no_mangle)]\npub extern \"C\" fn main() -> i32 { 0 }\n";
    let result = graded(&exported);
    assert_eq!(result["status"], "does_not_compile");
}

#[test]
fn unsafe_code_does_not_compile() {
    for code in [
        "pub fn f() -> u8 { unsafe { *std::ptr::null::<u8>() } }",
        "core::arch::global_asm!(\".globl stolen\", \"stolen: ret\");",
        "#[unsafe(no_mangle)] pub extern \"C\" fn getrandom() {}",
        "#![allow(unsafe_code)]\nfn g() { unsafe {} }",
    ] {
        let result = graded(&format!("{code}\n{}", solution()));
        assert_eq!(result["status"], "does_not_compile", "{code}");
    }
}

#[test]
fn a_build_script_and_a_manifest_are_not_read() {
    let test = Test::new().solve().args(&["check", DAY]);
    let trap = test.path("trap");
    test.write(
        &format!("exercises/{DAY}/build.rs"),
        &format!("fn main() {{ std::fs::write({trap:?}, \"\").unwrap(); }}"),
    );
    test.write(
        &format!("exercises/{DAY}/Cargo.toml"),
        "[package\nthis is no manifest",
    );
    test.write(".cargo/config.toml", "[build]\nrustc = \"/bin/false\"\n");
    test.run().code(0);
    assert!(!trap.exists(), "the build script ran");
}

#[test]
fn a_broken_manifest_or_source_does_not_stop_the_other_days() {
    let test = Test::new().solve().args(&["check", DAY]);
    test.write("exercises/day02_coroutines/Cargo.toml", "][");
    test.write("exercises/day02_coroutines/src/lib.rs", "fn (");
    fs::remove_dir_all(test.path("exercises/day03_context_managers")).unwrap();
    test.run().code(0);
    test.args(&["progress"])
        .run()
        .code(0)
        .says("Basic Async")
        .says("1/");
}

#[test]
fn files_outside_of_the_sources_are_out_of_reach() {
    let hidden = crate::support::workspace::repository()
        .join("grader/hidden")
        .join(DAY)
        .join("tests.rs");
    for code in [
        format!("pub const STOLEN: &str = include_str!({hidden:?});"),
        format!("pub const STOLEN: &[u8] = include_bytes!({hidden:?});"),
        format!("#[path = {hidden:?}]\npub mod stolen;"),
    ] {
        let source = solution() + &code;
        let result = graded(&source);
        assert_eq!(result["status"], "does_not_compile", "{code}");
        let text = result["diagnostics"].to_string();
        assert!(message(&result).contains("lies outside of"), "{text}");
        assert!(!text.contains("Suite"), "hidden source is quoted: {text}");
    }
}

#[test]
fn climbing_out_of_the_sources_is_seen() {
    let test = Test::new();
    let file = "target/kata/elsewhere.rs";
    test.write(file, &solution());
    let up = "../".repeat(5);
    let source = format!("#[path = \"{up}elsewhere.rs\"]\nmod stolen;\npub use stolen::*;\n");
    let test = test.source(&source).args(&["check", DAY, "--json"]);
    let result = test.run().code(1).json()["results"][0].clone();
    assert_eq!(result["status"], "does_not_compile");
    assert!(message(&result).contains("lies outside of"), "{result:#}");
}

#[test]
fn a_future_that_cannot_be_sent_does_not_fit_the_contract() {
    let kept =
        "    let rc = std::rc::Rc::new(());\n    tokio::task::yield_now().await;\n    drop(rc);\n";
    let mut source = String::new();
    for line in solution().lines() {
        source += line;
        source += "\n";
        if line.starts_with("pub async fn serve") && line.ends_with('{') {
            source += kept;
        }
    }
    assert!(source.contains(kept));
    let result = graded(&source);
    assert_eq!(result["status"], "contract_changed", "{result:#}");
}

#[test]
fn a_crate_that_hides_what_is_given_has_changed_the_contract() {
    let source = solution().replace("pub use given::*;", "use given::*;");
    let result = graded(&source);
    assert_eq!(result["status"], "contract_changed", "{result:#}");
    assert!(
        !result.to_string().contains("Suite"),
        "hidden source is quoted"
    );
}

#[test]
fn a_link_among_the_graders_own_files_is_not_followed() {
    let theirs = tempfile::tempdir().unwrap();
    fs::write(theirs.path().join("thesis.rs"), "years of work").unwrap();
    let test = Test::new().solve().args(&["check", DAY]);
    let stage = test.path(&format!("target/kata/build/{DAY}/learner/stage"));
    fs::create_dir_all(&stage).unwrap();
    std::os::unix::fs::symlink(theirs.path(), stage.join("src")).unwrap();
    let run = test.run();
    assert!(run.stderr.contains("is a symbolic link"), "{}", run.stderr);
    assert!(theirs.path().join("thesis.rs").exists());
}

#[test]
fn a_submitted_folder_does_not_choose_the_compiler() {
    let test = Test::new().solve().args(&["check", DAY]);
    test.write("rust-toolchain.toml", "[toolchain]\npath = \"/nowhere\"\n");
    test.write(
        "target/kata/toolchain.json",
        "{\"asked\":\"\",\"toolchain\":{}}",
    );
    test.run().code(0);
}

#[test]
fn the_environment_of_the_user_is_out_of_reach() {
    let source = solution() + "\npub const STOLEN: &str = env!(\"KATA_SECRET\");\n";
    let test = Test::new()
        .source(&source)
        .args(&["check", DAY, "--json"])
        .env("KATA_SECRET", "s3");
    assert_eq!(
        test.run().code(1).json()["results"][0]["status"],
        "does_not_compile"
    );
    let result = attacked(
        "if std::env::var_os(\"HOME\").is_none() && std::env::var_os(\"KATA_COURSE\").is_none() \
         { std::process::exit(7); }",
    );
    assert!(
        first_failure(&result)["got"]
            .as_str()
            .unwrap()
            .contains("code 7")
    );
}

#[test]
fn links_are_not_followed() {
    let test = Test::new().args(&["check", DAY, "--json"]);
    let file = test.path(&format!("exercises/{DAY}/src/lib.rs"));
    let elsewhere = test.path("elsewhere.rs");
    fs::write(&elsewhere, solution()).unwrap();
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    let run = test.run().code(1);
    let result = &run.json()["results"][0];
    assert_eq!(result["status"], "does_not_compile");
    assert!(message(result).contains("link"), "{result:#}");
}

#[test]
fn a_link_to_a_folder_outside_is_not_followed() {
    let test = Test::new().solve().args(&["check", DAY, "--json"]);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("extra.rs"), "pub fn extra() {}").unwrap();
    let link = test.path(&format!("exercises/{DAY}/src/extra"));
    std::os::unix::fs::symlink(outside.path(), link).unwrap();
    let run = test.run();
    assert!(run.stdout.contains("link"), "{}", run.stdout);
}
