//! What is tried again, how often, and after which pause.
//!
//! A read is tried again four times, with growing, jittered pauses, when the connection breaks or the server answers
//! 408, 425, 429, 500, 502, 503 or 504. It goes on where it ended; without ranges it is read again up to there.
//! `Retry-After` is honoured as long as all pauses together are no longer than the silence that a server is allowed (8
//! s in a look, 20 s in a job).
//!
//! All parts must be of one version: `If-Range` where the server has a validator, else the length and the first bytes.
//! Validators that differ from machine to machine are one file if these agree. A range that is refused is asked for once
//! without; a part that begins too early is read up to the right place.
//!
//! A server that answers with another part or another encoding than asked for, stays silent, sends less than 4 KiB a
//! second, or never ends, is given up with a message for the person who gave the URL.
//! (`shared/sources/tests/direct.rs`, `tests/stack/misbehave.rs`.)

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tracing::info;

use crate::SourceError;

/// How often one read is tried again.
const RETRIES_MAX: u32 = 4;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Lets time pass.
pub trait Pauses: Debug + Send + Sync {
    /// Ends after `pause`.
    fn pause(&self, pause: Duration) -> BoxFuture<'static, ()>;
}

/// Pauses of real time.
#[derive(Debug)]
pub(crate) struct RealPauses;

impl Pauses for RealPauses {
    fn pause(&self, pause: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(pause))
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another one would fail as well.
    Final(SourceError),
    /// Another one may succeed, after the pause that the server asks for, if it does.
    Passing(SourceError, Option<Duration>),
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        Self::Final(error)
    }
}

/// The patience with one read.
#[derive(Debug)]
pub(crate) struct Patience {
    pauses: Arc<dyn Pauses>,
    retries: u32,
    /// How long all further pauses may be together.
    left: Duration,
    whole: Duration,
}

impl Patience {
    pub(crate) fn new(pauses: Arc<dyn Pauses>, whole: Duration) -> Self {
        Self { pauses, retries: 0, left: whole, whole }
    }

    /// Whether the try that comes now is the last one.
    pub(crate) const fn is_last(&self) -> bool {
        self.retries == RETRIES_MAX
    }

    /// The read got on: what failed before is forgotten.
    pub(crate) const fn renew(&mut self) {
        self.retries = 0;
        self.left = self.whole;
    }

    /// Waits until it may be tried again.
    ///
    /// # Errors
    /// The fault's own error, when it should not be.
    pub(crate) async fn wait(&mut self, fault: Fault) -> Result<(), SourceError> {
        let (error, asked) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Passing(error, asked) => (error, asked),
        };
        let pause = asked.unwrap_or_default().max(jittered(FIRST_PAUSE * 2_u32.pow(self.retries)));
        if self.retries == RETRIES_MAX || pause > self.left {
            return Err(error);
        }
        self.retries += 1;
        self.left -= pause;
        info!(reason = %error, pause_ms = pause.as_millis(), retries = self.retries, "source tried again");
        self.pauses.pause(pause).await;
        Ok(())
    }
}

/// Between half of `pause` and all of it, so that those who failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the whole pause does as well.
    let share = getrandom::fill(&mut random).map_or(255, |()| random[0]);
    pause / 2 + pause * u32::from(share) / 510
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<Duration>>);

    impl Pauses for Noted {
        fn pause(&self, pause: Duration) -> BoxFuture<'static, ()> {
            self.0.lock().unwrap().push(pause);
            Box::pin(async {})
        }
    }

    fn passing(asked: Option<u64>) -> Fault {
        Fault::Passing(SourceError::Incomplete, asked.map(Duration::from_secs))
    }

    #[tokio::test]
    async fn patience_ends() {
        let noted = Arc::new(Noted::default());
        let mut patience = Patience::new(noted.clone(), Duration::from_secs(20));
        for _ in 0..RETRIES_MAX {
            assert_eq!(patience.wait(passing(None)).await, Ok(()));
        }
        assert_eq!(patience.wait(passing(None)).await, Err(SourceError::Incomplete));
        for (n, &pause) in noted.0.lock().unwrap().iter().enumerate() {
            let longest = FIRST_PAUSE * (1 << n);
            assert!((longest / 2..=longest).contains(&pause), "{n}: {pause:?}");
        }
        patience.renew();
        assert_eq!(patience.wait(passing(None)).await, Ok(()));
    }

    #[tokio::test]
    async fn a_server_may_ask_for_some_patience_but_not_more() {
        let noted = Arc::new(Noted::default());
        let mut patience = Patience::new(noted.clone(), Duration::from_secs(20));
        assert_eq!(patience.wait(passing(Some(15))).await, Ok(()));
        assert_eq!(patience.wait(passing(Some(6))).await, Err(SourceError::Incomplete));
        assert_eq!(patience.wait(passing(Some(4))).await, Ok(()));
        assert_eq!(*noted.0.lock().unwrap(), [15, 4].map(Duration::from_secs));
        assert_eq!(patience.wait(Fault::Final(SourceError::Changed)).await, Err(SourceError::Changed));
    }
}
