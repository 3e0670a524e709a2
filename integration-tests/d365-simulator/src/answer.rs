//! An answer on its way out: status, headers, body, and how it is to be delivered.

use std::time::Duration;

use bytes::Bytes;

/// What is done to the body while it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Delivery {
    #[default]
    Whole,
    /// The connection ends after so many bytes of the body.
    CutAfter(usize),
    /// So many bytes at a time with a pause between.
    Trickle { chunk: usize, pause: Duration },
    /// Compressed, then cut to half.
    TruncatedGzip,
    /// Nothing is ever sent.
    Never,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Rows in the body.
    pub(crate) rows: usize,
    /// For each row of the body the place just behind it.
    pub(crate) row_ends: Vec<usize>,
    /// Wait before anything is sent, after the data has been read.
    pub(crate) hold: Duration,
    pub(crate) delivery: Delivery,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            rows: 0,
            row_ends: Vec::new(),
            hold: Duration::ZERO,
            delivery: Delivery::Whole,
        }
    }

    pub(crate) fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut answer = Self::empty(status).header("Content-Type", content_type);
        answer.body = body.into();
        answer
    }

    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self::bytes(status, content_type, body.to_owned())
    }

    pub(crate) fn json(status: u16, content_type: &str, body: &serde_json::Value) -> Self {
        Self::bytes(status, content_type, body.to_string())
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
