//! A file that cannot be read is set aside, and the last good state restored.

use std::{
    fs::File,
    time::{Duration, SystemTime},
};

use kata::{
    model::{
        marker::Marker,
        progress::{Progress, time},
    },
    world::{
        clock,
        progress_file::{Notice, ProgressError},
    },
};

use super::workspace::{Workspace, slug};

/// The one thing that there is to tell, and the text of the file that was set aside.
fn told(workspace: &Workspace, notices: &[Notice]) -> (String, String) {
    let [notice] = notices else {
        panic!("one notice was expected: {notices:?}");
    };
    assert!(notice.is_error());
    let broken = workspace.names_like("progress.json.broken-2");
    assert_eq!(broken.len(), 1, "{broken:?}");
    let kept = String::from_utf8_lossy(&std::fs::read(workspace.path(&broken[0])).unwrap()).into();
    (notice.to_string().replace(&broken[0], "BROKEN"), kept)
}

#[test]
fn a_corrupt_file_is_set_aside_and_the_last_good_state_restored() {
    let workspace = Workspace::new().with_completed(9);
    let sound = workspace.read("progress.json");
    let corrupt = sound.replacen("\"✅\", ", "\"✅\" ", 1);
    workspace.write("progress.json", &corrupt);
    let backup = File::options()
        .append(true)
        .open(workspace.path(".kata/progress.backup.json"));
    let saved = SystemTime::UNIX_EPOCH + Duration::from_secs(1_762_174_860);
    backup.unwrap().set_modified(saved).unwrap();

    let line = corrupt.lines().nth(2).unwrap();
    let column = line.split("\"max_points\"").next().unwrap().chars().count() + 1;
    let loaded = workspace.load();
    let (text, kept) = told(&workspace, &loaded.notices);
    let time = time::short_time(&clock::local(saved).unwrap(), "").unwrap();
    assert_eq!(
        text,
        format!(
            "progress.json cannot be read: expected `,` or `}}` at line 3, column {column}\n  \
             It was kept as BROKEN.\n  \
             The last good state (9 of 20 days, {time}) was restored from .kata/progress.backup.json."
        )
    );
    assert_eq!(kept, corrupt);
    assert_eq!(loaded.progress.completed(), 9);
    assert_eq!(workspace.read("progress.json"), sound);
    assert_eq!(workspace.load_quietly(), loaded.progress);
}

#[test]
fn an_update_heals_too() {
    let workspace = Workspace::new().with_completed(9);
    workspace.write("progress.json", "{\"exercises\"");
    let notices = workspace.complete([10]);
    let (_, kept) = told(&workspace, &notices);
    assert_eq!(kept, "{\"exercises\"");
    assert_eq!(workspace.load_quietly().completed(), 10);
}

#[test]
fn no_broken_file_takes_the_place_of_another() {
    let workspace = Workspace::new().with_completed(1);
    for text in ["{1", "{2", "{3"] {
        workspace.write("progress.json", text);
        workspace.load();
    }
    let broken = workspace.names_like("progress.json.broken-");
    let mut texts: Vec<String> = broken.iter().map(|name| workspace.read(name)).collect();
    texts.sort();
    assert_eq!(texts, ["{1", "{2", "{3"]);
}

