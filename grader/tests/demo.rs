//! `kata demo`: examples in virtual time, through the real command line.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use kata::model::demo::Demo;
use support::workspace::{Run, Test, repository};

/// Calls `kata` in a workspace of its own.
fn alone(arguments: &[&str]) -> Test {
    Test::unprepared().args(arguments)
}

/// Calls `kata` in the repository, where a demo is compiled once for all tests.
fn kata(arguments: &[&str]) -> Run {
    of(alone(arguments)
        .command()
        .current_dir(repository())
        .env_remove("KATA_COURSE"))
}

fn of(command: &mut Command) -> Run {
    let output = command.output().expect("kata starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The names of the files in a folder of the book that end so.
fn names(folder: &str, end: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository().join("docs").join(folder)).unwrap();
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_suffix(end).map(str::to_owned)
        })
        .collect()
}

/// Every demo, as its description says.
fn demos() -> impl Iterator<Item = Demo> {
    names("demos", ".toml").into_iter().map(|name| {
        let file = repository().join(format!("docs/demos/{name}.toml"));
        let about = toml::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        Demo { name, about }
    })
}

/// An example with one change, as the reader would make it.
fn changed(test: &Test, name: &str, from: &str, to: &str) {
    let file = format!("docs/examples/{name}.rs");
    let text = fs::read_to_string(repository().join(&file)).unwrap();
    assert!(text.contains(from), "{name} does not contain {from:?}");
    test.write(&file, &text.replace(from, to));
}

#[test]
fn every_example_has_its_demo_and_is_listed() {
    let examples = names("examples", ".rs");
    assert_eq!(examples, names("demos", ".rs"));
    assert_eq!(examples, names("demos", ".toml"));
    let run = kata(&["demo"]).code(0);
    assert_eq!(run.stderr, "");
    for example in &examples {
        assert!(run.stdout.contains(&format!("   {example}\n")), "{example}");
    }
    let _ = run.says("fetches=12  limit=4");
    let listed = kata(&["demo", "--json"]).code(0).json();
    assert_eq!(listed["demos"].as_array().unwrap().len(), examples.len());
}

#[test]
fn two_runs_give_the_same_bytes() {
    for arguments in [
        &["demo", "web_scraper"][..],
        &["demo", "web_scraper", "--set", "spread=200", "--seed", "3"],
        &["demo", "circuit_breaker", "--json"],
        &["demo", "producer_consumer"],
    ] {
        let one = kata(arguments).code(0);
        let again = kata(arguments).code(0);
        assert_eq!(one.stdout, again.stdout, "{arguments:?}");
    }
}

#[test]
fn a_setting_changes_what_happens() {
    let _ = kata(&["demo", "web_scraper"])
        .code(0)
        .says("500 ms of virtual time")
        .says("12 times, 4 at once from 200 ms")
        .says("kata demo web_scraper --set limit=100");
    let set = ["--set", "fetches=50", "--set", "limit=4"];
    let _ = kata(&[&["demo", "web_scraper"][..], &set].concat())
        .code(0)
        .says("1.4 s of virtual time")
        .says("50 times, 4 at once");
    let _ = kata(&["demo", "select", "--set", "restart=1"])
        .code(0)
        .says("13 times, 13 cancelled")
        .says("kata demo select_cancellation --set restart=1 --set beat=130")
        .says("Stopped(0)");
}

#[test]
fn after_the_last_prediction_it_says_how_to_go_on() {
    let _ = kata(&["demo", "graceful_shutdown", "--set", "grace=50"])
        .code(0)
        .says("change     kata demo graceful_shutdown --settings");
}

#[test]
fn a_seed_changes_random_delays() {
    let seeded = |seed: &str| {
        let run = kata(&[
            "demo",
            "web_scraper",
            "--set",
            "spread=200",
            "--seed",
            seed,
            "--json",
        ]);
        run.code(0).json()["spans"].clone()
    };
    assert_ne!(seeded("1"), seeded("2"));
}

