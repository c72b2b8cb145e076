//! Sign-in links and codes, and what happens when one is redeemed.
//!
//! Invariant: redeeming is one transaction. It uses up the link, opens the session, ends the one that the browser came
//! with and, for an address that comes for the first time, opens the account and grants its bonus. So no crash, repeat or
//! race redeems a link twice, opens two accounts for an address, or grants half a bonus or a second one; and nothing is
//! left to do, and to fail, once a link is used up.
//!
//! **The bonus** belongs to the mailbox, of which an address is one spelling (`domain::mailbox`). Where the terms grant none
//! at once, the account is opened all the same and remembers that its bonus waits:
//! [`Table::deposited`] is for whoever books deposits.
//!
//! A code is found by the address and the browser that asked for it, so nobody else's request puts another code in its
//! place, and nobody else's tries reach it. Tries are counted for the address (`domain::sign_in` says why that suffices) and
//! never for the link, which works whatever was tried.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    account::BonusTerms,
    email::EmailAddress,
    ids::{AccountId, SessionToken},
    ledger::EntryKind,
    rate::Decision,
    sign_in::{BrowserSecret, CODE_TRIES, SIGN_IN_LIFETIME_MS, SignInCode, SignInToken, same_digest},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{Account, random, still_open},
    keys::{self, Key},
    rate::{one_less, one_more},
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
    /// Always 0: a function of the release before asks for it.
    attempts: u32,
    expires_at: Timestamp,
    ttl: i64,
}

/// Which link the latest code belongs to that a browser has asked for an address.
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
    /// The latest code that was sent to an address for this browser.
    Code(&'a EmailAddress, &'a SignInCode, &'a BrowserSecret),
}

/// A link that is being redeemed.
struct Claim {
    token_digest: String,
    address: EmailAddress,
    /// Whether a try of the address's codes was counted for it.
    is_try: bool,
}

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// Whether it was opened just now.
    pub is_new: bool,
    /// Whether it was, and its bonus waits.
    pub bonus_waits: bool,
}

/// What becomes of the bonus of an account that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bonus {
    /// Its mailbox had one.
    Had,
    /// It is granted.
    Granted,
    /// It waits for the first deposit.
    Waits,
}

/// Why nobody is signed in. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// The proof is worth nothing: unknown, expired, redeemed before, or another browser's; nobody is told which.
    Worthless,
    /// The address's codes were tried too often. Its links work.
    TriedTooOften(Decision),
}

