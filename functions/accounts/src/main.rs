//! The functions of the area `accounts`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(accounts::ENDPOINTS)
}
