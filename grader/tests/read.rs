//! `kata read`: the reference book and the days' texts, and the links between them.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use kata::model::book;
use support::{
    pty::Pty,
    workspace::{DAY, Test, repository},
};

fn kata(arguments: &[&str]) -> Test {
    Test::unprepared().args(arguments)
}

#[test]
fn alone_it_lists_every_page_and_every_day() {
    let run = kata(&["read"]).run().code(0);
    for page in pages() {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        if name != "README" {
            assert!(run.stdout.contains(&format!("   {name} ")), "{name}");
        }
    }
    let _ = run.says("The days").says("   1 ").says("kata read 7");
}

#[test]
fn a_page_is_rendered_and_not_shown_as_it_is_written() {
    let run = kata(&["read", "pitfalls"])
        .run()
        .code(0)
        .says("Lost wakeup");
    for raw in ["<a id=", "```", "**", "](", "\x1b", "|---"] {
        assert!(!run.stdout.contains(raw), "{raw} in\n{}", run.stdout);
    }
}

#[test]
fn a_section_is_shown_alone() {
    let run = kata(&["read", "pitfalls#lost-wakeup"]).run().code(0);
    assert!(run.stdout.starts_with("Lost wakeup\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("Stale waker"), "{}", run.stdout);
}

#[test]
fn a_day_is_read_from_the_workspace_and_else_from_the_course() {
    let _ = kata(&["read", "1"])
        .run()
        .code(0)
        .says("Day 1: Basic Async");
    let test = kata(&["read", "day01"]);
    test.write(&format!("exercises/{DAY}/README.md"), "# My own notes\n");
    let run = test.run().code(0);
    assert_eq!(run.stdout, "My own notes\n════════════\n");
}

#[test]
fn a_wrong_name_gets_a_suggestion_and_exit_code_2() {
    let _ = kata(&["read", "pitfals"])
        .run()
        .code(2)
        .complains("did you mean `pitfalls`?");
    let _ = kata(&["read", "pitfalls#deadlok"])
        .run()
        .code(2)
        .complains("did you mean `deadlock`?");
    let _ = kata(&["read", "99"]).run().code(2).complains("kata read");
}

#[test]
fn width_and_ascii_are_honoured() {
    let run = kata(&["read", "structured-concurrency"])
        .env("COLUMNS", "60")
        .env("KATA_ASCII", "1")
        .run()
        .code(0);
    for line in run.stdout.lines() {
        assert!(line.chars().count() <= 60, "{line}");
        assert!(line.is_ascii(), "{line}");
    }
}

#[test]
fn every_page_fits_every_width() {
    for page in pages() {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        for columns in ["60", "80", "120"] {
            let run = kata(&["read", &name]).env("COLUMNS", columns).run().code(0);
            let columns: usize = columns.parse().unwrap();
            for line in run.stdout.lines() {
                assert!(
                    line.chars().count() <= columns,
                    "{name} at {columns}: {line}"
                );
            }
        }
    }
}

#[test]
fn piped_it_is_plain_though_a_pager_is_named() {
    let _ = kata(&["read", "pitfalls"])
        .env("PAGER", "kata-has-no-such-pager")
        .run()
        .code(0)
        .says("Deadlock");
}

#[test]
fn it_works_in_a_workspace_that_the_binary_made() {
    let test = kata(&["init", "new"]);
    let _ = test.run().code(0);
    let read = |what: &str| {
        let output = kata(&["read", what])
            .command()
            .current_dir(test.path("new"))
            .env_remove("KATA_COURSE")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(read("pitfalls#deadlock").starts_with("Deadlock\n"));
    assert!(read("1").starts_with("Day 1: Basic Async\n"));
}

/// `kata` on a screen of 24 lines, with a pager that writes down what it gets.
fn on_a_screen(test: &Test, pager: &str, arguments: &[&str]) -> Pty {
    Pty::new(env!("CARGO_BIN_EXE_kata"))
        .args(arguments)
        .current_dir(test.folder())
        .env("KATA_COURSE", repository())
        .env("LANG", "C.UTF-8")
        .env("PAGER", pager)
        .env_remove("NO_COLOR")
        .spawn()
}

#[test]
fn what_is_longer_than_the_screen_goes_to_the_pager_and_the_rest_does_not() {
    let test = Test::unprepared();
    let pager = "sh -c 'cat > paged; echo the pager ran'";
    let mut pty = on_a_screen(&test, pager, &["read", "pitfalls"]);
    pty.wait_for("the pager ran");
    assert_eq!(pty.wait(), 0);
    assert!(test.read("paged").starts_with("\x1b[1mPitfalls"), "painted");
    std::fs::remove_file(test.path("paged")).unwrap();
    test.write(&format!("exercises/{DAY}/README.md"), "# Short\n");
    let mut pty = on_a_screen(&test, pager, &["read", "1"]);
    pty.wait_for("Short");
    assert_eq!(pty.wait(), 0);
    assert!(!test.path("paged").exists());
}

#[test]
fn a_pager_that_is_not_there_leaves_the_text_on_the_screen() {
    let test = Test::unprepared();
    let mut pty = on_a_screen(&test, "kata-has-no-such-pager", &["read", "pitfalls"]);
    pty.wait_for("kata read 7");
    assert_eq!(pty.wait(), 0);
}

/// The pages of the reference book.
fn pages() -> Vec<PathBuf> {
    markdown_in(&repository().join("docs"))
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// Pages, the days' texts, and hints: whatever links to one of them.
fn texts() -> BTreeMap<PathBuf, String> {
    let mut files = pages();
    for tree in ["exercises", "grader/hidden"] {
        for day in fs::read_dir(repository().join(tree)).unwrap().flatten() {
            if day.path().is_dir() {
                files.extend(markdown_in(&day.path()));
            }
        }
    }
    files
        .into_iter()
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            (file, text)
        })
        .collect()
}

/// The addresses of a text's links, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut links = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let ends = line.split("](").skip(1);
            links.extend(ends.filter_map(|end| Some(end.split_once(')')?.0.to_owned())));
        }
    }
    links
}