#[test]
fn a_wrong_call_is_told_what_there_is() {
    let refused = |arguments: &[&str]| -> Run { kata(&[&["demo"], arguments].concat()).code(2) };
    let _ = refused(&["web_scaper"]).complains("did you mean `web_scraper`?");
    let _ = refused(&["web_scraper", "--set", "fetchs=3"])
        .complains("no setting `fetchs`; did you mean `fetches`?")
        .complains("Its settings: fetches (12), limit (4)");
    let _ = refused(&["web_scraper", "--set", "limit=0"])
        .complains("limit is a number from 1 to 100 (fetches in flight at most)");
    let _ = refused(&["web_scraper", "--set", "limit=many"]).complains("a number from 1 to 100");
    let _ = refused(&["web_scraper", "--set", "limit"]).complains("--set NAME=NUMBER");
    let _ = refused(&["--set", "limit=1"]).complains("<NAME>");
}

#[test]
fn the_settings_are_explained() {
    let run = kata(&["demo", "rate", "--settings"]).code(0);
    let _ = run.says("   allowed  10      calls that the server allows in each second (1 to 1000)");
}

#[test]
fn json_tells_the_spans_and_what_they_come_to() {
    let json = kata(&["demo", "database_pool", "--json"]).code(0).json();
    assert_eq!(
        (&json["version"], &json["status"]),
        (&1.into(), &"passed".into())
    );
    assert_eq!(json["settings"]["connections"], 2);
    assert_eq!(json["virtual_ms"], 650);
    let query = &json["activities"][0];
    assert_eq!(
        (&query["label"], &query["peak"]),
        (&"query".into(), &2.into())
    );
    let spans = json["spans"].as_array().unwrap();
    let waits = spans
        .iter()
        .filter(|span| span["label"] == "waits for a connection");
    assert!(waits.count() > 2);
    assert_eq!(spans[0]["end"], "done");
}

#[test]
fn the_picture_is_written_and_nothing_else_is_written_over() {
    let svg = ["demo", "web_scraper", "--svg", "picture.svg"];
    let test = alone(&svg);
    let _ = test
        .run()
        .code(0)
        .says("written: ")
        .says("500 ms of virtual time");
    let picture = test.read("picture.svg");
    assert!(picture.contains("<svg xmlns="), "{picture}");
    assert!(picture.contains("prefers-color-scheme:dark"), "{picture}");
    // A bar for each fetch, and one in the legend.
    assert_eq!(picture.matches("class=\"works\"").count(), 12 + 1);
    // Its own picture it may replace.
    let again = test.args(&[&svg[..], &["--set", "limit=1"]].concat());
    let _ = again.run().code(0);
    assert_ne!(again.read("picture.svg"), picture);
    again.write("picture.svg", "<svg>drawn by hand</svg>");
    let _ = again
        .run()
        .code(2)
        .complains("`kata demo` did not make it")
        .complains("Nothing was written");
    assert_eq!(again.read("picture.svg"), "<svg>drawn by hand</svg>");
}

#[test]
fn what_runs_is_the_readers_own_copy() {
    let test = alone(&["demo", "web_scraper"]);
    changed(
        &test,
        "web_scraper",
        "in_flight.len() < limit",
        "in_flight.is_empty()",
    );
    let _ = test
        .run()
        .code(0)
        .says("1.2 s of virtual time")
        .says("never two at once");
    changed(
        &test,
        "web_scraper",
        "in_flight.len() < limit",
        "in_flight < limit",
    );
    let _ = test
        .run()
        .code(1)
        .says("web_scraper does not compile: ")
        .says("docs/examples/web_scraper.rs:");
}

#[test]
fn a_mistake_in_the_readers_copy_is_found() {
    let test = alone(&["demo", "producer_consumer"]);
    changed(&test, "producer_consumer", "    drop(sender);\n", "");
    let _ = test
        .run()
        .code(1)
        .says("deadlock")
        .says("docs/examples/producer_consumer.rs:");
}