impl Table {
    /// Writes down a link and a code that are about to be sent to `address`, because `browser` has asked for them. Earlier
    /// links go on working, of this browser's codes only this one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue_sign_in(
        &self,
        address: &EmailAddress,
        (token, code): (&SignInToken, &SignInCode),
        browser: &BrowserSecret,
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
            self.update(&keys::address_sign_in(address, browser), latest)?,
        ];
        self.transact_until_done(&actions).await
    }

    /// Redeems a proof, opens the session of `session` and ends the one of `former`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sign_in(
        &self,
        proof: Proof<'_>,
        session: &SessionToken,
        former: Option<&SessionToken>,
        terms: BonusTerms,
        now: Timestamp,
    ) -> Result<Result<SignedIn, NotSignedIn>, StoreError> {
        let claim = match proof {
            Proof::Link(token) => self.claim_by_link(token, now).await?,
            Proof::Code(address, code, browser) => self.claim_by_code((address, browser), code, now).await?,
        };
        match claim {
            Ok(claim) => self.redeem(&claim, (session, former), terms, now).await,
            Err(refused) => Ok(Err(refused)),
        }
    }

    async fn claim_by_link(
        &self,
        token: &SignInToken,
        now: Timestamp,
    ) -> Result<Result<Claim, NotSignedIn>, StoreError> {
        let token_digest = token.digest();
        let record = self.living_sign_in(&token_digest, now).await?;
        let address = record.and_then(|record| EmailAddress::parse(&record.address).ok());
        let claim = address.map(|address| Claim { token_digest, address, is_try: false });
        Ok(claim.ok_or(NotSignedIn::Worthless))
    }

    /// A try is counted before it is looked at, so that no number of tries at once gets more of them. Where there is no
    /// code to try, none is counted: only whoever has asked for a mail can use up an address's tries.
    async fn claim_by_code(
        &self,
        (address, browser): (&EmailAddress, &BrowserSecret),
        code: &SignInCode,
        now: Timestamp,
    ) -> Result<Result<Claim, NotSignedIn>, StoreError> {
        let latest: Option<LatestSignIn> = self.get(&keys::address_sign_in(address, browser)).await?;
        let Some(LatestSignIn { token_digest }) = latest else { return Ok(Err(NotSignedIn::Worthless)) };
        let Some(record) = self.living_sign_in(&token_digest, now).await? else {
            return Ok(Err(NotSignedIn::Worthless));
        };
        let tries = self.count(address.as_str(), CODE_TRIES, now).await?;
        if !tries.allowed {
            return Ok(Err(NotSignedIn::TriedTooOften(tries)));
        }
        if !same_digest(&record.code_digest, &code.digest(&token_digest)) {
            return Ok(Err(NotSignedIn::Worthless));
        }
        Ok(Ok(Claim { token_digest, address: address.clone(), is_try: true }))
    }

    async fn living_sign_in(
        &self,
        token_digest: &str,
        now: Timestamp,
    ) -> Result<Option<SignInRecord>, StoreError> {
        let record: Option<SignInRecord> = self.get(&keys::sign_in(token_digest)).await?;
        Ok(record.filter(|record| now < record.expires_at))
    }

    async fn redeem(
        &self,
        claim: &Claim,
        (session, former): (&SessionToken, Option<&SessionToken>),
        terms: BonusTerms,
        now: Timestamp,
    ) -> Result<Result<SignedIn, NotSignedIn>, StoreError> {
        let mut attempts = Attempts::default();
        let mut too_many = false;
        loop {
            let account_key = keys::address_account(&claim.address);
            let bonus_keys = bonus_keys(&claim.address);
            let wanted: Vec<&Key> = std::iter::once(&account_key).chain(&bonus_keys).collect();
            let mut found = self.get_many(&wanted).await?.into_iter();
            let known: Option<AddressRecord> =
                found.next().flatten().map(serde_dynamo::from_item).transpose()?;
            let counts = terms.counts(&claim.address).filter(|_| !too_many);
            let bonus = match counts {
                _ if found.any(|had| had.is_some()) => Bonus::Had,
                Some(_) => Bonus::Granted,
                None => Bonus::Waits,
            };
            let is_new = known.is_none();
            let used_up =
                self.delete_if(&keys::sign_in(&claim.token_digest), alive(Changes::default(), now))?;
            let redeemed = Transaction::default().with(Role::Once, used_up);
            let tries = keys::rate(claim.address.as_str(), CODE_TRIES, now);
            let was_right = claim.is_try.then(|| self.update(&tries, one_less()));
            let redeemed = redeemed.and(was_right.transpose()?);
            let (account, redeemed) = match known {
                Some(AddressRecord { account }) => {
                    let seen = still_open(Changes::default().set("seen_at", &now)?);
                    let redeemed = redeemed.and([self.update(&keys::profile(&account), seen)?]);
                    (account, redeemed)
                }
                None => {
                    let account = Account::new(AccountId::from_random(random()?), Some(&claim.address), now);
                    let opened = self.opening_actions(account, &claim.address, bonus, terms).await?;
                    (opened.0, redeemed.join(opened.1))
                }
            };
            let opened = self.session_actions(session, &SessionRecord::opened(account.clone(), now))?;
            let redeemed = redeemed.and(opened).and(self.replacing_actions(former).await?);
            match self.transact(redeemed).await {
                Ok(()) => {
                    let bonus_waits = is_new && bonus == Bonus::Waits;
                    return Ok(Ok(SignedIn { account, is_new, bonus_waits }));
                }
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => {
                    return Ok(Err(NotSignedIn::Worthless));
                }
                Err(Refused::Conditions(failed)) if failed.has(Role::Count) => too_many = true,
                // Somebody else opened or closed the account meanwhile.
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// The actions that open an account, with its bonus if it is granted.
    async fn opening_actions(
        &self,
        mut account: Account,
        address: &EmailAddress,
        bonus: Bonus,
        terms: BonusTerms,
    ) -> Result<(AccountId, Transaction), StoreError> {
        let now = account.created_at;
        account.bonus_waits = bonus == Bonus::Waits;
        let owner = AddressRecord { account: account.id.clone() };
        let mut opened = Transaction::default()
            .and([self.create(&keys::address_account(address), &owner)?])
            .and([self.create(&keys::profile(&account.id), &account)?]);
        if bonus == Bonus::Granted {
            for (who, quota) in terms.counts(address).unwrap_or_default() {
                let count = self.update(&keys::rate(&who, quota, now), one_more(quota, now)?)?;
                opened = opened.with(Role::Count, count);
            }
            opened = opened.join(self.bonus_actions(&account.id, address, terms, now).await?);
        }
        Ok((account.id, opened))
    }

    /// The actions that grant an account its bonus, and remember that its mailbox had it.
    async fn bonus_actions(
        &self,
        account: &AccountId,
        address: &EmailAddress,
        terms: BonusTerms,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let record = self.create(&keys::address_bonus(&address.mailbox()), &BonusRecord { at: now })?;
        let mut actions = Transaction::default().and([record]);
        for (kind, amount) in terms.grants() {
            let before = self.wallet(account, kind).await?;
            let change = before.grant(EntryKind::SignupBonus, amount)?;
            let wallet = (account, kind);
            actions = actions.join(self.wallet_actions(wallet, before, &change, BONUS_REFERENCE, now).await?);
        }
        Ok(actions)
    }

    /// Remembers that an account has paid something in, and grants the bonus that has waited for that. Whoever books
    /// deposits calls this behind each of them: a repeat changes nothing. Whether a bonus was granted now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deposited(
        &self,
        id: &AccountId,
        terms: BonusTerms,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let account = self.account(id).await?.filter(|account| account.closed_at.is_none());
            let Some(account) = account.filter(|it| !it.has_deposited || it.bonus_waits) else {
                return Ok(false);
            };
            let address = account.email.as_deref().map(EmailAddress::parse).and_then(Result::ok);
            let mut grants = None;
            let mut paid = still_open(Changes::default().set("has_deposited", &true)?);
            if account.bonus_waits {
                paid = paid.remove("bonus_waits");
                paid = paid.when("attribute_exists(#bonus_waits)", ["bonus_waits"], []);
                if let Some(address) = &address {
                    // One by one: it is rare, and so nobody who books deposits needs another right.
                    let mut had = false;
                    for key in bonus_keys(address) {
                        had |= self.get::<serde_json::Value>(&key).await?.is_some();
                    }
                    grants =
                        if had { None } else { Some(self.bonus_actions(id, address, terms, now).await?) };
                }
            }
            let is_granted = grants.is_some();
            let paid = Transaction::default().and([self.update(&keys::profile(id), paid)?]);
            match self.transact(paid.join(grants.unwrap_or_default())).await {
                Ok(()) => return Ok(is_granted),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }
}

/// Where it stands that the mailbox of an address had its bonus.
fn bonus_keys(address: &EmailAddress) -> Vec<Key> {
    let mailbox = address.mailbox();
    let as_typed = (*address != mailbox).then(|| keys::address_bonus(address));
    as_typed.into_iter().chain([keys::address_bonus(&mailbox)]).collect()
}

/// Adds the condition that a link is there and not expired.
fn alive(change: Changes, now: Timestamp) -> Changes {
    change.when(
        "attribute_exists(pk) AND #expires_at > :now",
        ["expires_at"],
        [("now", AttributeValue::N(now.0.to_string()))],
    )
}
