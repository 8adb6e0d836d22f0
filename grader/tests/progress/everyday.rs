//! What happens to the file on a good day.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use kata::model::{marker::Marker, progress::Progress};

use super::workspace::{Workspace, completed, names, slug};

#[test]
fn reading_a_fresh_workspace_leaves_no_trace() {
    let workspace = Workspace::new();
    assert_eq!(workspace.load_quietly(), Progress::default());
    assert_eq!(workspace.names(), Vec::<String>::new());
}

#[test]
fn an_update_is_there_for_the_next_one() {
    let workspace = Workspace::new();
    let updated = workspace.update(|progress| {
        progress.exercises.insert(slug(1), completed());
        "given back"
    });
    assert_eq!(updated.value, "given back");
    assert_eq!(updated.progress.marker(&slug(1)), Marker::Completed);
    workspace.complete([2]);
    assert_eq!(workspace.load_quietly().completed(), 2);
    assert_eq!(
        workspace.read("progress.json"),
        workspace.read(".kata/progress.backup.json")
    );
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
    assert_eq!(
        names(&workspace.path(".kata"), ""),
        ["progress.backup.json", "progress.lock"]
    );
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let workspace = Workspace::new();
    workspace.update(|progress| progress.hint_seen(&slug(1), 0));
    assert_eq!(workspace.names(), [".kata"]);
    let text = "{\"exercises\": {\"day01_topic\": {\"hints\": 3}}}";
    workspace.write("progress.json", text);
    workspace.update(|progress| progress.hint_seen(&slug(1), 2));
    assert_eq!(workspace.read("progress.json"), text);
}

#[test]
fn a_file_edited_by_hand_is_written_back_in_order_with_its_unknown_fields() {
    let workspace = Workspace::new();
    workspace.write(
        "progress.json",
        r#"{"version": 1, "theme": {"dark": true}, "exercises": {
            "day02_topic": {"marker": "Completed", "note": "twice!"},
            "day01_topic": {"points": 3},
        }}"#,
    );
    workspace.update(|progress| progress.hint_seen(&slug(1), 2));
    let expected = r#"{
  "exercises": {
    "day01_topic": {"checks_run": 0, "hints": 2, "marker": "⏳", "max_points": 0, "points": 3, "saves": 0},
    "day02_topic": {"checks_run": 0, "hints": 0, "marker": "✅", "max_points": 0, "note": "twice!", "points": 0, "saves": 0}
  },
  "theme": {"dark": true},
  "version": 1
}
"#;
    assert_eq!(workspace.read("progress.json"), expected);
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let workspace = Workspace::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("of-kata.json");
    symlink(&target, workspace.path("second")).unwrap();
    symlink("second", workspace.path("progress.json")).unwrap();
    workspace.complete([1]);
    assert!(workspace.path("progress.json").is_symlink());
    assert!(target.is_file() && !target.is_symlink());
    workspace.complete([2]);
    assert_eq!(workspace.load_quietly().completed(), 2);
    assert_eq!(names(elsewhere.path(), ""), ["of-kata.json"]);

    fs::write(&target, "{").unwrap();
    let told = workspace.load().notices[0].to_string();
    let broken = names(elsewhere.path(), "of-kata.json.broken-");
    assert_eq!(broken.len(), 1);
    assert!(
        told.contains(&*elsewhere.path().join(&broken[0]).to_string_lossy()),
        "{told}"
    );
    assert_eq!(workspace.load_quietly().completed(), 2);
}

#[test]
fn links_in_a_circle_are_refused() {
    let workspace = Workspace::new();
    symlink("progress.json", workspace.path("progress.json")).unwrap();
    let error = workspace
        .file
        .update(|p| p.hint_seen(&slug(1), 1))
        .unwrap_err();
    assert!(
        error.to_string().contains("It was left untouched"),
        "{error}"
    );
}

#[test]
fn the_mode_of_the_file_stays() {
    let workspace = Workspace::new().with_completed(1);
    let mode = || {
        fs::metadata(workspace.path("progress.json"))
            .unwrap()
            .mode()
            & 0o777
    };
    assert_ne!(mode(), 0o600, "not that of a temporary file");
    for wanted in [0o640, 0o666] {
        let permissions = fs::Permissions::from_mode(wanted);
        fs::set_permissions(workspace.path("progress.json"), permissions).unwrap();
        workspace.update(|progress| progress.hint_seen(&slug(1), wanted));
        assert_eq!(mode(), wanted);
    }
}

#[test]
fn a_deleted_file_is_a_fresh_start_from_which_one_can_go_back() {
    let workspace = Workspace::new().with_completed(9);
    let before = workspace.read("progress.json");
    fs::remove_file(workspace.path("progress.json")).unwrap();
    let loaded = workspace.load();
    assert_eq!(loaded.progress, Progress::default());
    let told = loaded.notices[0].to_string();
    assert!(
        told.starts_with("progress.json is missing: this is a fresh start\n"),
        "{told}"
    );
    assert!(told.contains("(9 of 20 days, "), "{told}");
    assert!(
        told.contains("cp .kata/progress.backup.json progress.json"),
        "{told}"
    );

    let notices = workspace.complete([1]);
    let told = notices[0].to_string();
    assert!(told.contains("cp .kata/progress.backup-2"), "{told}");
    let kept = names(&workspace.path(".kata"), "progress.backup-");
    assert_eq!(kept.len(), 1);
    assert_eq!(workspace.read(&format!(".kata/{}", kept[0])), before);
    assert_eq!(workspace.load_quietly().completed(), 1);
    assert_eq!(workspace.complete([2]), []);
}
