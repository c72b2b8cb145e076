//! The functions of the area `stages`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(stages::ENDPOINTS)
}
