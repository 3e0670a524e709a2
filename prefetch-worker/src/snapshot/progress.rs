//! What this process has read of a warehouse, for those who look while it reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one warehouse.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    rows: AtomicU64,
    pages: AtomicU64,
    lines: AtomicU64,
}

impl Progress {
    /// Rows of complete items read so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Lines written so far.
    pub(crate) fn lines(&self) -> u64 {
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
