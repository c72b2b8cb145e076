//! The functions of the area `media`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(media_functions::ENDPOINTS)
}
