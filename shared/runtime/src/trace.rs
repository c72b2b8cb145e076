//! AWS X-Ray: each invocation that is about a job says so in the trace, as an annotation that the console can search for.
//!
//! Lambda makes the segment of a function itself; this adds one subsegment to it, by one datagram to the daemon that runs
//! beside the function (<https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html>). Nobody waits for it,
//! and one that is lost is missed by nobody. Calls to other services carry the trace on by themselves: the SDK sends
//! its header along.
//!
//! The SDK does that by its interceptor for recursion (`_X_AMZN_TRACE_ID`), so a request and the stages that it began
//! are one trace. The steps within a stage have no subsegments: the times of stages are metrics, steps are lines of the
//! log. The local cloud gives each invocation a trace of its own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use domain::ids::JobId;
use serde_json::json;

/// Where Lambda says that the daemon listens.
const DAEMON: &str = "AWS_XRAY_DAEMON_ADDRESS";

/// The address of the daemon, if there is one.
pub(crate) fn daemon() -> Option<SocketAddr> {
    std::env::var(DAEMON).ok()?.parse().ok()
}

/// Which trace an invocation belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceHeader {
    root: String,
    parent: Option<String>,
    sampled: bool,
}

impl TraceHeader {
    /// Reads `Root=1-…;Parent=…;Sampled=1`, the parts in any order, others among them.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let part = |name: &str| {
            let mut parts = header.split(';').filter_map(|part| part.trim().split_once('='));
            parts.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        Some(Self {
            root: part("Root")?,
            parent: part("Parent"),
            sampled: part("Sampled").as_deref() == Some("1"),
        })
    }

    /// The trace's own id.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }
}

/// Tells the daemon of work on `job`, which began at an instant of the epoch and took a while, both in milliseconds; not if
/// nobody looks at this trace.
pub(crate) fn send(daemon: SocketAddr, trace: &TraceHeader, handler: &str, job: &JobId, time: (i64, u64)) {
    let Some(document) = document(trace, handler, job, time) else { return };
    let any: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
    let _ = UdpSocket::bind(any).and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(document.as_bytes(), daemon)
    });
}

/// The datagram: a header that names the format, and the subsegment.
#[allow(clippy::cast_precision_loss)] // milliseconds of the epoch are exact in an f64
fn document(
    trace: &TraceHeader,
    handler: &str,
    job: &JobId,
    (begun_ms, took_ms): (i64, u64),
) -> Option<String> {
    let parent = trace.parent.as_ref().filter(|_| trace.sampled)?;
    let begun = begun_ms as f64 / 1000.0;
    let subsegment = json!({
        "trace_id": trace.root,
        "parent_id": parent,
        "id": format!("{:016x}", getrandom::u64().ok()?),
        "type": "subsegment",
        "name": handler,
        "start_time": begun,
        "end_time": begun + took_ms as f64 / 1000.0,
        "annotations": { "job_id": job },
    });
    Some(format!("{{\"format\":\"json\",\"version\":1}}\n{subsegment}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn a_header_reads_whatever_else_is_in_it() {
        let whole = TraceHeader::parse(HEADER).unwrap();
        assert_eq!(whole.root(), "1-5759e988-bd862e3fe1be46a994272793");
        let lineage = "Self=1-1-1; Sampled=1;Lineage=1:a87bd80c:0;Parent=53995c3f42cd8ad8;Root=";
        let other = TraceHeader::parse(&format!("{lineage}{}", whole.root())).unwrap();
        assert_eq!(other, whole);
        let alone = TraceHeader::parse("Root=1-2-3").unwrap();
        assert_eq!((alone.parent, alone.sampled), (None, false));
        for text in ["", "1-2-3", ";;=", "Parent=1;Sampled=1"] {
            assert_eq!(TraceHeader::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_daemon_is_told_which_job_it_was() {
        let daemon = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        daemon.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let (address, job) = (daemon.local_addr().unwrap(), JobId::from_random([7; 16]));
        let trace = TraceHeader::parse(HEADER).unwrap();
        let tell =
            |trace: &TraceHeader| send(address, trace, "media.process", &job, (1_800_000_000_500, 2250));
        // The first two are dropped (not sampled, no parent): the third arrives.
        tell(&TraceHeader { sampled: false, ..trace.clone() });
        tell(&TraceHeader { parent: None, ..trace.clone() });
        tell(&trace);
        let mut datagram = [0; 4096];
        let length = daemon.recv(&mut datagram).unwrap();
        let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
        let (header, segment) = text.split_once('\n').unwrap();
        assert_eq!(header, r#"{"format":"json","version":1}"#);
        let mut segment: serde_json::Value = serde_json::from_str(segment).unwrap();
        let id = segment["id"].take();
        assert!(id.as_str().is_some_and(|id| id.len() == 16 && u64::from_str_radix(id, 16).is_ok()), "{id}");
        let expected = json!({
            "trace_id": "1-5759e988-bd862e3fe1be46a994272793", "parent_id": "53995c3f42cd8ad8", "id": null,
            "type": "subsegment", "name": "media.process", "annotations": { "job_id": job },
            "start_time": 1_800_000_000.5, "end_time": 1_800_000_002.75,
        });
        assert_eq!(segment, expected);
    }
}
