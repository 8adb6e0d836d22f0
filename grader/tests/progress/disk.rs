//! Disks that are full, folders that nobody may write to.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use super::{
    child::{arguments, command},
    workspace::Workspace,
};

/// Nobody's user and group.
const NOBODY: u32 = 65534;

/// Runs a job behind a wrapper such as `sh -c …`, and reports what it printed if it fails.
fn run(wrapper: &[&str], job: &str, root: &Path) {
    succeeds(command(&wrapped(wrapper), job, root));
}

fn wrapped(wrapper: &[&str]) -> Vec<String> {
    let wrapper = wrapper.iter().map(|part| (*part).to_owned());
    wrapper.chain(arguments()).collect()
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    );
    assert!(
        String::from_utf8_lossy(out).contains("1 passed"),
        "the job ran"
    );
}

#[test]
fn a_file_too_large_keeps_the_old_one() {
    let workspace = Workspace::new().with_completed(1);
    fs::remove_dir_all(workspace.path("exercises")).unwrap();
    // An ignored signal stays ignored in the program that follows, so that
    // the write fails halfway instead of ending the process.
    let limit = "trap '' XFSZ; ulimit -f 4; exec \"$@\"";
    run(
        &["sh", "-c", limit, "sh"],
        "write too much",
        workspace.root(),
    );
}

#[test]
fn a_full_disk_keeps_the_old_file() {
    // A disk of 64 KB in a mount namespace of its own, which most systems
    // allow without privileges.
    let disk = "mount -t tmpfs -o size=64k kata \"$KATA_TEST_ROOT\" && exec \"$@\"";
    let namespace = ["unshare", "--user", "--map-root-user", "--mount"];
    let works = Command::new(namespace[0])
        .args(&namespace[1..])
        .args(["sh", "-c", "mount -t tmpfs kata \"$1\"", "sh", "/tmp"])
        .output();
    if !works.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespace can be had here: {works:?}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wrapper = [&namespace[..], &["sh", "-c", disk, "sh"]].concat();
    run(&wrapper, "fill the disk", folder.path());
}

#[test]
fn a_folder_that_may_not_be_written_keeps_the_old_file() {
    let workspace = Workspace::new().with_completed(3);
    let before = workspace.read("progress.json");
    let mode = |mode| {
        for folder in [workspace.root(), &workspace.path(".kata")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    mode(0o555);
    let mut child = command(&arguments(), "write where nobody may", workspace.root());
    if rustix::process::geteuid().is_root() {
        // Root may write anywhere.
        child.uid(NOBODY).gid(NOBODY);
        let mut reach = Command::new(&arguments()[0]);
        if reach.arg("--list").uid(NOBODY).output().is_err() {
            mode(0o755);
            println!("skipped: root may write anywhere, and nobody else can run this program");
            return;
        }
    }
    succeeds(child);
    mode(0o755);
    assert_eq!(workspace.read("progress.json"), before);
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
}

#[test]
fn a_file_that_cannot_take_its_place_leaves_no_other_behind() {
    // Not even root can put a file where a folder is.
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("progress.json")).unwrap();
    for _ in 0..2 {
        let error = workspace
            .file
            .update(|p| p.hint_seen("day01_topic", 1))
            .unwrap_err();
        let expected = "progress.json cannot be read: Is a directory\n  \
            It was left untouched.\n  Put that right, then save or run again.";
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
}
