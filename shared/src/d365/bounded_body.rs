//! Small bodies read whole, never more than allowed.

use crate::d365::answer::network_cause;

/// Why a body was not read whole.
#[derive(Debug)]
pub(in crate::d365) enum NotWhole {
    /// It is larger than allowed.
    TooLarge,
    /// The connection broke; the cause in words.
    Broken(String),
}

/// Reads a body of at most `largest` bytes, after decompression.
pub(in crate::d365) async fn whole_body(
    mut response: reqwest::Response,
    largest: usize,
) -> Result<Vec<u8>, NotWhole> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|cause| NotWhole::Broken(network_cause(cause)))?
    {
        if body.len() + chunk.len() > largest {
            return Err(NotWhole::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
