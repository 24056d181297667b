//! A terminal that a person reads: its width, its colours, and text that fits it.

use std::{io::IsTerminal, os::fd::AsFd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    pub columns: usize,
    /// The person has not asked for plain text (`NO_COLOR`, or `TERM=dumb`).
    pub colours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Good,
    Warning,
    Bad,
    Accent,
    Dim,
}

impl Screen {
    /// `None`: the stream is no terminal.
    pub(super) fn of<S: AsFd + IsTerminal>(stream: &S) -> Option<Self> {
        const USUAL: u16 = 80;
        if !stream.is_terminal() {
            return None;
        }
        let columns = match rustix::termios::tcgetwinsize(stream) {
            Ok(size) if size.ws_col > 0 => size.ws_col,
            _ => USUAL,
        };
        let is = |name: &str, test: fn(&str) -> bool| std::env::var(name).is_ok_and(|value| test(&value));
        let colours = !is("NO_COLOR", |value| !value.is_empty()) && !is("TERM", |value| value == "dumb");
        Some(Self { columns: columns.into(), colours })
    }

    pub fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Good => "32",
            Colour::Warning => "33",
            Colour::Bad => "31",
            Colour::Accent => "36",
            Colour::Dim => "2",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Breaks a text between words so that no line is longer than `columns`, where words allow it. The
/// text begins in column `from`; the lines after the first are indented by `hang`.
pub fn wrapped(text: &str, columns: usize, from: usize, hang: usize) -> String {
    let mut lines = String::new();
    let mut column = from;
    let mut is_first = true;
    for word in text.split(' ') {
        let length = word.chars().count();
        if is_first {
            is_first = false;
        } else if column + 1 + length > columns && column > hang {
            lines.push('\n');
            lines.push_str(&" ".repeat(hang));
            column = hang;
        } else {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_hang() {
        let text = "one two three four five";
        assert_eq!(wrapped(text, 80, 0, 2), text);
        assert_eq!(wrapped(text, 10, 0, 2), "one two\n  three\n  four\n  five");
        assert_eq!(wrapped(text, 13, 4, 4), "one two\n    three\n    four five");
        assert_eq!(
            wrapped("a word-that-is-longer-than-a-line b", 10, 0, 2),
            "a word-that-is-longer-than-a-line\n  b"
        );
    }

    #[test]
    fn plain_text_stays_plain() {
        let screen = |colours| Screen { columns: 80, colours };
        assert_eq!(screen(false).paint(Colour::Good, "PASS"), "PASS");
        assert_eq!(screen(true).paint(Colour::Good, "PASS"), "\x1b[32mPASS\x1b[0m");
    }
}
