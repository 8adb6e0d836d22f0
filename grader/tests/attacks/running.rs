//! In the process of a check.

use std::{fs, time::Duration};

use crate::{
    CHECK, attacked, first_failure, graded, sabotaged,
    support::workspace::{DAY, Test},
};

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

/// A path that begins in the learner's folder and climbs out of it.
/// What no check can feel is asked of whoever passes all of them.
/// The checks use it; that it is gone is no fault of theirs.
/// Else a submitted folder could have the grader empty somebody else's.
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
