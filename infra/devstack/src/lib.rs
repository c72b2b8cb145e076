//! The local cloud: the whole stack of `template.yaml` on one machine, with no AWS account and no Docker.
//!
//! DynamoDB (dynoxide) and S3 (s3s-fs) run inside this process and keep their data in the state folder.
//! Everything else (Lambda, API Gateway, Step Functions, SQS, EventBridge, CloudFormation) is ministack, a
//! Python program in a private venv, started anew and deployed to at each start. Stripe (the crate `stripe`) runs inside, too:
//! functions find it by `STRIPE_ENDPOINT_URL`, and its keys in a secret; with the parameter `StripeSecretArn` empty there is none.
//!
//! Invariants:
//! - everything listens on 127.0.0.1 only;
//! - nothing outlives the devstack, not even when it is killed ([`supervise`]);
//! - the template is bent only where the local services cannot take it ([`bend`] lists every place);
//! - two devstacks with different ports and state folders never meet.
//!
//! What the container brings along is in `PATH`: yt-dlp, and the image's own FFmpeg if it was built here (`cargo xtask
//! test` and `bench` do, as root on Debian), else the machine's. The hourly limit of clip jobs and the limits by
//! address are raised to [`LOCAL_LIMIT`], because here all users are one. Mail is kept and shown at `/_local/mail`. What S3 has
//! and s3s-fs lacks is put around it: rules for uploads in parts (`strict`), answers to browsers (CORS), the bucket's
//! lifecycle rules (`lifecycle`, hourly). What still differs from AWS: IAM is not enforced, and AWS throttles nothing
//! (the product's own limits hold).
//!
//! `--trust FILE` names the certificates that functions trust in place of the machine's: tests run receivers of
//! webhooks with certificates of their own, and https is the rule here as it is on AWS.

pub mod fileserver;
pub mod grants;
pub mod nested;
pub mod options;
pub mod shim;
pub mod supervise;

mod bedrock;
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
mod payments;
mod resume;
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
pub use stack::{Devstack, Info, LOCAL_LIMIT};
