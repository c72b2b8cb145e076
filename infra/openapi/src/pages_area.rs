//! What the table does not tell of the endpoints of the area `pages`.

use pages::{oembed, share, view};

use crate::{Operation, named};

pub(crate) fn operation(handler: &str) -> Option<Operation> {
    let plain = Operation::plain;
    Some(match handler {
        "pages.share" => {
            Operation { problems: &[404], ..plain("See a shared clip", named::<share::ShareView>()) }
        }
        "pages.view" => Operation {
            problems: &[404, 503],
            ..plain(
                "Say that somebody sees a shared clip; counts once a viewer and day",
                named::<view::Views>(),
            )
        },
        "pages.clip" => {
            plain("The page of a shared clip (HTML; a page with the status 404 if it is gone)", None)
        }
        "pages.embed" => plain("Its player alone, to be put into a frame (HTML; 404 likewise)", None),
        "pages.oembed" => Operation {
            query: &[
                ("url", "string", "Address of a clip's page or player"),
                ("maxwidth", "integer", "The player's largest width in pixels"),
                ("maxheight", "integer", "The player's largest height in pixels"),
                ("format", "string", "`json`, which it is anyway"),
            ],
            problems: &[400, 404, 501],
            ..plain("How to embed a shared clip (oEmbed 1.0)", named::<oembed::Oembed>())
        },
        "pages.script" => plain("The script of these pages", None),
        "pages.openapi" => plain("This description", None),
        _ => return None,
    })
}
