//! MP4 and QuickTime files (ISO/IEC 14496-12): the index of a source, and the small file that a span makes.
//!
//! Reading goes from a [`ReadAt`] to an [`Index`]; planning from an [`Index`] and a span to a [`SpanFile`], which
//! names the bytes to fetch. Nothing here reads a sample's bytes. Of a fragmented file only the fragments' headers
//! are read, and of these only as many as a [`Part`] needs, where the file says where they are.
//!
//! The reader and writer are our own. `mp4-atom` decodes every table into vectors of structs and every `stsd` into
//! typed codec boxes, which are then written anew: bytes of a codec it does not model are lost, and a decoder sees
//! another configuration than the source's. Here a `stsd` is copied verbatim and a table is read in place, once its
//! size has been checked against the box around it.

mod aac;
pub(crate) mod boxes;
mod edit;
mod filling;
mod fragments;
mod index;
mod mend;
pub(crate) mod movie;
mod part;
mod pieces;
mod ranges;
mod read;
mod run;
mod samples;
mod sounds;
mod span;
mod subsegments;
mod text;
mod track;
mod walk;
mod write;

pub use index::{Index, IndexError};
pub use part::Part;
pub use pieces::{Pieces, Remembering};
pub use read::{LocalFile, ReadAt};
pub use samples::{Sample, Samples};
pub use span::{SpanError, SpanFile, Wanted};
pub use text::{Cue, TextTrack, text_tracks};
pub use track::Track;

pub(crate) use aac::Aac;
pub(crate) use ranges::{Ranges, coalesce_within};
