//! Bodies read whole, never more than allowed, and the network's own words.

use std::error::Error;
use std::time::Duration;

/// Longest message kept, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Why a body was not read whole.
#[derive(Debug)]
pub(crate) enum NotWhole {
    TooLarge,
    /// Nothing came for as long as allowed.
    Silent,
    /// The connection broke; the cause in words.
    Broken(String),
}

/// Reads a body of at most `largest` bytes, after decompression, with no pause longer than `idle`.
pub(crate) async fn whole_body(
    mut response: reqwest::Response,
    largest: usize,
    idle: Duration,
) -> Result<Vec<u8>, NotWhole> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    let mut body = Vec::with_capacity(announced.min(largest));
    loop {
        let chunk = tokio::time::timeout(idle, response.chunk())
            .await
            .map_err(|_elapsed| NotWhole::Silent)?
            .map_err(|cause| NotWhole::Broken(network_cause(cause)))?;
        let Some(chunk) = chunk else {
            return Ok(body);
        };
        if body.len() + chunk.len() > largest {
            return Err(NotWhole::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
}

/// The network library's words, innermost cause last, without any address.
pub(crate) fn network_cause(cause: reqwest::Error) -> String {
    let cause = cause.without_url();
    let mut words = cause.to_string();
    let mut source = cause.source();
    while let Some(inner) = source {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        source = inner.source();
    }
    clean(&words)
}

/// Control characters and runs of blanks become one blank; the rest is cut to 300 characters.
pub(super) fn clean(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 4 * LONGEST_MESSAGE {
            break;
        }
    }
    match words.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let message = clean(&"ä".repeat(5_000));
        assert_eq!(message.chars().count(), LONGEST_MESSAGE + 1);
        assert!(clean(&"word ".repeat(5_000)).chars().count() <= LONGEST_MESSAGE + 1);
    }
}
