//! Any bytes as a file of which a span is wanted: reading it never panics, and never asks for bytes that are not there.

use bytes::Bytes;
use domain::{cut::Span, time::MediaTime};
use media::mp4::{Index, Part, ReadAt, SpanFile, Wanted};

/// A file in memory.
struct File(Bytes);

impl ReadAt for File {
    type Error = ();

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, ()> {
        let (start, end) = (usize::try_from(offset).unwrap(), usize::try_from(offset + len).unwrap());
        assert!(end <= self.0.len(), "a read beyond the end of the file");
        Ok(self.0.slice(start..end))
    }
}

/// Four bytes of start, two of length, both in milliseconds, two that say what is wanted; then the file.
pub(crate) async fn read(data: &[u8]) {
    let Some((&[a, b, c, d, e, f, wanted, _], file)) = data.split_first_chunk() else { return };
    let start = MediaTime(i64::from(u32::from_be_bytes([a, b, c, d])) * 1000);
    let span = Span { start, end: MediaTime(start.0 + 1 + i64::from(u16::from_be_bytes([e, f])) * 1000) };
    let wanted = Wanted { video: wanted & 1 == 0, audio: wanted & 2 == 0 };
    let file = File(Bytes::copy_from_slice(file));
    for part in [Part::Whole, Part::Span(span), Part::Description] {
        if let Ok(index) = Index::read_part(&file, part).await {
            let _ = index.info();
            if let Ok(plan) = SpanFile::plan(&index, span, wanted) {
                read_back(&file, &plan).await;
            }
        }
    }
}

/// The local file is what its plan says, and can be read as any other file.
async fn read_back(file: &File, plan: &SpanFile) {
    let mut local = plan.header.clone();
    let mut end = 0;
    for range in &plan.ranges {
        assert!(range.start < range.end && (end == 0 || end < range.start), "ranges rise and do not touch");
        end = range.end;
        local.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
    }
    assert_eq!(local.len() as u64, plan.bytes_total);
    let _ = Index::read(&File(local.into())).await.map(|index| index.info());
}
