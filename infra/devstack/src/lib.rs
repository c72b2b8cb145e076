//! The local cloud: the whole stack of `template.yaml` on one machine, with no AWS account and no Docker.
//!
//! DynamoDB (dynoxide) and S3 (s3s-fs) run inside this process and keep their data in the state folder.
//! Everything else (Lambda, API Gateway, Step Functions, SQS, EventBridge, CloudFormation) is ministack, a
//! Python program in a private venv, started anew and deployed to at each start.
//!
//! Invariants:
//! - everything listens on 127.0.0.1 only;
//! - nothing outlives the devstack, not even when it is killed ([`supervise`]);
//! - the template is bent only where the local services cannot take it ([`bend`] lists every place);
//! - two devstacks with different ports and state folders never meet.

pub mod fileserver;
pub mod grants;
pub mod nested;
pub mod options;
pub mod shim;
pub mod supervise;

mod bend;
mod bundle;
mod cloudformation;
mod dynamodb;
mod front;
mod http;
mod lifecycle;
mod mail;
mod meter;
mod ministack;
mod routes;
mod s3;
mod secrets;
pub mod seed;
mod stack;
mod strict;
mod tap;
pub mod template;
mod transform;

pub use lifecycle::Expired;
pub use meter::{Calls, Units};
pub use options::Options;
pub use stack::{Devstack, Info};