#[test]
fn an_empty_file_has_words_of_its_own() {
    for text in ["", "\0\0\0\0\0\0\0\0"] {
        let workspace = Workspace::new().with_completed(2);
        workspace.write("progress.json", text);
        let loaded = workspace.load();
        let (told, kept) = told(&workspace, &loaded.notices);
        assert!(
            told.starts_with("progress.json cannot be read: it is empty\n"),
            "{told}"
        );
        assert_eq!(kept, text);
        assert_eq!(loaded.progress.completed(), 2);
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let workspace = Workspace::new();
    workspace.write("progress.json", [b'{', b'\n', 0xff]);
    let loaded = workspace.load();
    let (text, kept) = told(&workspace, &loaded.notices);
    assert_eq!(
        text,
        "progress.json cannot be read: it is not UTF-8 text, from line 2, column 1\n  \
         It was kept as BROKEN.\n  \
         No last good state was found: this is a fresh start.\n  \
         Mend the file that was kept, or delete it; your code is untouched."
    );
    assert_eq!(kept, "{\n\u{fffd}");
    assert_eq!(loaded.progress, Progress::default());
    assert_eq!(workspace.load_quietly(), Progress::default());
}

#[test]
fn a_broken_backup_restores_nothing() {
    let workspace = Workspace::new().with_completed(2);
    workspace.write("progress.json", "{");
    workspace.write(".kata/progress.backup.json", "[");
    let loaded = workspace.load();
    let (told, _) = told(&workspace, &loaded.notices);
    assert!(told.contains("No last good state was found"), "{told}");
    assert_eq!(loaded.progress, Progress::default());
}

#[test]
fn a_git_conflict_is_settled_with_the_best_of_both() {
    let workspace = Workspace::new().with_completed(1);
    let conflict = "{\n  \"exercises\": {\n<<<<<<< HEAD\n    \"day01_topic\": {\"marker\": \"✅\"}\n=======\n    \
        \"day02_topic\": {\"marker\": \"✅\"}\n>>>>>>> laptop\n  },\n  \"version\": 1\n}\n";
    workspace.write("progress.json", conflict);
    let loaded = workspace.load();
    let (text, kept) = told(&workspace, &loaded.notices);
    assert_eq!(
        text,
        "progress.json cannot be read: it holds a git merge conflict, from line 3\n  \
         It was kept as BROKEN.\n  \
         Its two sides were merged: completed days and best points of both.\n  \
         To tell git that this is settled: git add progress.json"
    );
    assert_eq!(kept, conflict);
    assert_eq!(loaded.progress.completed(), 2);
    assert_eq!(workspace.load_quietly(), loaded.progress);
}

#[test]
fn a_conflict_with_one_broken_side_falls_back_to_the_last_good_state() {
    let workspace = Workspace::new().with_completed(3);
    workspace.write(
        "progress.json",
        "<<<<<<< HEAD\n{}\n=======\n{\n>>>>>>> laptop\n",
    );
    let loaded = workspace.load();
    let (told, _) = told(&workspace, &loaded.notices);
    assert!(told.contains("(3 of 20 days, "), "{told}");
    assert_eq!(loaded.progress.completed(), 3);
}

#[test]
fn a_newer_version_is_refused_untouched() {
    let workspace = Workspace::new().with_completed(3);
    let newer = "{\"version\": 2, \"days\": []}";
    workspace.write("progress.json", newer);
    let errors = [
        workspace.file.load().map(|_| ()).unwrap_err(),
        workspace
            .file
            .update(|p| p.hint_seen(&slug(1), 1))
            .map(|_| ())
            .unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ProgressError::Newer { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "progress.json has version 2, and this kata knows version 1\n  \
             It was left untouched.\n  \
             Update kata (git pull), or move the file away for a fresh start."
        );
    }
    assert_eq!(workspace.read("progress.json"), newer);
    assert_eq!(workspace.names(), [".kata", "progress.json"]);
}

#[test]
fn an_unknown_marker_is_no_reason_to_forget_the_file() {
    let workspace = Workspace::new().with_completed(3);
    workspace.write(
        "progress.json",
        "{\"exercises\": {\"day01_topic\": {\"marker\": \"🎉\"}}}",
    );
    let loaded = workspace.load();
    let (told, kept) = told(&workspace, &loaded.notices);
    assert!(told.contains("unknown marker `🎉`"), "{told}");
    assert!(kept.contains("🎉"));
    assert_eq!(loaded.progress.marker(&slug(3)), Marker::Completed);
}
