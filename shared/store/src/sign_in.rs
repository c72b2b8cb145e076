//! Sign-in links and codes, and what happens when one is redeemed.
//!
//! Invariant: redeeming is one transaction. It uses up the link, opens the session, ends the one that the browser came
//! with and, for an address that comes for the first time, opens the account and grants its bonus. So no crash, repeat or
//! race redeems a link twice, opens two accounts for an address, or grants half a bonus or a second one; and nothing is
//! left to do, and to fail, once a link is used up.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    account::SIGNUP_GRANTS,
    email::EmailAddress,
    ids::{AccountId, SessionToken},
    ledger::{EntryKind, Wallet},
    sign_in::{CODE_ATTEMPTS_MAX, SIGN_IN_LIFETIME_MS, SignInCode, SignInToken, same_digest},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{Account, random, still_open},
    keys,
    sessions::SessionRecord,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
};

/// What the bonus's ledger entries refer to. It names no address: the rows outlive the account's personal data.
const BONUS_REFERENCE: &str = "signup";

/// What is stored of a link and its code, under the digest of the link's token.
#[derive(Clone, Serialize, Deserialize)]
struct SignInRecord {
    address: String,
    code_digest: String,
    /// How often the code was tried.
    attempts: u32,
    expires_at: Timestamp,
    ttl: i64,
}

/// Which link the latest code of an address belongs to.
#[derive(Serialize, Deserialize)]
struct LatestSignIn {
    token_digest: String,
}

/// Whose address it is.
#[derive(Serialize, Deserialize)]
struct AddressRecord {
    account: AccountId,
}

/// That an address had its bonus. Without the account, which may be erased.
#[derive(Serialize, Deserialize)]
struct BonusRecord {
    at: Timestamp,
}

/// What somebody shows who wants to be signed in.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// The secret of a link.
    Link(&'a SignInToken),
    /// The latest code that was sent to an address.
    Code(&'a EmailAddress, &'a SignInCode),
}

/// A link that is being redeemed.
struct Claim {
    token_digest: String,
    address: EmailAddress,
    /// How many attempts the link may have behind it.
    attempts_max: u32,
}

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Whether it was opened just now.
    pub is_new: bool,
}