#[test]
fn width_and_ascii_are_honoured() {
    for columns in ["60", "80", "120"] {
        let narrow = alone(&["demo", "circuit_breaker"])
            .env("COLUMNS", columns)
            .env("KATA_ASCII", "1");
        let run = of(narrow.command().current_dir(repository())).code(0);
        for line in run.stdout.lines() {
            assert!(line.len() <= columns.parse().unwrap(), "{columns}: {line}");
            assert!(line.is_ascii(), "{line}");
        }
    }
}

#[test]
fn every_prediction_has_its_answer_and_every_page_is_there() {
    for demo in demos() {
        let _ = kata(&["read", &demo.about.read]).code(0);
        assert!(demo.about.predict.len() >= 2, "{}", demo.name);
        for setting in &demo.about.settings {
            let (least, most) = setting.range;
            assert!((least..=most).contains(&setting.value), "{}", setting.name);
        }
        for prediction in &demo.about.predict {
            demo.values(&prediction.set).unwrap();
        }
    }
}

#[test]
fn a_workspace_of_the_binary_alone_has_the_examples_too() {
    let test = alone(&["init", "new"]);
    let _ = test.run().code(0);
    assert!(test.path("new/docs/examples/web_scraper.rs").is_file());
    let output = alone(&["demo"])
        .command()
        .current_dir(test.path("new"))
        .env_remove("KATA_COURSE")
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("   web_scraper\n"), "{listed}");
    let course = fs::read_dir(test.path("new/target/kata"))
        .unwrap()
        .flatten();
    let mut course = course
        .map(|entry| entry.path())
        .filter(|path| path.join("docs").is_dir());
    let course = course.next().expect("the course is laid down");
    assert!(course.join("docs/demos/web_scraper.rs").is_file());
    assert!(course.join("docs/Cargo.toml").is_file());
}

/// The texts that name demos: the book's pages and the README.
fn texts() -> Vec<(String, String)> {
    let pages = names("", ".md").into_iter();
    pages
        .map(|page| format!("docs/{page}.md"))
        .chain(["README.md".to_owned()])
        .map(|file| {
            let text = fs::read_to_string(repository().join(&file)).unwrap();
            (file, text)
        })
        .collect()
}

#[test]
fn every_demo_that_a_text_names_can_be_called_so() {
    let demos: BTreeMap<String, Demo> = demos().map(|demo| (demo.name.clone(), demo)).collect();
    let mut named = BTreeSet::new();
    for (file, text) in texts() {
        // A call may be broken over two lines.
        let text = text.replace('\n', " ");
        for rest in text.split("`kata demo ").skip(1) {
            let call: Vec<&str> = rest.split('`').next().unwrap().split_whitespace().collect();
            let name = call[0];
            if matches!(name, "NAME" | "[NAME]") {
                continue;
            }
            let demo = demos
                .get(name)
                .unwrap_or_else(|| panic!("{file} names {name}"));
            let sets = call.windows(2).filter(|pair| pair[0] == "--set");
            let sets: Vec<String> = sets.map(|pair| pair[1].to_owned()).collect();
            demo.values(&sets)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            named.insert(name.to_owned());
        }
    }
    assert!(named.len() >= 6, "{named:?}");
    let examples = fs::read_to_string(repository().join("docs/examples.md")).unwrap();
    for name in demos.keys() {
        assert!(
            examples.contains(&format!("| `{name}`")),
            "{name} is not in examples.md"
        );
        assert!(
            examples.contains(&format!("\"figures/{name}.svg\"")),
            "{name} is not pictured"
        );
    }
}

#[test]
fn every_figure_of_the_book_is_what_its_demo_draws() {
    let folder = Test::unprepared();
    let mut stale = Vec::new();
    for name in names("demos", ".toml") {
        let file = format!("{name}.svg");
        let drawn = folder.path(&file).to_string_lossy().into_owned();
        let _ = kata(&["demo", &name, "--svg", &drawn]).code(0);
        let figure = repository().join("docs/figures").join(&file);
        if fs::read_to_string(&figure).unwrap_or_default() != folder.read(&file) {
            stale.push(format!("kata demo {name} --svg docs/figures/{file}"));
        }
    }
    assert!(stale.is_empty(), "draw them anew:\n{}", stale.join("\n"));
}
