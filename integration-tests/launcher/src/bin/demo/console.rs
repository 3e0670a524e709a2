//! The only place where the demo writes.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// A line or several.
pub(crate) fn say(text: &str) {
    // A closed pipe must not keep the demo from stopping what it started.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A headline.
pub(crate) fn headline(text: &str) {
    say(&format!("\n== {text}"));
}

/// Tells a failure with all its causes.
pub(crate) fn failure(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let mut text = format!("\nThe demo failed: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Transparent errors repeat their cause's text.
        if !text.ends_with(&inner.to_string()) {
            text.push_str(": ");
            text.push_str(&inner.to_string());
        }
        cause = inner.source();
    }
    drop(writeln!(std::io::stderr().lock(), "{text}"));
    ExitCode::FAILURE
}

/// Whether somebody watches, so that a line may be redrawn.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal() && std::io::stdout().is_terminal()
}

/// A quantity with its thousands apart.
pub(crate) fn count(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
    }
}
