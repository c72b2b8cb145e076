//! Transactions: actions that are carried out together or not at all, and why they were not.
//!
//! An action whose condition says more than "try again" has a name, its [`Role`]: whoever adds or leaves out an action moves
//! no other one's meaning.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem},
};
use domain::ledger::Wallet;

use crate::{
    flows,
    table::{Attempts, Item, StoreError, Table},
};

/// What an action is for, where it matters which condition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The record that makes sure that this happens once.
    Once,
    /// The place of a job, in a slot or in the queue.
    Place,
    /// What an account may do in a window.
    Count,
    /// The answer to an `Idempotency-Key`.
    Answer,
    /// What may be spent with a key in a day.
    Cap,
    /// A wallet.
    Wallet,
    /// An account's profile.
    Profile,
    /// A clip.
    Clip,
    /// What an account's clips take up.
    Sums,
    /// All others: if only these fail, something has changed since it was read.
    Other,
}

/// Actions that are carried out together or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    actions: Vec<TransactWriteItem>,
    /// Of each action.
    roles: Vec<Role>,
}

impl Transaction {
    /// The same with one more action.
    pub(crate) fn with(mut self, role: Role, action: TransactWriteItem) -> Self {
        self.actions.push(action);
        self.roles.push(role);
        self
    }

    /// The same with more actions that need no name.
    pub(crate) fn and(self, actions: impl IntoIterator<Item = TransactWriteItem>) -> Self {
        actions.into_iter().fold(self, |so_far, action| so_far.with(Role::Other, action))
    }

    /// Both together.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.actions.extend(other.actions);
        self.roles.extend(other.roles);
        self
    }
}

/// The actions whose conditions failed, with their items as they stand: empty where there is none.
#[derive(Debug)]
pub(crate) struct Failed(Vec<(Role, Item)>);

impl Failed {
    /// Whether the condition of this role failed.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.iter().any(|(failed, _)| *failed == role)
    }

    /// The item of this role, if its condition failed.
    pub(crate) fn item(&self, role: Role) -> Option<&Item> {
        self.0.iter().find(|(failed, _)| *failed == role).map(|(_, item)| item)
    }

    /// The wallet as it stands, if its condition failed and it is there.
    pub(crate) fn wallet(&self) -> Result<Option<Wallet>, StoreError> {
        let item = self.item(Role::Wallet).filter(|item| !item.is_empty());
        Ok(item.map(|item| serde_dynamo::from_item(item.clone())).transpose()?)
    }
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Conditions that failed.
    Conditions(Failed),
    /// Another transaction holds an item; a repeat may work.
    Conflict,
    /// Anything else.
    Error(StoreError),
}

impl Table {
    /// Carries out all actions or none.
    ///
    /// The client request token is this call's own: DynamoDB knows by it the SDK's repeats of the call after a lost
    /// answer. A token made from what is decided would also be that of another caller who decides the same at the
    /// same time, and tell both of them that they were first.
    pub(crate) async fn transact(&self, transaction: Transaction) -> Result<(), Refused> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| Refused::Error(StoreError::Malformed(error.to_string())))?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let Transaction { actions, roles } = transaction;
        let moved = flows::of(&actions);
        let outcome = self
            .client
            .transact_write_items()
            .client_request_token(token)
            .set_transact_items(Some(actions))
            .send()
            .await;
        match outcome {
            Ok(_) => {
                self.flows.add(&moved);
                Ok(())
            }
            Err(error) => Err(refused(error, &roles)),
        }
    }

    /// Carries out actions without conditions, again when another transaction holds one of the items.
    pub(crate) async fn transact_until_done(&self, actions: &[TransactWriteItem]) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            match self.transact(Transaction::default().and(actions.to_vec())).await {
                Ok(()) => return Ok(()),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }
}

fn refused(error: SdkError<TransactWriteItemsError>, roles: &[Role]) -> Refused {
    let reasons: Option<Vec<CancellationReason>> = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons.clone()
        }
        Some(TransactWriteItemsError::TransactionInProgressException(_)) => return Refused::Conflict,
        _ => None,
    };
    let Some(reasons) = reasons else {
        return Refused::Error(StoreError::aws("TransactWriteItems")(error));
    };
    let is = |code: &'static str| move |reason: &CancellationReason| reason.code.as_deref() == Some(code);
    if reasons.iter().any(is("ConditionalCheckFailed")) {
        let failed = roles.iter().zip(reasons).filter(|(_, reason)| is("ConditionalCheckFailed")(reason));
        return Refused::Conditions(Failed(
            failed.map(|(role, reason)| (*role, reason.item.unwrap_or_default())).collect(),
        ));
    }
    let passing = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    if passing.into_iter().any(|code| reasons.iter().any(is(code))) {
        return Refused::Conflict;
    }
    Refused::Error(StoreError::aws("TransactWriteItems")(error))
}
