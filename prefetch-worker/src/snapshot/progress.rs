//! What this process has read of a warehouse, for everybody who wants to look while it reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one warehouse.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    pages: AtomicU64,
    lines: AtomicU64,
}

impl Progress {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows of complete items read so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whole pages read so far.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Lines written so far.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_lines(&self, lines: u64) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn page_done(&self) {
        self.pages.fetch_add(1, Ordering::Relaxed);
    }
}
