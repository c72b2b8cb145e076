//! What the table does not tell of the endpoints of the area `accounts`.

use accounts::{begin, close, create_key, delete_key, get, list_keys, logout, transactions, update, verify};

use crate::{Operation, named};

pub(crate) fn operation(handler: &str) -> Option<Operation> {
    let plain = Operation::plain;
    Some(match handler {
        "accounts.signup" => Operation {
            request: named::<begin::SignInRequest>(),
            problems: &[400, 403, 413, 415],
            ..plain("Open an account: sends a link and a code by mail", named::<begin::Sent>())
        },
        "accounts.login" => Operation {
            request: named::<begin::SignInRequest>(),
            problems: &[400, 403, 413, 415],
            ..plain("Sign in: sends a link and a code by mail", named::<begin::Sent>())
        },
        "accounts.page" => plain("The page that a mail's link leads to (HTML)", None),
        "accounts.verify" => Operation {
            request: named::<verify::VerifyRequest>(),
            problems: &[400, 401, 403, 413, 415],
            ..plain(
                "Sign in with the link's token, or with the code; sets the session's cookie",
                named::<verify::Verified>(),
            )
        },
        "accounts.logout" => Operation {
            problems: &[403],
            ..plain("End this browser's session", named::<logout::SignedOut>())
        },
        "accounts.list_keys" => plain("List the API keys", named::<list_keys::KeyList>()),
        "accounts.create_key" => Operation {
            request: named::<create_key::KeyRequest>(),
            problems: &[400, 403, 409, 413, 415],
            ..plain("Make an API key; it is shown this once", named::<create_key::MadeKey>())
        },
        "accounts.delete_key" => {
            Operation { problems: &[403, 404], ..plain("End an API key", named::<delete_key::DeletedKey>()) }
        }
        "accounts.get" => plain("Who is signed in", named::<get::AccountView>()),
        "accounts.update" => Operation {
            request: named::<update::AccountChange>(),
            problems: &[400, 403, 413, 415],
            ..plain("Change settings; what is left out stays", named::<get::AccountView>())
        },
        "accounts.close" => Operation {
            problems: &[403],
            ..plain("Delete the account, with its keys, clips and personal data", named::<close::Closed>())
        },
        "accounts.transactions" => Operation {
            query: &[
                ("cursor", "string", "`next_cursor` of the page before"),
                ("limit", "integer", "1 to 200 rows, 50 if left out"),
                ("wallet", "string", "Only this wallet: `usd`, `edit` or `track`"),
                ("type", "string", "Only this type, for example `charge`"),
            ],
            problems: &[400],
            ..plain(
                "What became of the money, newest first; as CSV with `Accept: text/csv`",
                named::<transactions::TransactionPage>(),
            )
        },
        "accounts.transaction" => {
            Operation { problems: &[404], ..plain("One transaction", named::<transactions::Transaction>()) }
        }
        _ => return None,
    })
}
