//! Tests of the painting on an emulated terminal.

use std::num::NonZero;

use super::*;

const ROWS: u16 = 6;
const COLUMNS: u16 = 20;

fn capabilities(cursor: bool) -> Capabilities {
    Capabilities {
        stdin_tty: true,
        stdout_tty: true,
        width: COLUMNS,
        height: ROWS,
        colour: false,
        unicode: false,
        links: false,
        cursor,
    }
}

/// Counts the writes.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    writes: usize,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn screen(painting: Painting) -> Screen<Out> {
    Screen::on(Out::default(), &capabilities(true), painting)
}

/// What the terminal shows after `before` was there already, and what it has in its scrollback.
fn shown(before: &str, screen: &Screen<Out>) -> (String, String) {
    let size = |number| NonZero::new(number).unwrap();
    let mut parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 100);
    parser.process(before.as_bytes());
    parser.process(&screen.out.bytes);
    let visible = parser.screen().contents();
    let mut above = Vec::new();
    parser.screen_mut().set_scrollback(usize::MAX);
    for offset in (1..=parser.screen().scrollback()).rev() {
        parser.screen_mut().set_scrollback(offset);
        let row = parser.screen().rows(0, COLUMNS).next().unwrap();
        above.push(row.trim_end().to_owned());
    }
    (visible, above.join("\n"))
}

#[test]
fn a_page_starts_at_the_top_and_what_was_there_moves_into_the_scrollback() {
    let mut screen = screen(Painting::Scroll);
    screen.page("one\ntwo").unwrap();
    let (visible, above) = shown("$ ls\r\nfile\r\n$ kata\r\n", &screen);
    assert_eq!(visible, "one\ntwo");
    assert_eq!(above, "$ ls\nfile\n$ kata");
}

#[test]
fn pages_follow_each_other_in_the_scrollback_without_gaps() {
    let mut screen = screen(Painting::Scroll);
    for page in ["a1\na2", "b1", "c1\nc2\nc3"] {
        screen.page(page).unwrap();
    }
    let (visible, above) = shown("", &screen);
    assert_eq!(visible, "c1\nc2\nc3");
    assert_eq!(above, "a1\na2\nb1");
}

#[test]
fn a_status_is_rewritten_in_place_and_stays_with_its_page() {
    let mut screen = screen(Painting::Scroll);
    screen.page("page").unwrap();
    for status in ["first, longer", "second\nof two rows", "third"] {
        screen.status(status).unwrap();
    }
    assert_eq!(shown("", &screen).0, "page\nthird");
    screen.page("next").unwrap();
    assert_eq!(shown("", &screen), ("next".into(), "page\nthird".into()));
}

#[test]
fn the_end_of_a_page_taller_than_the_terminal_is_visible_with_its_status() {
    let mut screen = screen(Painting::Scroll);
    let lines: Vec<String> = (1..=9).map(|line| format!("line {line}")).collect();
    screen.page(&lines.join("\n")).unwrap();
    screen.status("status").unwrap();
    screen.status("status 2").unwrap();
    let (visible, above) = shown("", &screen);
    assert_eq!(visible, "line 5\nline 6\nline 7\nline 8\nline 9\nstatus 2");
    assert_eq!(above, "line 1\nline 2\nline 3\nline 4");
}

#[test]
fn a_page_with_lines_wider_than_the_terminal_leaves_nothing_behind() {
    let mut screen = screen(Painting::Scroll);
    screen.page(&"wide ".repeat(6)).unwrap();
    screen.status(&"status ".repeat(6)).unwrap();
    screen.status("short").unwrap();
    screen.page("next").unwrap();
    let (visible, above) = shown("", &screen);
    assert_eq!(visible, "next");
    assert_eq!(above, "wide wide wide wide\nwide wide\nshort");
}

#[test]
fn each_page_is_one_write_and_erases_no_scrollback() {
    let mut screen = screen(Painting::Scroll);
    screen.page("one\ntwo").unwrap();
    assert_eq!(screen.out.writes, 1);
    screen.status("status").unwrap();
    assert_eq!(screen.out.writes, 2);
    let bytes = String::from_utf8(screen.out.bytes.clone()).unwrap();
    assert!(
        !bytes.contains("\x1b[3J") && !bytes.contains("\x1b[?"),
        "{bytes:?}"
    );
}

#[test]
fn clearing_replaces_what_is_visible_and_keeps_the_scrollback() {
    let mut screen = screen(Painting::Clear);
    screen.page("a1\na2").unwrap();
    screen.page("b1").unwrap();
    let before = "1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n";
    assert_eq!(shown(before, &screen), ("b1".into(), "1\n2".into()));
}

#[test]
fn plain_painting_appends_and_says_each_status_once() {
    let mut screen = screen(Painting::Plain);
    screen.page("one\ntwo\n").unwrap();
    screen.progress("1 of 44").unwrap();
    screen.status("saved").unwrap();
    screen.status("saved").unwrap();
    screen.page("three").unwrap();
    screen.status("saved").unwrap();
    screen.finish().unwrap();
    let text = String::from_utf8(screen.out.bytes.clone()).unwrap();
    assert_eq!(text, "one\ntwo\nsaved\n\nthree\nsaved\n");
}

#[test]
fn without_a_cursor_painting_is_plain() {
    let mut screen = Screen::on(Out::default(), &capabilities(false), Painting::Scroll);
    screen.page("page").unwrap();
    assert_eq!(screen.out.bytes, b"page\n");
}

#[test]
fn after_the_end_the_shell_writes_on_a_fresh_line() {
    let mut screen = screen(Painting::Scroll);
    screen.page("page").unwrap();
    screen.finish().unwrap();
    screen.status("status").unwrap();
    screen.finish().unwrap();
    screen.finish().unwrap();
    screen.out.bytes.extend_from_slice(b"$");
    assert_eq!(shown("", &screen).0, "page\nstatus\n$");
}

#[test]
fn another_size_counts_from_the_next_page_on() {
    let mut screen = screen(Painting::Scroll);
    screen.resize(COLUMNS, 3);
    screen.out.bytes.clear();
    screen.page("page").unwrap();
    assert_eq!(screen.out.bytes, b"\r\n\r\n\x1b[H\x1b[Jpage\r\n");
}
