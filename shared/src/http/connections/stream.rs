//! A connection as the HTTP library gets it: one request at a time, and only while it may be read.

use super::activity::Activity;
use super::head_lines::HeadLines;
use super::open::{Connections, Held};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once, also while they may not be given: so a caller's end is seen.
const PIECE: usize = 4 * 1024;

/// What runs over a TCP connection, secured or not.
pub trait OverTcp {
    /// The connection below.
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl OverTcp for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A connection that is watched.
#[derive(Debug)]
pub struct WatchedStream<T> {
    io: T,
    activity: Arc<Activity>,
    /// Read, and not given yet.
    kept: BytesMut,
    lines: HeadLines,
    /// Heads that may end before the library decodes again.
    heads: u8,
    _held: Option<Held>,
}

impl<T: OverTcp> WatchedStream<T> {
    /// Counts this connection among those of its listener; and where it comes from, if it has not gone.
    pub fn new(io: T, connections: &Arc<Connections>) -> (Self, Option<SocketAddr>) {
        let peer = io.tcp().peer_addr().ok();
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let (held, activity) = connections.enter(address);
        // The end of a reply does not wait for its begin to be acknowledged, which takes up to 40 ms.
        let _otherwise_later = io.tcp().set_nodelay(true);
        let stream = Self {
            io,
            activity,
            kept: BytesMut::new(),
            lines: HeadLines::default(),
            heads: 1,
            _held: held,
        };
        (stream, peer)
    }

    /// What its requests find among the data of their connection.
    pub(in crate::http) fn data(&self) -> ConnectionData {
        ConnectionData(Arc::clone(&self.activity))
    }

    /// What the caller never fetches does not stay in the system's memory.
    fn forget_unsent(&self) {
        if self.activity.is_cut() {
            let _gone = self.io.tcp().set_zero_linger();
        }
    }
}

/// Of one connection, for its requests.
#[derive(Debug, Clone)]
pub(in crate::http) struct ConnectionData(pub(super) Arc<Activity>);

impl<T: AsyncRead + OverTcp + Unpin> AsyncRead for WatchedStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.activity.ends_reading(cx.waker()) {
            this.forget_unsent();
            return Poll::Ready(Ok(()));
        }
        if this.kept.is_empty() {
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            let read = Pin::new(&mut this.io).poll_read(cx, &mut piece);
            if read.is_pending() {
                // The library reads until there is nothing, then decodes.
                this.heads = this.activity.heads_at_once();
            }
            ready!(read)?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.kept.extend_from_slice(piece.filled());
        }
        if !this.activity.may_read() {
            this.heads = this.activity.heads_at_once();
            return Poll::Pending;
        }
        let most = this.kept.len().min(buf.remaining());
        let given = this.lines.follow(&mut this.kept[..most], &mut this.heads);
        if given == 0 {
            this.heads = this.activity.heads_at_once();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        buf.put_slice(&this.kept[..given]);
        this.kept.advance(given);
        if this.kept.is_empty() {
            this.kept = BytesMut::new();
        }
        this.activity.note_received(given);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + OverTcp + Unpin> AsyncWrite for WatchedStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.activity.has_ended() {
            self.forget_unsent();
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.activity.note_blocked(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
