//! The functions of the area `webhooks`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(webhooks::ENDPOINTS)
}
