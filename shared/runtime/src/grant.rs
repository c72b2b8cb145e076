//! What a function may do in AWS, as types: a grant names actions together with what they are done to, so no row of
//! `ENDPOINTS` can name one without the other.
//!
//! From grants follow a function's IAM policy and the environment variables that tell it the names of what it may use.
//! Names in `${…}` are those of [`Described`](crate::Described): values that the root stack passes to every other one.

use crate::env::Var;

/// Something that a function may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// These calls on items of the table. A transaction needs the grants of what it does.
    Table(&'static [Item]),
    /// Queries of the table's index of what a sweeper looks after.
    OpenIndex,
    /// These calls on the bucket's objects whose key begins with the prefix.
    Objects(Prefix, &'static [Object]),
    /// Getting "not found" for a missing object, instead of "denied".
    MissingObjects,
    /// Sending messages to a queue. (Reading comes with being called by it.)
    Queue(Queue),
    /// Calling a function and waiting for its answer.
    Invoke(Function),
    /// Starting executions of the state machine that makes clips.
    Start,
    /// These calls on its executions.
    Executions(&'static [ExecutionCall]),
    /// Reading a secret.
    Secret(Secret),
    /// Sending mail by any identity that SES knows.
    Mail,
    /// Asking models of Amazon Bedrock, if the operator has named one.
    LargeModel,
    /// Sending it by the stack's own set.
    MailSet,
}

/// A list of words, each with what AWS calls it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident => $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$each])* $variant,)+ }

        impl $name {
            /// What AWS, or the template, calls it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// A call on the table's items.
    Item {
        /// Reads items by their keys, many at once.
        BatchGet => "dynamodb:BatchGetItem",
        /// Looks at an item within a transaction that changes others.
        Check => "dynamodb:ConditionCheckItem",
        /// Deletes an item.
        Delete => "dynamodb:DeleteItem",
        /// Reads an item by its key.
        Get => "dynamodb:GetItem",
        /// Writes a whole item.
        Put => "dynamodb:PutItem",
        /// Reads a partition, or a part of one.
        Query => "dynamodb:Query",
        /// Reads everything.
        Scan => "dynamodb:Scan",
        /// Changes an item.
        Update => "dynamodb:UpdateItem",
    }
}

words! {
    /// A call on objects of the bucket.
    Object {
        /// Gives up an upload in parts.
        Abort => "s3:AbortMultipartUpload",
        /// Deletes an object.
        Delete => "s3:DeleteObject",
        /// Reads an object, or signs a link to read it.
        Get => "s3:GetObject",
        /// Lists the parts that an upload has.
        Parts => "s3:ListMultipartUploadParts",
        /// Writes an object or a part of it, or signs a link to write it.
        Put => "s3:PutObject",
    }
}

words! {
    /// Where objects lie, which also says how long they live.
    Prefix {
        /// Stored responses to requests with an `Idempotency-Key`.
        Answers => "work/answers/",
        /// Clips, pinned or not.
        Clips => "clips/",
        /// Kept indexes of sources.
        Index => "index/",
        /// What clients have uploaded.
        Uploads => "uploads/",
        /// What is said in sources, and what the finder makes of it.
        Words => "words/",
        /// Files of jobs that are under way.
        Work => "work/",
    }
}

words! {
    /// A queue of the stack.
    Queue {
        /// Executions that ended without reaching `Complete`.
        Aborted => "AbortedQueue",
        /// Accounts that may have both a free slot and a waiting job.
        Dispatch => "DispatchQueue",
        /// Closed accounts to be erased.
        Erase => "EraseQueue",
        /// Mails to be sent.
        Mail => "MailQueue",
        /// Mails that came back, or that somebody complained about.
        Returned => "ReturnedQueue",
        /// Uploads to be looked at.
        Uploads => "UploadsQueue",
        /// Webhooks to be delivered.
        Webhooks => "WebhooksQueue",
        /// Webhooks that nobody took.
        WebhooksDeadLetters => "WebhooksDeadLetters",
    }
}

words! {
    /// A function that others call.
    Function {
        /// Looks at sources.
        Probe => "ProbeFunction",
        /// Finds captions.
        Captions => "CaptionsFunction",
        /// Keeps what is said in sources.
        Words => "WordsFunction",
        /// Finds moments in it.
        Find => "FindFunction",
    }
}

words! {
    /// A call on an execution of the state machine.
    ExecutionCall {
        /// Asks what became of it.
        Describe => "states:DescribeExecution",
        /// Ends it.
        Stop => "states:StopExecution",
    }
}

words! {
    /// A secret of Secrets Manager.
    Secret {
        /// What web pages want to be asked with: the operator's.
        Page => "PageSecret",
        /// Stripe's keys: the operator's.
        Stripe => "StripeSecret",
        /// What all secrets of webhooks are made from: the stack's own.
        Webhooks => "WebhooksSecretArn",
    }
}

impl Queue {
    /// The variable with its URL, for a queue that functions send to.
    #[must_use]
    pub const fn var(self) -> Option<Var> {
        Some(match self {
            Self::Aborted | Self::Returned => return None,
            Self::Dispatch => Var::DispatchQueueUrl,
            Self::Erase => Var::EraseQueueUrl,
            Self::Mail => Var::MailQueueUrl,
            Self::Uploads => Var::UploadsQueueUrl,
            Self::Webhooks => Var::WebhooksQueueUrl,
            Self::WebhooksDeadLetters => Var::WebhooksDeadLettersUrl,
        })
    }
}

impl Grant {
    /// The variable that tells the name of what is granted.
    #[must_use]
    pub const fn var(self) -> Option<Var> {
        Some(match self {
            Self::Table(_) | Self::OpenIndex => Var::TableName,
            Self::Objects(..) | Self::MissingObjects => Var::MediaBucket,
            Self::Queue(queue) => return queue.var(),
            Self::Invoke(Function::Probe) => Var::ProbeFunction,
            Self::Invoke(Function::Captions) => Var::CaptionsFunction,
            Self::Invoke(Function::Words) => Var::WordsFunction,
            Self::Invoke(Function::Find) => Var::FindFunction,
            Self::Start | Self::Executions(_) => Var::ClipMachineArn,
            Self::Secret(Secret::Page) => Var::PageSecretArn,
            Self::Secret(Secret::Stripe) => Var::StripeSecretArn,
            Self::Secret(Secret::Webhooks) => Var::WebhooksSecretArn,
            Self::LargeModel => Var::MomentsModel,
            Self::MailSet => Var::MailSet,
            Self::Mail => return None,
        })
    }

    /// The IAM actions.
    #[must_use]
    pub fn actions(self) -> Vec<&'static str> {
        match self {
            Self::Table(calls) => calls.iter().map(|call| call.word()).collect(),
            Self::OpenIndex => vec![Item::Query.word()],
            Self::Objects(_, calls) => calls.iter().map(|call| call.word()).collect(),
            Self::MissingObjects => vec!["s3:ListBucket"],
            Self::Queue(_) => vec!["sqs:SendMessage"],
            Self::Invoke(_) => vec!["lambda:InvokeFunction"],
            Self::Start => vec!["states:StartExecution"],
            Self::Executions(calls) => calls.iter().map(|call| call.word()).collect(),
            Self::Secret(_) => vec!["secretsmanager:GetSecretValue"],
            Self::Mail | Self::MailSet => vec!["ses:SendEmail"],
            Self::LargeModel => vec!["bedrock:InvokeModel"],
        }
    }

    /// What the actions are done to: an ARN as `Fn::Sub` takes it.
    #[must_use]
    pub fn resource(self) -> String {
        const HERE: &str = "${AWS::Region}:${AWS::AccountId}";
        match self {
            Self::Table(_) => "${TableArn}".to_owned(),
            Self::OpenIndex => "${TableArn}/index/open".to_owned(),
            Self::Objects(prefix, _) => format!("${{MediaBucketArn}}/{}*", prefix.word()),
            Self::MissingObjects => "${MediaBucketArn}".to_owned(),
            Self::Queue(queue) => format!("${{{}Arn}}", queue.word()),
            Self::Invoke(function) => format!("${{{}}}", function.word()),
            Self::Start => "${ClipMachineArn}".to_owned(),
            Self::Executions(_) => {
                format!("arn:${{AWS::Partition}}:states:{HERE}:execution:${{ClipMachineName}}:*")
            }
            Self::Secret(secret) => format!("${{{}}}", secret.word()),
            Self::Mail => format!("arn:${{AWS::Partition}}:ses:{HERE}:identity/*"),
            Self::LargeModel => "${LargeModels}".to_owned(),
            Self::MailSet => format!("arn:${{AWS::Partition}}:ses:{HERE}:configuration-set/${{MailSet}}"),
        }
    }
}
