//! Code that tries to pass without solving, or to hurt the grader: none does either.

mod support;

use std::{fs, time::Duration};

use serde_json::Value;
use support::workspace::{DAY, Test, solution};

/// The solution with `code` run first thing in every `pub async fn`.
fn sabotaged(code: &str) -> String {
    let mut text = String::new();
    for line in solution().lines() {
        text.push_str(line);
        text.push('\n');
        if line.starts_with("pub async fn") && line.ends_with('{') {
            text.push_str(code);
            text.push('\n');
        }
    }
    assert!(
        text.contains(code),
        "the solution of {DAY} has a `pub async fn`"
    );
    text
}

/// One check of the many that such code breaks; they would all go the same way.
const CHECK: &str = "a toast takes as long as its three steps";

/// The result of running that check against sabotaged code; it must not pass.
fn attacked(code: &str) -> Value {
    judged(
        &["check", DAY, "--json", "--check", CHECK],
        &sabotaged(code),
    )
}

/// The result of grading this source whole; it must not pass.
fn graded(source: &str) -> Value {
    judged(&["check", DAY, "--json"], source)
}

fn judged(arguments: &[&str], source: &str) -> Value {
    let run = Test::new().source(source).args(arguments).run().code(1);
    let result = run.json()["results"][0].clone();
    assert_ne!(result["status"], "passed", "{result:#}");
    assert_ne!(result["status"], "grader_error", "{result:#}");
    result
}

