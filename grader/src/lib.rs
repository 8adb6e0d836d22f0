//! kata
pub mod model;
