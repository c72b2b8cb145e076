//! The functions of the area `webhooks`; which one is told by the handler's name.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(webhooks::ENDPOINTS)
}
