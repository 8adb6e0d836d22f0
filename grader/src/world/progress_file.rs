//! progress_file
