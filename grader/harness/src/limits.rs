//! Limits that a test process sets itself before any learner's code runs.

/// No core files, a bounded address space, no large files, no processes, and no life beyond the grader's.
#[cfg(target_os = "linux")]
pub(crate) fn set() {
    use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

    const ADDRESS_SPACE: u64 = 2 << 30;
    const FILE: u64 = 64 << 20;
    let limit = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    // A machine that refuses a limit still grades: the grader has limits of its own.
    let _ = setrlimit(Resource::Core, limit(0));
    let _ = setrlimit(Resource::As, limit(ADDRESS_SPACE));
    let _ = setrlimit(Resource::Fsize, limit(FILE));
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    crate::interpose::refuse_processes();
    crate::interpose::few_arenas();
}

/// Elsewhere the grader's own limits must do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set() {}
