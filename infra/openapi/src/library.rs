//! What the table does not tell of `/v1/clips` and `/v1/storage`.

use clips::{
    library::{delete, list, pin, rename, unpin},
    storage,
};

use crate::{Operation, named};

pub(crate) fn operation(handler: &str) -> Option<Operation> {
    let plain = Operation::plain;
    Some(match handler {
        "clips.list" => Operation {
            query: &[
                ("page", "integer", "1, the newest clips, or more"),
                ("per_page", "integer", "1 to 100; 20 if left out"),
                ("cursor", "string", "in place of `page`: the `next_cursor` of the page before"),
            ],
            problems: &[400, 503],
            ..plain("List the clips, newest first", named::<list::ClipList>())
        },
        "clips.rename" => Operation {
            request: named::<rename::RenameRequest>(),
            problems: &[400, 404, 413, 415, 503],
            ..plain("Give a clip another name", named::<rename::RenamedClip>())
        },
        "clips.delete" => Operation {
            problems: &[404, 503],
            ..plain("Delete a clip and its files", named::<delete::DeletedClip>())
        },
        "clips.pin" => Operation {
            problems: &[404, 409, 503],
            ..plain("Keep a clip until it is unpinned or deleted", named::<pin::PinnedClip>())
        },
        "clips.unpin" => Operation {
            problems: &[404, 503],
            ..plain("Let a clip expire in 24 hours", named::<unpin::UnpinnedClip>())
        },
        "clips.storage" => plain("Read the room for pinned clips", named::<storage::get::StorageView>()),
        "clips.storage_purchase" => Operation {
            request: named::<storage::purchase::StorageRequest>(),
            problems: &[400, 402, 413, 415, 422, 503],
            ..plain("Buy room for pinned clips", named::<storage::purchase::BoughtStorage>())
        },
        _ => return None,
    })
}
