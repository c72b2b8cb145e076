//! The functions of the area `media`; which one is told by the handler's name.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(media_functions::ENDPOINTS)
}
