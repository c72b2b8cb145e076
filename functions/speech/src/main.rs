//! The functions of the area `speech`; the handler's name selects one.

fn main() -> Result<(), lambda_runtime::Error> {
    runtime::serve(speech_functions::ENDPOINTS)
}
