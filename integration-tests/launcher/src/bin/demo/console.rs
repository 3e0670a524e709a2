//! The only place where the demo writes.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;
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

/// A failure with all its causes.
pub(crate) fn failure(error: &(dyn Error + Send + Sync)) -> ExitCode {
    let mut text = format!("\nThe demo failed: {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Transparent errors repeat their cause's text.
        if !text.ends_with(&inner.to_string()) {
            text = format!("{text}: {inner}");
        }
        cause = inner.source();
    }
    drop(writeln!(std::io::stderr().lock(), "{text}"));
    ExitCode::FAILURE
}

/// A quantity with its thousands apart.
pub(crate) fn count(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
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
    #[test]
    fn thousands_are_apart() {
        let numbers = [0, 999, 1_000, 1_234_567].map(super::count);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }
}
