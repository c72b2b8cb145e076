//! Generated files are fresh, and what they are made from agrees with the template.

use runtime::Metric;

use crate::contract::template::template;
use crate::root::read;

#[test]
fn openapi_json_is_fresh() {
    let fresh = serde_json::to_string_pretty(&openapi::document().unwrap()).unwrap() + "\n";
    assert_eq!(read("infra/openapi.json"), fresh, "run `cargo xtask generate`");
}

#[test]
fn costs_md_is_fresh() {
    assert_eq!(read("docs/costs.md"), costs::document().unwrap(), "run `cargo xtask costs`");
}

#[test]
fn costs_are_of_the_functions_as_they_are() {
    let (_, measured) = costs::data().unwrap();
    for (id, costs::Function { memory_mb, storage_mb }) in measured.functions {
        let function = template()["Resources"][&id]["Properties"].clone();
        assert_eq!(function["MemorySize"].as_f64(), Some(memory_mb), "{id}");
        assert_eq!(function["EphemeralStorage"]["Size"].as_f64().unwrap_or(512.0), storage_mb, "{id}");
    }
    let global = template()["Globals"]["Function"].clone();
    assert_eq!(global["MemorySize"].as_f64(), Some(measured.job.control_memory_mb));
    assert_eq!(template()["Parameters"]["Architecture"]["Default"], "arm64");
    let of_kind = |kind: &str| {
        let all = template()["Resources"].as_object().unwrap().clone();
        all.values().filter(|resource| resource["Type"] == kind).count()
    };
    assert_eq!(measured.fixed.secrets, of_kind("AWS::SecretsManager::Secret") as f64);
    assert_eq!(measured.fixed.alarms, of_kind("AWS::CloudWatch::Alarm") as f64);
    assert_eq!(measured.fixed.dashboards, of_kind("AWS::CloudWatch::Dashboard") as f64);
    let series = |metric: Metric| metric.dimension().map_or(1, |dimension| dimension.values().len());
    assert_eq!(measured.fixed.metrics, Metric::ALL.into_iter().map(series).sum::<usize>() as f64);
}
