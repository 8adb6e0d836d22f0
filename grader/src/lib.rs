//! `kata`: twenty days of async Rust, graded at every save.

pub mod commands;
pub mod desk;
pub mod grade;
pub mod judge;
pub mod model;
pub mod verify;
pub mod view;
pub mod watch;
pub mod world;
