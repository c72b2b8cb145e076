//! What the table does not tell of `/v1/webhooks`.

use webhooks::{create, delete, deliveries, list, rotate, update, view};

use crate::{Operation, named};

pub(crate) fn operation(handler: &str) -> Option<Operation> {
    let plain = Operation::plain;
    Some(match handler {
        "webhooks.create" => Operation {
            request: named::<create::WebhookRequest>(),
            problems: &[400, 409, 413, 415, 503],
            ..plain(
                "Have an address told of what happens; its secret is shown this once",
                named::<create::MadeWebhook>(),
            )
        },
        "webhooks.list" => plain("List the webhooks", named::<list::WebhookList>()),
        "webhooks.get" => {
            Operation { problems: &[404], ..plain("Read a webhook", named::<view::WebhookView>()) }
        }
        "webhooks.update" => Operation {
            request: named::<update::WebhookChange>(),
            problems: &[400, 404, 413, 415, 503],
            ..plain("Change a webhook; what is left out stays", named::<view::WebhookView>())
        },
        "webhooks.delete" => Operation {
            problems: &[404, 503],
            ..plain("Delete a webhook", named::<delete::DeletedWebhook>())
        },
        "webhooks.rotate" => Operation {
            problems: &[404, 503],
            ..plain(
                "Make another secret, of a webhook or (`jobs`) for the addresses that jobs name; the one before signs for \
                 another day",
                named::<rotate::RotatedSecret>(),
            )
        },
        "webhooks.test" => Operation {
            problems: &[404, 409, 503],
            ..plain("Send a test event", named::<view::DeliveryView>())
        },
        "webhooks.deliveries" => Operation {
            query: &[
                ("cursor", "string", "`next_cursor` of the page before"),
                ("limit", "integer", "1 to 100; 20 if left out"),
            ],
            problems: &[400, 404, 503],
            ..plain(
                "What a webhook, or (`jobs`) the addresses that jobs name, were told in seven days, newest first",
                named::<deliveries::DeliveryList>(),
            )
        },
        "webhooks.replay" => Operation {
            problems: &[404, 409, 503],
            ..plain("Send an event once more, under the same `webhook-id`", named::<view::DeliveryView>())
        },
        _ => return None,
    })
}
