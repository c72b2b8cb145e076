//! The functions of the area `pages`; which one is told by the handler's name.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(pages::ENDPOINTS)
}
