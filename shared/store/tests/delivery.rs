//! What is handed out in a day, against a real DynamoDB implementation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use domain::account::BonusTerms;
use domain::delivery::DeliveryBounds;
use domain::ids::{AccountId, ApiKey, JobId};
use domain::job::Output;
use domain::money::Amount;
use domain::quality::Format;
use domain::rate::Decision;
use domain::time::{MediaTime, Timestamp};
use store::Table;
use store::accounts::Account;
use store::clips::Clip;
use store::delivery::Parcel;

const MIDNIGHT: Timestamp = Timestamp(1_800_057_600_000);
const BOUNDS: DeliveryBounds = DeliveryBounds { bonus_gb: 50, paid_gb: 1000 };

fn clip(number: u8, bytes: u64) -> Clip {
    let id = JobId::from_random([number; 16]);
    let output = Output {
        object_key: store::keys::clip_object(&id, "mp4"),
        poster_key: None,
        file_name: "a.mp4".to_owned(),
        format: Format::Mp4,
        size_bytes: bytes,
        duration: MediaTime(1),
        picture: None,
        method: "copy".to_owned(),
        span: None,
        sprite: None,
        warnings: Vec::new(),
    };
    Clip {
        id,
        account: account(),
        name: "a.mp4".to_owned(),
        source_title: "a".to_owned(),
        output,
        created_at: MIDNIGHT,
        expires_at: None,
        rests_until: None,
    }
}

fn account() -> AccountId {
    AccountId::from_random([3; 16])
}

async fn hand_out(table: &Table, clip: &Clip, now: Timestamp) -> Result<(), Decision> {
    table.hand_out(&Parcel::of_clip(clip), BOUNDS, now).await.unwrap()
}

/// A clip's day is a hundred times its size, or 20 GB; an account's is 50 GB before its first deposit.
#[tokio::test]
async fn what_is_handed_out_in_a_day_is_bounded() {
    let table = kit::table().await;
    let opened = Account::new(account(), None, MIDNIGHT);
    assert!(table.open_account(&opened, &ApiKey::from_random([4; 32]), "test").await.unwrap());
    let small = clip(1, 200_000_000);
    for _ in 0..100 {
        assert_eq!(hand_out(&table, &small, MIDNIGHT).await, Ok(()));
    }
    let refused = hand_out(&table, &small, MIDNIGHT).await.unwrap_err();
    assert_eq!((refused.allowed, refused.retry_after), (false, 86_400));
    let tomorrow = MIDNIGHT.plus_ms(86_400_000);
    assert_eq!(hand_out(&table, &small, tomorrow).await, Ok(()));
    // 30 GB of the account's day are left: 7 times 4 GB.
    let large = clip(2, 4_000_000_000);
    for _ in 0..7 {
        assert_eq!(hand_out(&table, &large, MIDNIGHT).await, Ok(()));
    }
    assert!(hand_out(&table, &large, MIDNIGHT).await.is_err());
    let terms = BonusTerms::new(Amount::cents(500), 3, 50);
    assert!(!table.deposited(&account(), terms, MIDNIGHT).await.unwrap(), "no bonus waits");
    assert_eq!(hand_out(&table, &large, MIDNIGHT).await, Ok(()));
}

/// What rests is refused without a look at any count, until midnight.
#[tokio::test]
async fn what_rests_comes_back() {
    let table = kit::table().await;
    let resting = Clip { rests_until: Some(MIDNIGHT), ..clip(1, 1) };
    let refused = hand_out(&table, &resting, MIDNIGHT.plus_ms(-60_000)).await.unwrap_err();
    assert_eq!(refused.retry_after, 60);
    assert_eq!(hand_out(&table, &resting, MIDNIGHT).await, Ok(()));
}
