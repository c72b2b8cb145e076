//! docs/costs.md and the state machines are fresh, and what it is made from agrees with the template.

use runtime::{Dimension, Metric};

use crate::contract::metrics::SWEEPERS;
use crate::contract::template::{AREAS, template};
use crate::root::{read, root};

#[test]
fn state_machines_are_fresh() {
    let machines = generate::machine::files(&root()).unwrap();
    assert!(!machines.is_empty());
    for generate::File { path, text } in machines {
        assert_eq!(read(path.to_str().unwrap()), text, "run `cargo xtask generate`");
    }
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
    about("alarms", measured.fixed.alarms, of_kind("AWS::CloudWatch::Alarm"));
    assert_eq!(measured.fixed.dashboards, of_kind("AWS::CloudWatch::Dashboard") as f64);
    let series = |metric: Metric| match metric.dimension() {
        // One at a time, and none at all without errors.
        Some(Dimension::Release) => 0,
        Some(Dimension::Area) if metric == Metric::ColdStarts => AREAS.len(),
        Some(Dimension::Area) => SWEEPERS.len(),
        Some(dimension) => dimension.values().len(),
        None => 1,
    };
    about("metrics", measured.fixed.metrics, Metric::ALL.into_iter().map(series).sum());
}

/// A few endpoints more change a bill by cents: it may be a tenth off before somebody has to count anew.
fn about(what: &str, written: f64, counted: usize) {
    let counted = counted as f64;
    assert!(
        (written - counted).abs() <= counted / 10.0,
        "there are {counted} {what}: say so in infra/costs/data/measured.json, then run `cargo xtask costs`"
    );
}
