//! The code of the reference book's pages: one module per block, made by `build.rs`.

pub mod prelude;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));
