//! Words of others: nodes, engines, clouds and programs say what they like, in whatever bytes they like.
//!
//! Such text is cleaned once, where it comes in, by [`clean`]: from there on it is one line of bounded length that
//! can be stored, shown by an API and printed on a terminal. The rest of this module shortens text of any origin.

use std::borrow::Cow;

/// Longest message of somebody else that is kept, in bytes.
pub const MESSAGE: usize = 2000;
/// Longest name or version of somebody else that is kept, in bytes.
pub const WORD: usize = 255;
/// What stands for the rest of a text that was cut.
const REST: &str = "...";

/// One line of at most `longest` bytes, without anything that a terminal or a browser would act on: escape sequences,
/// control characters, marks that change the direction of text, and characters that nobody sees are left out; line
/// breaks and tabs become a space.
#[must_use]
pub fn clean(text: &str, longest: usize) -> String {
    let mut line = String::with_capacity(text.len().min(longest));
    let mut rest = text;
    // What is cut off in the end need not be looked at, however long it is.
    while line.len() <= longest {
        let Some(character) = rest.chars().next() else { break };
        if let Some(after) = after_escape(rest) {
            rest = after;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        if is_break(character) {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !character.is_control() && !is_unseen(character) {
            line.push(character);
        }
    }
    let line = line.trim();
    cut(line, longest).into_owned()
}

/// [`clean`] for bytes; what is no UTF-8 becomes the replacement character.
#[must_use]
pub fn clean_bytes(bytes: &[u8], longest: usize) -> String {
    // No character takes more than four bytes, and an escape sequence that is longer than this is none.
    let enough = &bytes[..bytes.len().min(longest.saturating_mul(4).saturating_add(ESCAPE))];
    clean(&String::from_utf8_lossy(enough), longest)
}

/// The last lines of what a program or a log says, cleaned and joined by `; `; at most `longest` bytes.
#[must_use]
pub fn last_lines(bytes: &[u8], count: usize, longest: usize) -> String {
    // A line that fills all of it is cut, and the ones before it would be.
    let end = &bytes[bytes.len().saturating_sub(longest.saturating_mul(2))..];
    let text = String::from_utf8_lossy(end);
    let lines = text.lines().map(|line| clean(line, longest)).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    cut(&lines[lines.len().saturating_sub(count)..].join("; "), longest).into_owned()
}

/// The text, or its beginning and `...`, in at most `longest` bytes.
#[must_use]
pub fn cut(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{REST}", &text[..text.floor_char_boundary(longest.saturating_sub(REST.len()))]))
}

/// The text, or its first `characters` characters and `...`.
#[must_use]
pub fn shorten(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}{REST}", &text[..end])),
    }
}

/// Longest escape sequence that is taken for one, in bytes.
const ESCAPE: usize = 4096;

/// What follows the escape sequence (ECMA-48) that the text begins with, if it begins with one.
fn after_escape(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    let introducer = match characters.next()? {
        '\u{1b}' => match characters.next() {
            // A line break.
            Some('E') => return Some(characters.as_str()),
            // The two-character form of what has a character of its own from U+0080 to U+009F.
            Some(second @ '@'..='_') => char::from_u32(u32::from(second) + 0x40)?,
            Some(' '..='/') => return Some(skip(characters.as_str(), |c| matches!(c, ' '..='/'))),
            Some('0'..='~') => return Some(characters.as_str()),
            _ => return Some(&text[1..]),
        },
        single @ '\u{80}'..='\u{9f}' => single,
        _ => return None,
    };
    let rest = characters.as_str();
    match introducer {
        // Control sequence: parameters and intermediates up to a final character.
        '\u{9b}' => Some(skip(rest, |c| matches!(c, ' '..='?'))),
        // Strings, up to their terminator; without one, only what introduces them goes.
        '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => Some(after_string(rest).unwrap_or(rest)),
        // A line break.
        '\u{85}' => None,
        _ => Some(rest),
    }
}

/// What follows characters of one kind and the one after them.
fn skip(text: &str, more: impl Fn(char) -> bool) -> &str {
    let rest = text.trim_start_matches(more);
    let mut characters = rest.chars();
    match characters.next() {
        Some('0'..='~') => characters.as_str(),
        _ => rest,
    }
}

