//! Tests of what an event means.

use std::path::PathBuf;

use notify::event::{DataChange, MetadataKind};

use super::*;

fn touch(kind: EventKind, path: &str) -> Option<Touch> {
    let event = Event::new(kind).add_path(PathBuf::from("/e/day01_x").join(path));
    touches(&event).first().map(|(_, touch)| *touch)
}

const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
const MOVED_HERE: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
const MOVED_AWAY: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::From));
const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

#[test]
fn a_source_is_finished_when_its_writer_closed_it_or_it_was_moved_here() {
    assert_eq!(touch(CLOSED, "src/lib.rs"), Some(Touch::Finished));
    assert_eq!(touch(MOVED_HERE, "src/lib.rs"), Some(Touch::Finished));
    assert_eq!(touch(WRITTEN, "src/lib.rs"), Some(Touch::Writing));
    assert_eq!(touch(MOVED_AWAY, "src/lib.rs"), Some(Touch::Gone));
}

#[test]
fn reading_is_no_event_or_every_look_would_ask_for_the_next() {
    let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
    let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
    assert_eq!(touch(opened, "src/lib.rs"), None);
    assert_eq!(touch(read, "src/lib.rs"), None);
    assert_eq!(touch(opened, "src"), None);
}

#[test]
fn what_editors_leave_beside_a_file_is_no_event() {
    for junk in [
        "src/.lib.rs.swp",
        "src/lib.rs~",
        "src/#lib.rs#",
        "src/.#lib.rs",
    ] {
        for kind in [CLOSED, MOVED_HERE, MOVED_AWAY, WRITTEN] {
            assert_eq!(touch(kind, junk), None, "{junk} {kind:?}");
        }
    }
    let created = EventKind::Create(CreateKind::File);
    assert_eq!(touch(created, "src/4913"), None);
    assert_eq!(touch(EventKind::Remove(RemoveKind::File), "src/4913"), None);
    assert_eq!(touch(EventKind::Create(CreateKind::Folder), "target"), None);
}

#[test]
fn a_folder_that_comes_or_goes_counts() {
    let created = EventKind::Create(CreateKind::Folder);
    let removed = EventKind::Remove(RemoveKind::Folder);
    assert_eq!(touch(created, "src/module"), Some(Touch::Structure));
    assert_eq!(touch(removed, "src"), Some(Touch::Gone));
    assert_eq!(touch(MOVED_HERE, "src"), Some(Touch::Finished));
    let allowed = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    assert_eq!(touch(allowed, "src"), Some(Touch::Structure));
}

#[test]
fn a_rename_told_as_one_event_is_gone_there_and_finished_here() {
    let kind = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
    let event = Event::new(kind)
        .add_path("/e/src/new.rs".into())
        .add_path("/e/src/lib.rs".into());
    let expected = [
        ("/e/src/new.rs", Touch::Gone),
        ("/e/src/lib.rs", Touch::Finished),
    ];
    let expected = expected.map(|(path, touch)| (PathBuf::from(path), touch));
    assert_eq!(touches(&event), expected);
}

#[test]
fn limits_are_explained_with_what_raises_them() {
    let watches = explain(&notify::Error::new(ErrorKind::MaxFilesWatch));
    assert!(
        watches.contains("fs.inotify.max_user_watches="),
        "{watches}"
    );
    let too_many = io::Error::from_raw_os_error(24);
    let instances = explain(&notify::Error::io(too_many));
    assert!(
        instances.contains("fs.inotify.max_user_instances="),
        "{instances}"
    );
}
