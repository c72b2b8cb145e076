//! Who pays for a look with time.
//!
//! A request counts as one, whatever it sets off: a look that waits for a slow server, or starts a container, may take 20
//! seconds. So time is a quota of its own, of the account or of the client address. A look takes all the time that it may
//! need before it begins, and gives back what it did not use: so looks at the same time are bounded, too. The first seconds of
//! a look that this function makes itself go with the request, and most take no more: they cost no round trip.

use std::time::{Duration, Instant};

use domain::{
    ids::AccountId,
    rate::{self, Quota},
};
use runtime::{ApiRequest, App, AppError};
use store::rate::Who;
use tracing::warn;

use crate::ProbeError;

/// What a look of our own takes without being counted.
const GRACE: Duration = Duration::from_secs(2);

/// On whose behalf a source is looked at.
#[derive(Clone, Debug)]
pub struct Payer(Purse);

#[derive(Clone, Debug)]
enum Purse {
    Account(AccountId),
    Client(String),
}

impl Payer {
    /// An account.
    #[must_use]
    pub fn account(account: &AccountId) -> Self {
        Self(Purse::Account(account.clone()))
    }

    /// Whoever sends a request without a key.
    #[must_use]
    pub fn client(request: &ApiRequest) -> Self {
        Self(Purse::Client(request.client().map_or_else(|| "unknown".to_owned(), rate::client)))
    }

    fn who(&self) -> Who<'_> {
        match &self.0 {
            Purse::Account(account) => Who::Account(account),
            Purse::Client(client) => Who::Stranger(client),
        }
    }

    fn quota(&self, app: &App) -> Result<Quota, AppError> {
        Ok(match &self.0 {
            Purse::Account(_) => app.config().look_seconds()?,
            Purse::Client(_) => app.config().open_look_seconds()?,
        })
    }

    /// Does `work`, which takes no longer than `limit`, if there is so much time left.
    ///
    /// # Errors
    /// [`ProbeError::Limited`].
    pub async fn pays<T>(
        &self,
        app: &App,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, ProbeError> {
        let (table, quota, taken) = (app.table().map_err(AppError::from)?, self.quota(app)?, app.now());
        let seconds = whole_seconds(limit).min(quota.max);
        let limit = table.take(self.who(), quota, seconds, taken).await?;
        if !limit.allowed {
            return Err(ProbeError::Limited(limit));
        }
        let begun = Instant::now();
        let done = work.await;
        let rest = seconds.saturating_sub(whole_seconds(begun.elapsed()));
        if let Err(problem) = table.give_back(self.who(), quota, rest, (taken, app.now())).await {
            warn!(%problem, "seconds are not given back");
        }
        Ok(done)
    }

    /// As [`Payer::pays`], for work that can be broken off: it is paid for only if it takes longer than usual.
    pub(crate) async fn pays_beyond_grace<T>(
        &self,
        app: &App,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, ProbeError> {
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(GRACE, work.as_mut()).await {
            Ok(done) => Ok(done),
            Err(_) => self.pays(app, limit, work).await,
        }
    }
}

fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