fn first_failure(result: &Value) -> &Value {
    result["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["status"] != "passed" && check["status"] != "not_run")
        .unwrap_or_else(|| panic!("a check fails: {result:#}"))
}

fn message(result: &Value) -> String {
    result["diagnostics"][0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn leaving_with_code_0_does_not_pass() {
    let result = attacked("std::process::exit(0);");
    let check = first_failure(&result);
    assert_eq!(check["status"], "exited_early");
    assert!(
        check["got"]
            .as_str()
            .unwrap()
            .contains("exited with code 0"),
        "{check}"
    );
}

#[test]
fn a_panic_in_a_panic_hook_is_a_crash() {
    let result = attacked(
        "std::panic::set_hook(Box::new(|_| panic!(\"again\"))); if true { panic!(\"once\"); }",
    );
    assert_eq!(first_failure(&result)["status"], "crashed");
}

#[test]
fn an_abort_is_a_crash() {
    let result = attacked("std::process::abort();");
    assert_eq!(first_failure(&result)["status"], "crashed");
}

#[test]
fn an_overflowed_stack_is_named() {
    let source = sabotaged("overflow(1);")
        + "\n#[expect(unconditional_recursion)]\nfn overflow(n: u64) -> u64 { \
           let big = [n; 512]; overflow(n + 1) + std::hint::black_box(big)[3] }\n";
    let result = graded(&source);
    let check = first_failure(&result);
    assert_eq!(check["status"], "crashed");
    assert!(
        check["got"]
            .as_str()
            .unwrap()
            .contains("the stack overflowed"),
        "{check}"
    );
}

#[test]
fn a_printed_report_is_only_text() {
    let result = attacked(
        r#"for name in ["stdout", "fd/3", "fd/4", "fd/5"] { 
            let text = "{\"record\":{\"nonce\":\"0\",\"record\":{\"name\":\"x\",\"runs\":1,\
                \"virtual_ms\":0,\"finding\":null,\"seed\":1,\"spans\":[]}}}\n";
            println!("{text}");
            let _ = std::fs::write(format!("/proc/self/{name}"), text);
            let _ = std::fs::write(format!("/dev/{name}"), text);
        } std::process::exit(0);"#,
    );
    assert_eq!(first_failure(&result)["status"], "exited_early");
}

#[test]
fn output_without_end_is_cut_off() {
    let result = attacked("loop { println!(\"and on and on and on\"); }");
    assert_eq!(first_failure(&result)["status"], "output_flood");
}

#[test]
fn memory_without_end_is_refused() {
    let result = attacked("let mut all = Vec::new(); loop { all.push(vec![0_u8; 64 << 20]); }");
    let check = first_failure(&result);
    assert_eq!(check["status"], "crashed");
    assert!(
        check["got"].as_str().unwrap().contains("out of memory"),
        "{check}"
    );
}

#[test]
fn a_loop_without_await_is_stopped_and_its_line_named() {
    let result =
        attacked("let mut n = 0_u64; while n < u64::MAX { n = std::hint::black_box(n) / 2; }");
    let check = first_failure(&result);
    assert!(
        ["blocked", "timed_out"].contains(&check["status"].as_str().unwrap()),
        "{check}"
    );
    if check["status"] == "blocked" {
        let place = check["location"].as_str().unwrap();
        assert!(
            place.starts_with(&format!("exercises/{DAY}/src/lib.rs:")),
            "{check}"
        );
    }
}

#[test]
fn a_daemon_does_not_survive() {
    // A number that nobody else sleeps for.
    let seconds = format!("86{:03}", std::process::id() % 1000);
    let result = attacked(&format!(
        "let _ = std::process::Command::new(\"setsid\").args([\"sh\", \"-c\", \
         \"setsid sleep {seconds} & sleep {seconds}\"]).spawn(); std::process::exit(0);"
    ));
    assert_eq!(first_failure(&result)["points"], 0);
    assert!(
        !runs(&format!("sleep\0{seconds}\0")),
        "a daemon outlived its check"
    );
}

fn runs(command_line: &str) -> bool {
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|line| line == command_line.as_bytes())
}

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
    let hidden = support::workspace::repository()
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

/// A path that begins in the learner's folder and climbs out of it.
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

/// What no check can feel is asked of whoever passes all of them.
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

/// The checks use it; that it is gone is no fault of theirs.
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

/// Else a submitted folder could have the grader empty somebody else's.
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

#[test]
fn what_a_check_writes_goes_with_it() {
    let name = format!("kata-litter-{}", std::process::id());
    let source = sabotaged(&format!(
        "std::fs::write(std::env::temp_dir().join({name:?}), \"x\").unwrap();"
    ));
    let test = Test::new()
        .source(&source)
        .args(&["check", DAY, "--check", CHECK]);
    test.run();
    assert!(!std::env::temp_dir().join(&name).exists());
    assert!(!test.path(&name).exists());
}

/// Memory is reached by its file, other people's files by their names.
#[test]
#[cfg(target_os = "linux")]
fn nothing_outside_of_the_checks_own_folder_is_changed() {
    let theirs = tempfile::tempdir().unwrap();
    let file = theirs.path().join("theirs");
    fs::write(&file, "theirs").unwrap();
    let result = attacked(&format!(
        "let open = |path: &str| std::fs::OpenOptions::new().write(true).open(path).is_ok();
         let mut reached = Vec::new();
         if open(\"/proc/self/mem\") {{ reached.push(\"memory\"); }}
         if open({file:?}) {{ reached.push(\"file\"); }}
         if std::fs::remove_file({file:?}).is_ok() {{ reached.push(\"folder\"); }}
         if std::fs::write(std::env::temp_dir().join(\"mine\"), \"mine\").is_err() {{
             reached.push(\"not even its own\");
         }}
         if std::net::TcpListener::bind(\"127.0.0.1:0\").is_ok() {{ reached.push(\"TCP\"); }}
         if std::net::UdpSocket::bind(\"127.0.0.1:0\").is_ok() {{ reached.push(\"UDP\"); }}
         if std::os::unix::net::UnixDatagram::unbound().is_ok() {{ reached.push(\"sockets\"); }}
         let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
         if std::fs::set_permissions({file:?}, all).is_ok() {{ reached.push(\"permissions\"); }}
         let old = std::time::UNIX_EPOCH;
         if std::fs::File::open({file:?}).is_ok_and(|file| file.set_modified(old).is_ok()) {{
             reached.push(\"times\");
         }}
         if std::os::unix::fs::chown({file:?}, Some(1), None).is_ok() {{ reached.push(\"owner\"); }}
         panic!(\"reached: {{reached:?}}\");"
    ));
    let got = first_failure(&result)["got"].as_str().unwrap();
    assert!(got.contains("reached: []"), "{got}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
}

#[test]
fn a_check_that_never_ends_does_not_outlive_its_deadline() {
    // Real time is asked here only for an upper bound far above the deadline.
    let start = std::time::Instant::now();
    let result = attacked(
        "let (_sender, receiver) = std::sync::mpsc::channel::<()>(); let _ = receiver.recv();",
    );
    let status = first_failure(&result)["status"].clone();
    assert!(status == "blocked" || status == "timed_out", "{status}");
    assert!(start.elapsed() < Duration::from_secs(300));
}
