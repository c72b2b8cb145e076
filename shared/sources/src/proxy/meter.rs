//! A connection to a server, whose bytes are counted and bounded.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use super::Shared;
use crate::SourceError;

/// Reads and writes of one connection to a server.
pub(super) struct Metered {
    stream: TcpStream,
    shared: Arc<Shared>,
    /// Ends the connection when neither side says anything until then.
    silence: Pin<Box<Sleep>>,
}

impl Metered {
    pub(super) fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        let silence = Box::pin(sleep(shared.limits.silence));
        Self { stream, shared, silence }
    }

    /// Something moved.
    fn heard(&mut self) {
        let until = Instant::now() + self.shared.limits.silence;
        self.silence.as_mut().reset(until);
    }

    /// Nothing moves: an error when that has been so for too long.
    fn waited<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn within(&self, bytes: u64) -> io::Result<()> {
        let max = self.shared.limits.bytes_max;
        if bytes <= max {
            return Ok(());
        }
        let problem =
            SourceError::TooLarge(format!("more than {} MiB would have to be read", max.div_ceil(1 << 20)));
        self.shared.note(&problem);
        Err(io::Error::other(problem))
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                this.heard();
                let received = this.shared.received.add(buffer.filled().len() - before);
                Poll::Ready(this.within(received))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => this.waited(context),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(written)) => {
                this.heard();
                let sent = this.shared.sent.add(written);
                Poll::Ready(this.within(sent).map(|()| written))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => this.waited(context),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
