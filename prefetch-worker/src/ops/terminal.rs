//! Texts on their way to a terminal; those out of Redis anybody may have written.

/// Longest text shown, in characters.
const LONGEST: usize = 2_000;

/// The text in one line, cut, with control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == LONGEST {
            shown.push('…');
            break;
        }
        if is_for_the_terminal(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// As a shell reads an argument.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:./@".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Control characters, and those that turn the writing direction round.
fn is_for_the_terminal(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_line_and_says_nothing_to_the_terminal() {
        assert_eq!(shown("95 rows, \"Größe\""), "95 rows, \"Größe\"");
        assert_eq!(shown("a\n\u{1b}[2Jb\u{9b}"), "a\\u{a}\\u{1b}[2Jb\\u{9b}");
        assert_eq!(shown("\u{202e}x"), "\\u{202e}x");
        assert_eq!(shown(&"x".repeat(1_000_000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn arguments_are_quoted_as_a_shell_reads_them() {
        assert_eq!(quoted("inv:t:stock:D0001"), "inv:t:stock:D0001");
        assert_eq!(quoted("inv:t:stock: A\"1"), "'inv:t:stock: A\"1'");
        assert_eq!(quoted("O'NEIL-7"), r"'O'\''NEIL-7'");
    }
}
