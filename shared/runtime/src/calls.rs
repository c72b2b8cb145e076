//! What this function asks of AWS, one event a call, for whoever switches it on: `RUST_LOG=info,aws_call=debug`. An operator
//! sees which action was denied on what; the tests compare it with what `template.yaml` grants.
//!
//! An event names the IAM actions that a call needs and the resource as the last part of its ARN. Signing a link needs what
//! its call would need, and is told in the same way. Of an object's key only its beginning is told, which says how long
//! it lives: ids of clips are secrets. Which actions a call needs:
//!
//! - S3: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
//! - DynamoDB's transactions: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>
//! - everything else: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html>

use aws_sdk_dynamodb::{operation as dynamodb, types::TransactWriteItem};
use aws_sdk_lambda::operation as lambda;
use aws_sdk_s3::operation as s3;
use aws_sdk_sfn::operation as sfn;
use aws_sdk_sqs::operation as sqs;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef, Input,
            },
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use tracing::{Level, debug, enabled};

/// Tells of each call of the client that it is part of.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// For the client of a service that is called for one thing alone: the action, and its resources.
    only: Vec<Need>,
}

/// An IAM action, and the last part of an ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need(&'static str, String);

/// The bucket that an object was looked for in.
#[derive(Debug)]
struct Looked(String);

impl Storable for Looked {
    type Storer = StoreReplace<Self>;
}

impl Calls {
    /// All calls of the client are this one action on this one resource, given by its ARN or the last part of it.
    #[must_use]
    pub fn only(action: &'static str, resource: &str) -> Self {
        Self::default().and(action, resource)
    }

    /// They are this one as well.
    #[must_use]
    pub fn and(mut self, action: &'static str, resource: &str) -> Self {
        let part = if resource.starts_with("arn:") { of_arn(Some(resource)) } else { resource.to_owned() };
        self.only.push(Need(action, part));
        self
    }
}

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if enabled!(target: "aws_call", Level::DEBUG) {
            let needs = if self.only.is_empty() { needs(context.input()) } else { self.only.clone() };
            tell(bag, &needs);
            if let Some(bucket) = looks_into(context.input()) {
                bag.interceptor_state().store_put(Looked(bucket.to_owned()));
            }
        }
        Ok(())
    }

    /// S3 answers "not found" only to those who may list the bucket; others get "denied".
    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().as_u16() == 404
            && let Some(Looked(bucket)) = bag.load::<Looked>()
        {
            tell(bag, &[Need("s3:ListBucket", bucket.clone())]);
        }
        Ok(())
    }
}

fn tell(bag: &ConfigBag, needs: &[Need]) {
    let operation = bag.load::<Metadata>().map_or("unknown", Metadata::name);
    if needs.is_empty() {
        debug!(target: "aws_call", operation, action = "unknown", resource = "unknown");
    }
    for Need(action, resource) in needs {
        debug!(target: "aws_call", operation, action, resource);
    }
}

/// The bucket, of a call that asks whether an object is there.
fn looks_into(input: &Input) -> Option<&str> {
    let get = input.downcast_ref::<s3::get_object::GetObjectInput>().and_then(|call| call.bucket());
    get.or_else(|| input.downcast_ref::<s3::head_object::HeadObjectInput>().and_then(|call| call.bucket()))
}

/// The needs of the first of these calls that `$input` is.
macro_rules! first {
    ($input:ident: $($call:ty => $needs:expr),+ $(,)?) => {
        $(if let Some(call) = $input.downcast_ref::<$call>() {
            let needs: fn(&$call) -> Vec<Need> = $needs;
            return needs(call);
        })+
    };
}

