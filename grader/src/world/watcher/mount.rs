//! Which kinds of file system keep silent about changes that others make.

use std::path::Path;

/// Why notifications cannot be relied on for this folder; `None` if they can, or nothing is known.
///
/// Another machine, or the host of a virtual machine or container, changes files on these
/// behind the kernel's back: a test write of our own would be announced, the learner's save not.
#[cfg(target_os = "linux")]
pub(super) fn silent(folder: &Path) -> Option<String> {
    let statfs = rustix::fs::statfs(folder).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the magic numbers are 32 bits wide; the field's type differs by platform"
    )]
    let name = name(statfs.f_type as u32)?;
    Some(format!(
        "{} is on {name}, which does not announce what is saved from outside",
        folder.display()
    ))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn silent(_: &Path) -> Option<String> {
    None
}

/// The file systems that are shared with somebody else, by the numbers of `linux/magic.h` or
/// of their own sources. Overlays and bind mounts announce what happens above them and are
/// not among these: the self-test has to do.
fn name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => "a Windows share (SMB)",
        0x0102_1997 => "a drive of the host (9p; under WSL a Windows drive)",
        0x5346_4846 => "a drive of Windows (WSL 1)",
        0x6573_5546 => "FUSE or virtiofs (a shared folder of a container, or sshfs)",
        0x786f_4256 => "a shared folder of VirtualBox",
        0xbacb_acbc => "a shared folder of VMware",
        0x7c7c_6673 => "a shared folder of Parallels",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x00c3_6400 => "Ceph",
        0x7375_7245 => "Coda",
        0x0bd0_0bd0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn shares_and_host_drives_are_silent_and_local_file_systems_are_not() {
        for silent in [0x6969, 0xff53_4d42, 0x0102_1997, 0x6573_5546] {
            assert!(name(silent).is_some(), "{silent:#x}");
        }
        let (ext4, btrfs, tmpfs, overlay) = (0xef53, 0x9123_683e, 0x0102_1994, 0x794c_7630);
        for local in [ext4, btrfs, tmpfs, overlay] {
            assert_eq!(name(local), None, "{local:#x}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_called_silent() {
        assert_eq!(silent(Path::new("/nowhere/at/all")), None);
    }
}
