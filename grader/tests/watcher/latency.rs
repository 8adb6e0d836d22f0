//! How long a save takes to be told: `cargo test --release --test watcher -- --ignored --nocapture`.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::course::{Course, run};

type Save = fn(&Course, String);

const SAVES: [(&str, Save); 4] = [
    ("truncate and write", |course, text| {
        fs::write(course.lib(), text).unwrap();
    }),
    ("temporary file and rename", |course, text| {
        let temporary = course.src().join(".lib.rs.tmp");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, course.lib()).unwrap();
    }),
    ("backup, create, remove", |course, text| {
        let backup = course.src().join("lib.rs~");
        fs::rename(course.lib(), &backup).unwrap();
        fs::write(course.lib(), text).unwrap();
        fs::remove_file(backup).unwrap();
    }),
    ("sed -i (from the start of sed)", |course, text| {
        let script = format!("1s|^|{}|", text.trim_end());
        run(&course.src(), "sed", &["-i", &script, "lib.rs"]);
    }),
];

#[test]
#[ignore = "it measures; nothing can fail but the watcher"]
fn latency() {
    for (mode, course, rounds) in [
        ("notified", Course::notified(), 200),
        ("polled", Course::polled(), 20),
    ] {
        for (name, save) in SAVES {
            let took = (0..rounds).map(|round| one(&course, save, round)).collect();
            println!("{mode}, {name}: {}", percentiles(took));
        }
    }
}

/// From before the first byte is written to when the notice is in hand.
fn one(course: &Course, save: Save, round: u32) -> Duration {
    let start = Instant::now();
    save(course, format!("// {round}\n"));
    course.saved();
    start.elapsed()
}

fn percentiles(mut took: Vec<Duration>) -> String {
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    format!(
        "median {:?}, 95 % {:?}, worst {:?}",
        at(50),
        at(95),
        at(100)
    )
}

#[test]
#[ignore = "it measures"]
#[cfg(target_os = "linux")]
fn cost_of_doing_nothing() {
    const WHILE: Duration = Duration::from_secs(20);
    for (mode, poll) in [("notified", false), ("polled", true)] {
        let root = tempfile::tempdir().unwrap();
        let days: Vec<_> = (1..=20)
            .map(|day| root.path().join(format!("exercises/day{day:02}_x")))
            .collect();
        for day in &days {
            fs::create_dir_all(day.join("src")).unwrap();
            fs::write(
                day.join("src/lib.rs"),
                "// a line of some length\n".repeat(200),
            )
            .unwrap();
        }
        let options = kata::world::watcher::Options { poll };
        let _watcher = kata::world::watcher::Watcher::start(&days, options, |_| {}).unwrap();
        let before = processor_time();
        std::thread::sleep(WHILE);
        let percent =
            processor_time().saturating_sub(before).as_secs_f64() / WHILE.as_secs_f64() * 100.0;
        println!("{mode}, 20 exercises: {percent:.4} % of a processor");
    }
}

/// Of all threads of this process.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let schedstat = thread.unwrap().path().join("schedstat");
        let text = fs::read_to_string(schedstat).unwrap_or_default();
        let first = text.split_whitespace().next().unwrap_or("0");
        first.parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}
