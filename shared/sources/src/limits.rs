//! Bounds of what is read from a source, and the count of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::SourceError;

/// Least speed of a source, in bytes a second, over a time as long as its silence may be. A sound track of 32 kbit/s
/// comes as fast as it plays.
const FLOOR_BYTES_PER_SECOND: u64 = 4 << 10;

/// Bounds of one client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest silence of a server, and the longest that all the pauses together may be that it asks for.
    pub silence: Duration,
    /// Most bytes read from one source.
    pub bytes_max: u64,
}

/// Counts the bytes of bodies that were read, shared between the clones of a file.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<AtomicU64>);

impl Traffic {
    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// Tells a slow source from one that only keeps the connection busy. Only the time counts that we wait for it: what
/// we do with the bytes in between does not count.
#[derive(Debug)]
pub(crate) struct Pace {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) const fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0 }
    }

    /// `bytes` came after a wait.
    ///
    /// # Errors
    /// [`SourceError::TooSlow`] if too few came in the window that is over now.
    pub(crate) fn heard(&mut self, waited: Duration, bytes: usize) -> Result<(), SourceError> {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return Ok(());
        }
        let floor = self.waited.as_secs().saturating_mul(FLOOR_BYTES_PER_SECOND);
        let is_slow = self.bytes < floor;
        *self = Self::new(self.window);
        if is_slow { Err(SourceError::TooSlow) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(20);

    #[test]
    fn a_byte_now_and_then_is_too_slow() {
        let mut pace = Pace::new(WINDOW);
        let heard: Vec<_> = (0..7).map(|_| pace.heard(Duration::from_secs(3), 1)).collect();
        assert!(heard[..6].iter().all(Result::is_ok), "{heard:?}");
        assert_eq!(heard[6], Err(SourceError::TooSlow));
    }

    #[test]
    fn a_slow_line_and_a_pause_are_not() {
        let mut pace = Pace::new(WINDOW);
        for _ in 0..1000 {
            assert_eq!(pace.heard(Duration::from_secs(1), 5000), Ok(()));
        }
        for _ in 0..10 {
            assert_eq!(pace.heard(Duration::from_secs(19), 64 << 10), Ok(()));
            assert_eq!(pace.heard(Duration::from_secs(1), 64 << 10), Ok(()));
        }
    }
}