impl Table {
    /// Writes down a link and a code that are about to be sent to `address`. Earlier links go on working, of the
    /// codes only this one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue_sign_in(
        &self,
        address: &EmailAddress,
        (token, code): (&SignInToken, &SignInCode),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (token_digest, expires_at) = (token.digest(), now.plus_ms(SIGN_IN_LIFETIME_MS));
        let ttl = expires_at.epoch_seconds();
        let record = SignInRecord {
            address: address.as_str().to_owned(),
            code_digest: code.digest(&token_digest),
            attempts: 0,
            expires_at,
            ttl,
        };
        let latest = Changes::default().set("token_digest", &token_digest)?.set(keys::TTL, &ttl)?;
        let actions = [
            self.create(&keys::sign_in(&token_digest), &record)?,
            self.update(&keys::address_sign_in(address), latest)?,
        ];
        self.transact_until_done(&actions).await
    }

    /// Redeems a proof, opens the session of `session` and ends the one of `former`. `None`, and nothing has changed, if the proof is worth nothing: unknown, expired,
    /// redeemed before, or tried too often; nobody is told which.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(
        &self,
        proof: Proof<'_>,
        session: &SessionToken,
        former: Option<&SessionToken>,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        let claim = match proof {
            Proof::Link(token) => self.claim_by_link(token, now).await?,
            Proof::Code(address, code) => self.claim_by_code(address, code, now).await?,
        };
        match claim {
            Some(claim) => self.redeem(&claim, session, former, now).await,
            None => Ok(None),
        }
    }

    async fn claim_by_link(&self, token: &SignInToken, now: Timestamp) -> Result<Option<Claim>, StoreError> {
        let token_digest = token.digest();
        let record: Option<SignInRecord> = self.get(&keys::sign_in(&token_digest)).await?;
        let alive = record.filter(|record| now < record.expires_at && record.attempts < CODE_ATTEMPTS_MAX);
        let address = alive.and_then(|record| EmailAddress::parse(&record.address).ok());
        Ok(address.map(|address| Claim { token_digest, address, attempts_max: CODE_ATTEMPTS_MAX - 1 }))
    }

    /// An attempt is counted before it is looked at, so that no number of attempts at once gets more of them.
    async fn claim_by_code(
        &self,
        address: &EmailAddress,
        code: &SignInCode,
        now: Timestamp,
    ) -> Result<Option<Claim>, StoreError> {
        let latest: Option<LatestSignIn> = self.get(&keys::address_sign_in(address)).await?;
        let Some(LatestSignIn { token_digest }) = latest else { return Ok(None) };
        let attempt = alive(Changes::default().count("attempts"), now, CODE_ATTEMPTS_MAX - 1);
        let Some(item) = self.update_one(&keys::sign_in(&token_digest), attempt).await? else {
            return Ok(None);
        };
        let record: SignInRecord = serde_dynamo::from_item(item)?;
        if !same_digest(&record.code_digest, &code.digest(&token_digest)) {
            return Ok(None);
        }
        Ok(Some(Claim { token_digest, address: address.clone(), attempts_max: CODE_ATTEMPTS_MAX }))
    }

    async fn redeem(
        &self,
        claim: &Claim,
        session: &SessionToken,
        former: Option<&SessionToken>,
        now: Timestamp,
    ) -> Result<Option<SignedIn>, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let wanted = [&keys::address_account(&claim.address), &keys::address_bonus(&claim.address)];
            let [known, bonus] = self.get_all(wanted).await?;
            let known: Option<AddressRecord> = known.map(serde_dynamo::from_item).transpose()?;
            let is_new = known.is_none();
            let used_up = alive(Changes::default(), now, claim.attempts_max);
            let used_up = self.delete_if(&keys::sign_in(&claim.token_digest), used_up)?;
            let redeemed = Transaction::default().with(Role::Once, used_up);
            let (account, redeemed) = match known {
                Some(AddressRecord { account }) => {
                    let seen = still_open(Changes::default().set("seen_at", &now)?);
                    let redeemed = redeemed.and([self.update(&keys::profile(&account), seen)?]);
                    (account, redeemed)
                }
                None => {
                    let account = Account::new(AccountId::from_random(random()?), Some(&claim.address), now);
                    let opened = self.opening_actions(&account, &claim.address, bonus.is_none()).await?;
                    (account.id, redeemed.join(opened))
                }
            };
            let opened = self.session_actions(session, &SessionRecord::opened(account.clone(), now))?;
            let redeemed = redeemed.and(opened).and(self.replacing_actions(former).await?);
            match self.transact(redeemed).await {
                Ok(()) => return Ok(Some(SignedIn { account, is_new })),
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => return Ok(None),
                // Somebody else opened or closed the account meanwhile.
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// The actions that open an account, with its bonus if the address has not had one.
    async fn opening_actions(
        &self,
        account: &Account,
        address: &EmailAddress,
        with_bonus: bool,
    ) -> Result<Transaction, StoreError> {
        let now = account.created_at;
        let owner = AddressRecord { account: account.id.clone() };
        let mut opened = Transaction::default()
            .and([self.create(&keys::address_account(address), &owner)?])
            .and([self.create(&keys::profile(&account.id), account)?]);
        if with_bonus {
            opened = opened.and([self.create(&keys::address_bonus(address), &BonusRecord { at: now })?]);
            for (kind, amount) in SIGNUP_GRANTS {
                let empty = Wallet::default();
                let change = empty.grant(EntryKind::SignupBonus, amount)?;
                let wallet = (&account.id, kind);
                opened =
                    opened.join(self.wallet_actions(wallet, empty, &change, BONUS_REFERENCE, now).await?);
            }
        }
        Ok(opened)
    }
}

/// Adds the condition that a link is there, not expired, and has at most `attempts_max` attempts behind it.
fn alive(change: Changes, now: Timestamp, attempts_max: u32) -> Changes {
    change.when(
        "attribute_exists(pk) AND #expires_at > :now AND #attempts <= :attempts_max",
        ["expires_at", "attempts"],
        [
            ("now", AttributeValue::N(now.0.to_string())),
            ("attempts_max", AttributeValue::N(attempts_max.to_string())),
        ],
    )
}