/// Every anchor of a text: those of its headings, and those that stand in it.
fn anchors(text: &str) -> BTreeSet<String> {
    let own = text.split("<a id=\"").skip(1);
    let own = own.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    let headings = text.lines().filter(|line| line.starts_with('#'));
    own.chain(headings.map(book::slug)).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for (file, text) in texts() {
        let pictures = text.split("<img src=\"").skip(1);
        let pictures = pictures.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
        for link in links(&text).into_iter().chain(pictures) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                file.clone()
            } else {
                file.parent().unwrap().join(path)
            };
            let leads = if anchor.is_empty() {
                target.exists()
            } else {
                fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !leads {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_link_can_be_typed_after_kata_read() {
    let words: BTreeSet<String> = pages()
        .iter()
        .flat_map(|page| {
            let name = page.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(page).unwrap();
            links(&book::name_own_links(&text, &name))
        })
        .filter(|link| !link.contains("://"))
        .map(|link| book::reference(&link))
        .collect();
    for word in words {
        let _ = kata(&["read", &word]).run().code(0);
    }
}

#[test]
fn every_pitfall_that_a_report_can_name_has_its_section() {
    let text = fs::read_to_string(repository().join("docs/pitfalls.md")).unwrap();
    let known = anchors(&text);
    let mut named = BTreeSet::new();
    for tree in ["grader/hidden", "grader/harness/src", "grader/src/judge"] {
        rust_files(&repository().join(tree), &mut |source| {
            for mark in [".pitfall(\"", "pitfall: Some(\"", "Some(\"", "then(|| \""] {
                for rest in source.split(mark).skip(1) {
                    let Some((name, _)) = rest.split_once('"') else {
                        continue;
                    };
                    // Other strings than a pitfall's may follow the looser marks.
                    if mark.contains("pitfall") || known.contains(name) {
                        named.insert(name.to_owned());
                    }
                }
            }
        });
    }
    assert!(named.len() > 15, "{named:?}");
    let missing: Vec<&String> = named.difference(&known).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_pitfall_has_its_four_parts_and_its_two_pieces_of_code() {
    let text = fs::read_to_string(repository().join("docs/pitfalls.md")).unwrap();
    let ids = text.split("<a id=\"").skip(1);
    let ids: Vec<&str> = ids
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect();
    assert!(ids.len() > 20, "{ids:?}");
    for id in ids {
        let section = book::section(&text, id).unwrap();
        for part in [
            "What it looks like.",
            "What the report says.",
            "Why.",
            "The mend.",
        ] {
            assert!(section.contains(&format!("**{part}**")), "{id}: {part}");
        }
        assert_eq!(section.matches("\n```rust\n").count(), 2, "{id}");
    }
}

#[test]
fn every_figure_in_text_is_there_as_a_diagram_for_a_browser() {
    for page in [
        "concurrency-models",
        "event-loop-flow",
        "future-states",
        "learning-path",
        "runtime-architecture",
        "structured-concurrency",
        "task-lifecycle",
        "task-scheduling",
    ] {
        let text = fs::read_to_string(repository().join(format!("docs/{page}.md"))).unwrap();
        let count = |fence: &str| text.matches(&format!("\n```{fence}\n")).count();
        assert_eq!(count("mermaid"), count("text"), "{page}");
        let run = kata(&["read", page]).run().code(0);
        assert!(
            !run.stdout.contains("-->|"),
            "{page} shows a diagram's source"
        );
        assert!(!run.stdout.contains("The same as a diagram"), "{page}");
    }
}

#[test]
fn pages_are_wrapped_at_eighty_columns() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            let wide = line.chars().count() > 80 && !line.starts_with('|');
            assert!(!wide, "{}:{number}: {line}", page.display());
        }
    }
}

fn rust_files(folder: &Path, see: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_books_first_page_lists_every_other_page() {
    let text = fs::read_to_string(repository().join("docs/README.md")).unwrap();
    let listed: BTreeSet<String> = book::contents(&text)
        .into_iter()
        .map(|(page, _)| page)
        .collect();
    let names = pages()
        .into_iter()
        .map(|page| page.file_stem().unwrap().to_string_lossy().into_owned());
    let there: BTreeSet<String> = names.filter(|name| name != "README").collect();
    assert_eq!(listed, there);
}
