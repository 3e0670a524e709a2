//! A connection as the HTTP library gets it: read piece by piece, and only while it may be.

use super::heads::{self, Cut, Rest};
use super::reading::Reading;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of what was kept that are looked at together: what is given of them is little, and the rest is
/// looked at again.
const PIECE: usize = 4 * 1024;
/// Bytes read ahead of what may be given, so that a caller's end is seen.
const AHEAD: usize = 512;

/// A connection, secured or not.
#[derive(Debug)]
pub struct WatchedStream<T> {
    io: T,
    reading: Rc<Reading>,
    /// Read, and of it so many bytes were given.
    kept: Vec<u8>,
    given: usize,
    rest: Rest,
    at_line_start: bool,
    /// Since the library's last pause.
    head_was_given: bool,
}

impl<T> WatchedStream<T> {
    /// Of this connection.
    pub fn new(io: T) -> Self {
        Self {
            io,
            reading: Rc::default(),
            kept: Vec::new(),
            given: 0,
            rest: Rest::Nothing,
            at_line_start: true,
            head_was_given: false,
        }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &T {
        &self.io
    }

    pub(super) fn reading(&self) -> &Rc<Reading> {
        &self.reading
    }

    /// Read, and not given yet.
    fn left(&self) -> &[u8] {
        &self.kept[self.given..]
    }

    /// So many more bytes are given; of what was shown, these came after all that was kept.
    fn keep(&mut self, given: usize, shown: usize, filled: &[u8]) {
        let of_kept = given.min(shown);
        self.given += of_kept;
        if self.left().is_empty() {
            self.kept = filled[given..].to_vec();
            self.given = 0;
        } else {
            self.kept.extend_from_slice(&filled[shown..]);
        }
    }

    /// The library reads until there is nothing, then decodes: it has done so when it comes again.
    fn pause(&mut self) -> Poll<io::Result<()>> {
        self.head_was_given = false;
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> WatchedStream<T> {
    /// Looks whether the caller has gone, and keeps what it sent instead.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left().is_empty() {
            let mut ahead = [0; AHEAD];
            let mut ahead = ReadBuf::new(&mut ahead);
            match Pin::new(&mut self.io).poll_read(cx, &mut ahead) {
                Poll::Ready(Ok(())) if !ahead.filled().is_empty() => {
                    self.kept.extend_from_slice(ahead.filled());
                    self.rest = Rest::Later;
                }
                // The end, or nothing yet: then whatever comes wakes the library.
                seen => return seen,
            }
        }
        self.reading.hold_back(cx.waker());
        self.pause()
    }

    /// Shows what was kept, and what comes if that is not enough. Gives how many bytes were kept, and
    /// whether it is all there will be, or all there is room for.
    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<(usize, bool)>> {
        let begin = buf.filled().len();
        let length = self.left().len().min(buf.remaining()).min(PIECE);
        buf.put_slice(&self.left()[..length]);
        let is_all = self.rest != Rest::Later && length == self.left().len() && {
            if buf.remaining() > 0
                && let not_read @ (Poll::Pending | Poll::Ready(Err(_))) =
                    Pin::new(&mut self.io).poll_read(cx, buf)
            {
                buf.set_filled(begin);
                return not_read.map_ok(|()| (0, false));
            }
            buf.filled().len() == begin + length
        };
        Poll::Ready(Ok((length, is_all)))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.reading.is_allowed() {
            return this.look_ahead(cx);
        }
        let begin = buf.filled().len();
        loop {
            let (shown, is_all) = match this.fill(cx, buf) {
                Poll::Ready(filled) => filled?,
                Poll::Pending => return this.pause(),
            };
            let filled = &mut buf.filled_mut()[begin..];
            let cut = if is_all {
                Cut::all(filled.len(), this.head_was_given)
            } else {
                heads::cut(filled, this.at_line_start, this.head_was_given)
            };
            this.keep(cut.given, shown, filled);
            this.rest = match cut.rest {
                Rest::Nothing if !this.left().is_empty() => Rest::Later,
                rest => rest,
            };
            this.head_was_given = cut.head_was_given;
            if let Some(last) = filled[..cut.given].last() {
                this.at_line_start = *last == b'\n';
            }
            buf.set_filled(begin + cut.given);
            if cut.given > 0 || is_all {
                return Poll::Ready(Ok(()));
            }
            if this.rest == Rest::Later {
                cx.waker().wake_by_ref();
                return this.pause();
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.reading.note_blocked(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
