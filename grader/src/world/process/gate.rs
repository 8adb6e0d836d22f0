//! A standard input that says nothing, and ends when it may go on.

use std::{
    io::{self, PipeWriter},
    process::Stdio,
};

use anyhow::{Context, Result};

/// Shut until it is dropped. It is dropped with this program, too, whatever ends that.
#[derive(Debug)]
pub struct Gate {
    _writer: PipeWriter,
}

/// A gate, and the standard input for those who wait in front of it: they read its end.
pub fn gate() -> Result<(Gate, Stdio)> {
    let (reader, writer) = io::pipe().context("no pipe could be made")?;
    Ok((Gate { _writer: writer }, reader.into()))
}