/// What a call needs; nothing for a call that is missing here.
fn needs(input: &Input) -> Vec<Need> {
    first! { input:
        dynamodb::get_item::GetItemInput => |call| vec![item("dynamodb:GetItem", call.table_name())],
        dynamodb::put_item::PutItemInput => |call| vec![item("dynamodb:PutItem", call.table_name())],
        dynamodb::update_item::UpdateItemInput => |call| vec![item("dynamodb:UpdateItem", call.table_name())],
        dynamodb::batch_get_item::BatchGetItemInput => |call| {
            let tables = call.request_items().into_iter().flatten();
            tables.map(|(table, _)| item("dynamodb:BatchGetItem", Some(table))).collect()
        },
        dynamodb::scan::ScanInput => |call| vec![item("dynamodb:Scan", call.table_name())],
        dynamodb::query::QueryInput => |call| {
            let Need(action, table) = item("dynamodb:Query", call.table_name());
            let index = call.index_name().map(|index| format!("{table}/index/{index}"));
            vec![Need(action, index.unwrap_or(table))]
        },
        dynamodb::transact_write_items::TransactWriteItemsInput => |call| {
            let mut needs: Vec<_> = call.transact_items().iter().flat_map(parts).collect();
            needs.sort();
            needs.dedup();
            needs
        },
        s3::get_object::GetObjectInput => |call| vec![object("s3:GetObject", call.bucket(), call.key())],
        s3::head_object::HeadObjectInput => |call| vec![object("s3:GetObject", call.bucket(), call.key())],
        s3::put_object::PutObjectInput => |call| vec![object("s3:PutObject", call.bucket(), call.key())],
        s3::copy_object::CopyObjectInput => |call| copy(call.copy_source(), call.bucket(), call.key()),
        s3::delete_objects::DeleteObjectsInput => |call| {
            let objects = call.delete().map(|delete| delete.objects()).unwrap_or_default().iter();
            let mut needs: Vec<_> =
                objects.map(|one| object("s3:DeleteObject", call.bucket(), Some(one.key()))).collect();
            needs.dedup();
            needs
        },
        s3::create_multipart_upload::CreateMultipartUploadInput
            => |call| vec![object("s3:PutObject", call.bucket(), call.key())],
        s3::upload_part::UploadPartInput => |call| vec![object("s3:PutObject", call.bucket(), call.key())],
        s3::upload_part_copy::UploadPartCopyInput => |call| copy(call.copy_source(), call.bucket(), call.key()),
        s3::complete_multipart_upload::CompleteMultipartUploadInput
            => |call| vec![object("s3:PutObject", call.bucket(), call.key())],
        s3::abort_multipart_upload::AbortMultipartUploadInput
            => |call| vec![object("s3:AbortMultipartUpload", call.bucket(), call.key())],
        s3::list_parts::ListPartsInput
            => |call| vec![object("s3:ListMultipartUploadParts", call.bucket(), call.key())],
        // A queue's URL ends with its name.
        sqs::send_message::SendMessageInput => |call| {
            let name = call.queue_url().and_then(|url| url.rsplit('/').next());
            vec![Need("sqs:SendMessage", name.unwrap_or_default().to_owned())]
        },
        sfn::start_execution::StartExecutionInput
            => |call| vec![Need("states:StartExecution", of_arn(call.state_machine_arn()))],
        sfn::describe_execution::DescribeExecutionInput
            => |call| vec![Need("states:DescribeExecution", of_arn(call.execution_arn()))],
        sfn::stop_execution::StopExecutionInput
            => |call| vec![Need("states:StopExecution", of_arn(call.execution_arn()))],
        lambda::invoke::InvokeInput
            => |call| vec![Need("lambda:InvokeFunction", of_arn(call.function_name()))],
    }
    Vec::new()
}

fn item(action: &'static str, table: Option<&str>) -> Need {
    Need(action, format!("table/{}", table.unwrap_or_default()))
}

/// What one write of a transaction needs: the same as the write alone.
fn parts(write: &TransactWriteItem) -> Vec<Need> {
    let put = write.put().map(|put| item("dynamodb:PutItem", Some(put.table_name())));
    let update = write.update().map(|update| item("dynamodb:UpdateItem", Some(update.table_name())));
    let delete = write.delete().map(|delete| item("dynamodb:DeleteItem", Some(delete.table_name())));
    let check = write.condition_check();
    let check = check.map(|check| item("dynamodb:ConditionCheckItem", Some(check.table_name())));
    [put, update, delete, check].into_iter().flatten().collect()
}

