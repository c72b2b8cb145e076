//! Generated files are fresh.

use crate::root::read;

#[test]
fn openapi_json_is_fresh() {
    let fresh = serde_json::to_string_pretty(&openapi::document().unwrap()).unwrap() + "\n";
    assert_eq!(read("infra/openapi.json"), fresh, "run `cargo xtask generate`");
}