fn after_string(text: &str) -> Option<&str> {
    let near = &text[..text.floor_char_boundary(ESCAPE)];
    let ends = ["\u{7}", "\u{9c}", "\u{1b}\\"].into_iter().filter_map(|end| near.find(end).map(|at| at + end.len()));
    ends.min().map(|end| &text[end..])
}

fn is_break(character: char) -> bool {
    matches!(character, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Marks of direction (which make text read otherwise than it is), fillers without a width, and tags.
fn is_unseen(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_become_one_harmless_line() {
        for (dirty, expected) in [
            (
                "plain words: \u{e4}\u{f6}\u{4e2d}\u{1f600}, 100 % (yes)",
                "plain words: \u{e4}\u{f6}\u{4e2d}\u{1f600}, 100 % (yes)",
            ),
            ("two  spaces stay", "two  spaces stay"),
            ("one\ntwo\r\n\tthree\u{2028}four\u{85}five\n", "one two three four five"),
            ("nul\0 bell\u{7} delete\u{7f} backspace\u{8}", "nul bell delete backspace"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Hcleared", "cleared"),
            ("\u{9b}31mred", "red"),
            ("\u{1b}]0;a title\u{7}after", "after"),
            ("\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9d}52;c;cm0gLXJm\u{9c}clipboard", "clipboard"),
            ("\u{1b}P1$r0m\u{1b}\\device", "device"),
            ("\u{1b}]no end, so it is text", "no end, so it is text"),
            ("\u{1b}c\u{1b}(B\u{1b}7reset", "reset"),
            ("\u{1b}", ""),
            ("\u{1b}\u{1b}[1mtwice", "twice"),
            ("\u{1b}[31", ""),
            ("\u{1b}[31\u{e4}", "\u{e4}"),
            ("abc\u{202e}fed\u{2066}x\u{2069}\u{200f}\u{61c}", "abcfedx"),
            ("zero\u{200b}width\u{feff}\u{2060}\u{ad}\u{e0041}", "zerowidth"),
            ("   trimmed   ", "trimmed"),
        ] {
            assert_eq!(clean(dirty, 200), expected, "{dirty:?}");
            assert_eq!(clean(&clean(dirty, 200), 200), expected, "{dirty:?} once more");
        }
    }

    #[test]
    fn nothing_is_longer_than_it_may_be() {
        let mut texts = vec!["\u{e4}".repeat(5000), "x".repeat(5000), "\n".repeat(5000), "\u{1b}[".repeat(5000)];
        texts.push(format!("\u{1b}]{}", "y".repeat(5000)));
        texts.push("\u{10ffff}".repeat(5000));
        for text in &texts {
            for longest in [0, 1, 3, 4, 100, 2000] {
                let cleaned = clean(text, longest);
                assert!(cleaned.len() <= longest.max(REST.len()), "{} of {longest}", cleaned.len());
                assert!(!cleaned.chars().any(char::is_control));
                assert_eq!(clean_bytes(text.as_bytes(), longest).len(), cleaned.len());
            }
        }
        assert_eq!(clean(&"x".repeat(30), 10), "xxxxxxx...");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(clean_bytes(b"a\xff\xfeb\x1b[1mc", 50), "a\u{fffd}\u{fffd}bc");
    }

    #[test]
    fn the_last_lines_are_cleaned_and_on_one_line() {
        for (text, count, longest, expected) in [
            ("a\n\n b \nc\n", 2, 100, "b; c"),
            ("", 2, 100, ""),
            ("one\n\u{1b}[31mtwo\u{1b}[0m\n", 2, 100, "one; two"),
            ("one\ntwo\n", 2, 5, "on..."),
        ] {
            assert_eq!(last_lines(text.as_bytes(), count, longest), expected, "{text:?}");
        }
        let long = format!("{}\nlast\n", "x".repeat(100_000));
        assert_eq!(last_lines(long.as_bytes(), 1, 100), "last");
        assert!(last_lines(long.as_bytes(), 3, 100).len() <= 100);
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(cut("short", 8), "short");
        assert_eq!(cut("123456789", 8), "12345...");
        assert_eq!(cut("1234\u{e4}6789", 8), "1234...");
        assert_eq!(shorten("\u{e4}\u{f6}\u{fc}", 3), "\u{e4}\u{f6}\u{fc}");
        assert_eq!(shorten("\u{e4}\u{f6}\u{fc}", 2), "\u{e4}\u{f6}...");
    }
}
