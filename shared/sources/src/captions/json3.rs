//! YouTube's own format: events with words.

use domain::time::MediaTime;
use serde_json::Value;

use super::{SEGMENTS_MAX, Segment, plain::plain};

/// Reads `json3`. What is not understood is left out.
#[must_use]
pub fn json3(text: &str) -> Vec<Segment> {
    let root: Value = serde_json::from_str(text).unwrap_or_default();
    let events = root.get("events").and_then(Value::as_array);
    events.into_iter().flatten().filter_map(event).take(SEGMENTS_MAX + 1).collect()
}

fn event(event: &Value) -> Option<Segment> {
    let ms = |name: &str| {
        let ms = event.get(name)?;
        ms.as_i64().or_else(|| ms.as_str()?.parse().ok()).filter(|ms| (0..=MS_MAX).contains(ms))
    };
    let start = ms("tStartMs")?;
    let words = event.get("segs")?.as_array()?.iter().filter_map(|word| word.get("utf8")?.as_str());
    // The words of an automatic caption carry their own spaces.
    let text = plain(&words.collect::<String>());
    let end = start + ms("dDurationMs").unwrap_or_default();
    Some(Segment { start: MediaTime(start * 1000), end: MediaTime(end * 1000), text })
}

/// A thousand hours, in milliseconds.
const MS_MAX: i64 = 3_600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_segments() {
        let text = r#"{"wireMagic": "pb3", "pens": [{}], "events": [
            {"tStartMs": 0, "dDurationMs": 3500, "id": 1, "wpWinPosId": 1},
            {"tStartMs": 0, "dDurationMs": 3500, "wWinId": 1, "segs": [{"utf8": "Hello"}, {"utf8": " everyone", "tOffsetMs": 400}]},
            {"tStartMs": 2000, "dDurationMs": 1500, "aAppend": 1, "segs": [{"utf8": "\n"}]},
            {"tStartMs": "3500", "segs": [{"utf8": "caf\u00e9 \u4f60\u597d\n&amp; more"}]},
            {"tStartMs": -5, "segs": [{"utf8": "before time"}]}, {"segs": []}, null, 3
        ]}"#;
        let told: Vec<_> = json3(text).into_iter().map(|s| (s.start.0, s.end.0, s.text)).collect();
        assert_eq!(
            told,
            [
                (0, 3_500_000, "Hello everyone".to_owned()),
                (2_000_000, 3_500_000, String::new()),
                (3_500_000, 3_500_000, "café 你好 & more".to_owned())
            ]
        );
        for nonsense in
            ["", "[]", "{", r#"{"events": {}}"#, r#"{"events": [{"tStartMs": 1e99, "segs": [{}]}]}"#]
        {
            assert!(json3(nonsense).is_empty(), "{nonsense}");
        }
    }
}
