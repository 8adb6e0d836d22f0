//! The program that the tests watch: it paints and obeys, with nothing but the library's terminal.

use std::{
    env, process,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use kata::world::terminal::{Capabilities, Input, Key, Painting, Screen, listen};

use crate::support::pty::{Builder, Pty};

/// A shell command that runs [`program`] in this test's own executable.
pub fn command() -> String {
    let me = env::current_exe().unwrap();
    format!(
        "'{}' --exact child::program --ignored --nocapture",
        me.display()
    )
}

/// `script` in a shell, in which `$CHILD` is the program.
pub fn shell(script: &str) -> Builder {
    let script = script.replace("$CHILD", &command());
    Pty::new("sh").args(["-c", &script]).size(12, 60)
}

/// Not a test: what the tests start. Each key or line is a command:
/// `2`, `3` … `9` a page of that many lines, `0` one of forty; `s` a status; `p` a panic, `P` one
/// of another thread; `w` never listens again; `q` ends; anything else is shown.
#[test]
#[ignore = "other tests start it"]
fn program() {
    let capabilities = Capabilities::detect();
    let painting = match env::var("PAINTING").as_deref() {
        Ok("plain") => Painting::Plain,
        Ok("clear") => Painting::Clear,
        _ => Painting::Scroll,
    };
    let mut screen = Screen::on_stdout(&capabilities, painting).unwrap();
    let (sender, inputs) = mpsc::channel();
    let listener = listen(&capabilities, move |input| drop(sender.send(input))).unwrap();
    screen
        .page(&format!("ready, process {}", process::id()))
        .unwrap();
    obey(&mut screen, &inputs);
    drop(listener);
    screen.finish().unwrap();
    drop(screen);
    process::exit(7);
}

fn obey(screen: &mut Screen, inputs: &Receiver<Input>) {
    let mut statuses = 0;
    for input in inputs {
        let command = match &input {
            Input::Key(Key::Char(command)) => *command,
            Input::Line(line) => line.chars().next().unwrap_or(' '),
            Input::End | Input::Quit => return screen.status(&format!("{input:?}")).unwrap(),
            Input::Resize { width, height } => {
                screen.resize(*width, *height);
                screen.page(&format!("{width} by {height}")).unwrap();
                continue;
            }
            Input::Key(_) => ' ',
        };
        match command {
            'q' => return,
            'p' => panic!("as you wish"),
            'P' => drop(thread::spawn(|| panic!("elsewhere")).join()),
            'w' => {
                screen.status("wedged").unwrap();
                loop {
                    thread::sleep(Duration::MAX);
                }
            }
            's' => {
                statuses += 1;
                screen.status(&format!("status {statuses}")).unwrap();
            }
            '0'..='9' => screen.page(&page(command)).unwrap(),
            _ => screen.status(&format!("{input:?}")).unwrap(),
        }
    }
}

/// `5 of 5` is the last line of page `5`.
pub fn page(command: char) -> String {
    let lines = command
        .to_digit(10)
        .filter(|lines| *lines > 0)
        .unwrap_or(40);
    let lines: Vec<String> = (1..=lines)
        .map(|line| format!("{line} of {lines}"))
        .collect();
    lines.join("\n")
}
