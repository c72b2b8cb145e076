//! The functions of the area `billing`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(billing::ENDPOINTS)
}
