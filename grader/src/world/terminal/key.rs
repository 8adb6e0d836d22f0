//! Which key was pressed.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One key that means something to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character, as typed: with Shift it is the upper-case one.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
}

/// What a key press asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Press {
    /// An ordinary key.
    Key(Key),
    /// Ctrl-C, or Ctrl-D.
    Quit,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Repaint,
    /// Nothing.
    Nothing,
}

impl From<KeyEvent> for Press {
    fn from(event: KeyEvent) -> Self {
        // Windows, and terminals with the kitty protocol, also tell when a key is let go.
        if event.kind == KeyEventKind::Release {
            return Self::Nothing;
        }
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match event.code {
            KeyCode::Char('c' | 'd') if control => Self::Quit,
            KeyCode::Char('z') if control => Self::Suspend,
            KeyCode::Char('l') if control => Self::Repaint,
            KeyCode::Char(_) if control || alt => Self::Nothing,
            KeyCode::Char(character) => Self::Key(Key::Char(character)),
            KeyCode::Enter => Self::Key(Key::Enter),
            KeyCode::Esc => Self::Key(Key::Escape),
            KeyCode::Backspace => Self::Key(Key::Backspace),
            KeyCode::Up => Self::Key(Key::Up),
            KeyCode::Down => Self::Key(Key::Down),
            KeyCode::Left => Self::Key(Key::Left),
            KeyCode::Right => Self::Key(Key::Right),
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Press {
        KeyEvent::new(code, modifiers).into()
    }

    #[test]
    fn characters_are_keys_and_control_characters_are_not() {
        let none = KeyModifiers::NONE;
        assert_eq!(press(KeyCode::Char('c'), none), Press::Key(Key::Char('c')));
        assert_eq!(
            press(KeyCode::Char('N'), KeyModifiers::SHIFT),
            Press::Key(Key::Char('N'))
        );
        let control = KeyModifiers::CONTROL;
        assert_eq!(press(KeyCode::Char('c'), control), Press::Quit);
        assert_eq!(press(KeyCode::Char('z'), control), Press::Suspend);
        assert_eq!(press(KeyCode::Char('n'), control), Press::Nothing);
        assert_eq!(press(KeyCode::F(1), none), Press::Nothing);
    }

    #[test]
    fn letting_a_key_go_is_nothing() {
        let (code, modifiers) = (KeyCode::Char('q'), KeyModifiers::NONE);
        let release = KeyEvent::new_with_kind(code, modifiers, KeyEventKind::Release);
        assert_eq!(Press::from(release), Press::Nothing);
    }
}
