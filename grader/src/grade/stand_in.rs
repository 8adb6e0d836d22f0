//! A library that has its metadata and no code yet, for a compiler that starts early.
//!
//! rustc wants a program's libraries as archives from the start, but reads no more than their
//! metadata before it links. So the archive that the hidden test links holds the metadata alone
//! until the library's code is generated; then the whole library takes its place. The linker is
//! called through a script that waits for that: rustc hands its own standard input on, and that
//! ends when the library is there. (A linker that came too early would miss symbols, and the
//! compiler would fail: nothing wrong can come of it.)

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::rustc::Shop;
use crate::world::disk;

/// rustc takes a linker of this name for what `cc` is.
const LINKER: &str = "linker/cc";

/// Waits for the end of standard input, then links as rustc would by itself.
const SCRIPT: &str = "#!/bin/sh\nread -r _\nexec cc \"$@\" < /dev/null\n";

/// Makes the linker that waits, in the grader's own folder.
pub fn linker(scratch: &Path) -> Result<PathBuf> {
    let linker = scratch.join(LINKER);
    disk::write_program(&linker, SCRIPT)?;
    Ok(linker)
}

/// What rustc calls the metadata in a library's archive.
const MEMBER: &str = "lib.rmeta/";

/// Puts an archive with the metadata alone where the hidden test looks for the library.
pub fn put(shop: &Shop<'_>) -> Result<()> {
    let metadata = disk::read(&shop.metadata())?;
    disk::write(&shop.linked(), &archive(&metadata))
}

/// Puts the whole library in its place.
pub fn replace(shop: &Shop<'_>) -> Result<()> {
    disk::rename(&shop.archive(), &shop.linked())
}

/// An archive (`ar`) with one member.
fn archive(member: &[u8]) -> Vec<u8> {
    let header = format!(
        "!<arch>\n{MEMBER:<16}{time:<12}{owner:<6}{group:<6}{mode:<8}{size:<10}`\n",
        time = 0,
        owner = 0,
        group = 0,
        mode = 644,
        size = member.len(),
    );
    let mut bytes = header.into_bytes();
    bytes.extend_from_slice(member);
    // Members begin at even offsets.
    if !member.len().is_multiple_of(2) {
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::archive;

    #[test]
    fn an_archive_is_as_ar_writes_it() {
        let bytes = archive(b"odd");
        let expected = "!<arch>\n\
            lib.rmeta/      0           0     0     644     3         `\nodd\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
