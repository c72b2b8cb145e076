//! The functions of the area `clips`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(clips::ENDPOINTS)
}
