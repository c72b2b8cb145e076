//! The functions of the area `pages`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(pages::ENDPOINTS)
}