fn object(action: &'static str, bucket: Option<&str>, key: Option<&str>) -> Need {
    Need(action, format!("{}/{}", bucket.unwrap_or_default(), shelf(key.unwrap_or_default())))
}

/// `source` is `BUCKET/KEY`.
fn copy(source: Option<&str>, bucket: Option<&str>, key: Option<&str>) -> Vec<Need> {
    let from = source.and_then(|source| source.split_once('/'));
    let (from_bucket, from_key) = from.map_or((None, None), |(bucket, key)| (Some(bucket), Some(key)));
    vec![object("s3:GetObject", from_bucket, from_key), object("s3:PutObject", bucket, key)]
}

/// The part of an object's key that is the same for all accounts, without ids.
fn shelf(key: &str) -> String {
    const FOLDERS: [&str; 9] =
        ["work/", "answers/", "index/", "uploads/", "clips/", "24h/", "pinned/", "edits/", "words/"];
    key.split_inclusive('/').take_while(|folder| FOLDERS.contains(folder)).collect()
}

/// The part of an ARN behind partition, service, region and account.
fn of_arn(arn: Option<&str>) -> String {
    arn.and_then(|arn| arn.splitn(6, ':').nth(5)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{Delete, Put};

    use super::*;

    fn need(action: &'static str, resource: &str) -> Need {
        Need(action, resource.to_owned())
    }

    #[test]
    fn a_transaction_needs_what_its_writes_need() {
        let put = Put::builder().table_name("T").set_item(Some([].into())).build().unwrap();
        let delete = Delete::builder().table_name("T").set_key(Some([].into())).build().unwrap();
        let writes = [
            TransactWriteItem::builder().put(put.clone()).build(),
            TransactWriteItem::builder().delete(delete).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        let call = dynamodb::transact_write_items::TransactWriteItemsInput::builder();
        let call = call.set_transact_items(Some(writes.into())).build().unwrap();
        let expected = [need("dynamodb:DeleteItem", "table/T"), need("dynamodb:PutItem", "table/T")];
        assert_eq!(needs(&Input::erase(call)), expected);
    }

    #[test]
    fn an_object_is_told_by_its_shelf_alone() {
        let call = s3::copy_object::CopyObjectInput::builder().bucket("B").key("clips/pinned/c/secret.mp4");
        let call = call.copy_source("B/clips/24h/secret.mp4").build().unwrap();
        let expected = [need("s3:GetObject", "B/clips/24h/"), need("s3:PutObject", "B/clips/pinned/")];
        assert_eq!(needs(&Input::erase(call)), expected);
        assert_eq!(shelf("work/j-1/parts-0.json"), "work/");
        assert_eq!(shelf("work/answers/r-1"), "work/answers/");
        assert_eq!(shelf("secret"), "");
    }

    #[test]
    fn an_index_is_a_resource_of_its_own() {
        let query = |index: Option<&str>| {
            let call = dynamodb::query::QueryInput::builder().table_name("T");
            needs(&Input::erase(call.set_index_name(index.map(str::to_owned)).build().unwrap()))
        };
        assert_eq!(query(None), [need("dynamodb:Query", "table/T")]);
        assert_eq!(query(Some("open")), [need("dynamodb:Query", "table/T/index/open")]);
    }

    #[test]
    fn executions_and_queues_are_told_by_their_names() {
        let arn = "arn:aws:states:us-east-1:000000000000:execution:Clips:j-1";
        let call = sfn::stop_execution::StopExecutionInput::builder().execution_arn(arn).build().unwrap();
        assert_eq!(needs(&Input::erase(call)), [need("states:StopExecution", "execution:Clips:j-1")]);
        let call = sqs::send_message::SendMessageInput::builder().queue_url("https://sqs.example/0/Mails");
        assert_eq!(needs(&Input::erase(call.build().unwrap())), [need("sqs:SendMessage", "Mails")]);
    }
}
