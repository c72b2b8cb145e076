//! Starts and stops the local cloud as a whole.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::bend::{Bent, CODE_BUCKET};
use crate::cloudformation::Resource;
use crate::dynamodb::DynamoDb;
use crate::http::for_service;
use crate::meter::Meter;
use crate::ministack::Ministack;
use crate::options::{ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY};
use crate::payments::Payments;
use crate::s3::S3;
use crate::{
    Options, bend, bundle, cloudformation, front, grants, mail, nested, resume, routes, secrets, seed,
    transform,
};

/// Where everything is; also the answer of `/_local/info`. Maps are by the template's logical ids.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The front door, which is the API's base URL.
    pub base_url: String,
    /// Lambda, Step Functions, SQS and the rest.
    pub ministack_url: String,
    /// The embedded DynamoDB.
    pub dynamodb_url: String,
    /// The embedded S3.
    pub s3_url: String,
    /// The embedded Stripe.
    pub stripe_url: String,
    /// The one region.
    pub region: String,
    /// Credentials for all of them.
    pub access_key_id: String,
    /// The secret that goes with it.
    pub secret_access_key: String,
    /// The CloudFormation stack's name.
    pub stack_name: String,
    /// The HTTP API's id.
    pub http_api: String,
    /// Table names.
    pub tables: BTreeMap<String, String>,
    /// Bucket names.
    pub buckets: BTreeMap<String, String>,
    /// Function names.
    pub functions: BTreeMap<String, String>,
    /// State machine ARNs.
    pub state_machines: BTreeMap<String, String>,
    /// Queue URLs.
    pub queues: BTreeMap<String, String>,
    /// The demo account's API key.
    pub demo_api_key: String,
    /// A video to try things with, if there is one.
    pub sample_url: Option<String>,
    /// The folder with one log file per function.
    pub logs: PathBuf,
    /// The folder of everything that stays.
    pub state: PathBuf,
}

/// What the limits by account and hour, and by address, are raised to.
pub const LOCAL_LIMIT: u32 = 1000;

/// A running local cloud; dropping it ends it, [`Devstack::stop`] also waits until it is gone.
#[derive(Debug)]
pub struct Devstack {
    info: Info,
    front: JoinHandle<()>,
    ministack: Ministack,
    dynamodb: DynamoDb,
    _meter: Option<Meter>,
    s3: S3,
    /// Ends when it is dropped.
    _payments: Payments,
    /// Two devstacks on one state folder would tear each other's data.
    _lock: File,
}

impl Devstack {
    /// Starts everything, deploys the template, and answers when the front door is open.
    pub async fn start(mut options: Options) -> anyhow::Result<Self> {
        let lock = prepare_state(&mut options)?;
        let listener = front_port(options.port).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let root = options.root.clone();
        // May take a minute, the first time on a machine.
        let programs = tokio::task::spawn_blocking(move || places::tools::ministack(&root)).await??;
        let bent = read_template(&options)?;
        let logs = match &options.logs {
            Some(folder) => folder.clone(),
            None => fresh_logs(&options.state)?,
        };
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;

        tracing::info!("starting DynamoDB, S3, Stripe and ministack");
        let dynamodb = DynamoDb::start(&options.state, &bent.tables).await?;
        let s3 = S3::start(&options.state, &bent.buckets).await?;
        let payments = Payments::start(&options.state, &base_url).await?;
        let meter = match options.count_calls {
            true => Some(Meter::start(&dynamodb.url).await?),
            false => None,
        };
        let table_url = meter.as_ref().map_or(&dynamodb.url, |meter| &meter.url);
        let ministack = Ministack::start(&options, &programs, table_url, &s3.url, payments.url());
        // Python needs a second to load itself; the template can be made plain meanwhile.
        let (sam, python) = (bent.template.clone(), programs.clone());
        let plain = tokio::task::spawn_blocking(move || transform::plain(&python, sam));
        let (ministack, plain) = tokio::join!(ministack, plain);
        let ministack = ministack?;
        let mut bent = Bent { template: plain??, ..bent };
        secrets::keep(&mut bent.template, &options.state)?;

        tracing::info!("deploying {}", options.template.display());
        let client = crate::http::client()?;
        let mut info = Info {
            ministack_url: ministack.url.clone(),
            dynamodb_url: dynamodb.url.clone(),
            s3_url: s3.url.clone(),
            stripe_url: payments.url().to_owned(),
            base_url: base_url.clone(),
            region: REGION.to_owned(),
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: SECRET_KEY.to_owned(),
            stack_name: options.stack_name.clone(),
            tables: bent.tables.iter().map(|table| (table.logical_id.clone(), table.name.clone())).collect(),
            buckets: bent
                .buckets
                .iter()
                .map(|bucket| (bucket.logical_id.clone(), bucket.name.clone()))
                .collect(),
            logs,
            state: options.state.clone(),
            sample_url: options.sample.as_ref().map(|_| format!("{base_url}{}", front::SAMPLE)),
            ..Info::default()
        };
        let stripe_secret = payments.keep_secret(&client, &ministack.url).await?;
        deploy(&options, &client, (&bent, stripe_secret), &mut info).await?;
        // Who reads the logs later learns whose they are.
        std::fs::write(info.logs.join(grants::NAMES), serde_json::to_vec(&info)?)?;
        info.demo_api_key = seed::demo_account(&info).await.context("cannot make the demo account")?;
        let open =
            resume::look_after_jobs(&info, &client).await.context("cannot look after jobs of last time")?;
        if open > 0 {
            tracing::info!(
                "{open} jobs were under way when the last local cloud ended: they begin or end now"
            );
        }
        let counted = meter.as_ref().map(Meter::counted);
        let lifecycle = Arc::clone(&s3.lifecycle);
        let front = front::serve(listener, (info.clone(), options.sample), client, lifecycle, counted);
        Ok(Self { info, front, ministack, dynamodb, _meter: meter, s3, _payments: payments, _lock: lock })
    }

    /// Where everything is.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Resolves with the reason if a part ends by itself, which it should not.
    pub async fn broken(&mut self) -> String {
        self.ministack.ended().await
    }

    /// Ends everything and waits until it is gone. Data stays in the state folder.
    pub async fn stop(mut self) {
        self.front.abort();
        // Functions may be writing until the end, so storage goes last.
        self.ministack.stop().await;
        self.s3.stop();
        self.dynamodb.stop();
    }
}

impl Drop for Devstack {
    fn drop(&mut self) {
        self.front.abort();
    }
}

/// Makes the paths absolute and the state folder ours.
fn prepare_state(options: &mut Options) -> anyhow::Result<File> {
    for path in [&mut options.root, &mut options.template, &mut options.state, &mut options.exe] {
        *path = std::path::absolute(&*path)?;
    }
    options.bin_dir = std::path::absolute(&options.bin_dir)?;
    for path in
        [&mut options.faults, &mut options.trust, &mut options.logs, &mut options.image].into_iter().flatten()
    {
        *path = std::path::absolute(&*path)?;
    }
    if !options.exe.is_file() {
        bail!("{} is not built (cargo build -p clipwright-devstack)", options.exe.display());
    }
    // Inside a checkout's `.local` other things live too, so the data has a folder of its own.
    options.state = options.state.join("cloud");
    let state = &options.state;
    std::fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))?;
    let lock = File::create(state.with_extension("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another devstack is running on {}", state.display()),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    if options.fresh {
        std::fs::remove_dir_all(state)?;
        std::fs::create_dir_all(state)?;
    }
    if let Some(faults) = &options.faults {
        std::fs::create_dir_all(faults)?;
    }
    Ok(lock)
}

/// Each start has its own logs; those of the start before are kept beside them.
fn fresh_logs(state: &Path) -> anyhow::Result<PathBuf> {
    let (logs, previous) = (state.join("logs"), state.join("logs.previous"));
    if logs.exists() {
        if previous.exists() {
            std::fs::remove_dir_all(&previous)?;
        }
        std::fs::rename(&logs, &previous)?;
    }
    Ok(logs)
}

async fn front_port(port: u16) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} is taken by another program (another local cloud?); choose one with --port")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
    }
}

fn read_template(options: &Options) -> anyhow::Result<Bent> {
    let path = &options.template;
    let folder = path.parent().unwrap_or(&options.root);
    nested::read(path)
        .and_then(|parsed| bend::bend(parsed, &options.stack_name, folder))
        .with_context(|| format!("cannot use {}", path.display()))
}

/// Uploads the code, creates the stack, registers the routes, and notes in `info` what came of it.
async fn deploy(
    options: &Options,
    client: &reqwest::Client,
    (bent, stripe_secret): (&Bent, String),
    info: &mut Info,
) -> anyhow::Result<()> {
    let bucket = format!("{}/{CODE_BUCKET}", info.ministack_url);
    put(client, &bucket, Vec::new()).await?;
    for area in &bent.areas {
        put(client, &format!("{bucket}/{area}.zip"), bundle::zip(options, area, &info.logs)?).await?;
    }
    let mut parameters = BTreeMap::from([
        ("Release".to_owned(), "0000000000".to_owned()),
        ("AllowPrivateSources".to_owned(), "true".to_owned()),
        // One person's machine: all that runs here is one account or one address.
        ("ClipJobsPerHour".to_owned(), LOCAL_LIMIT.to_string()),
        ("OpenRequestsPerMinute".to_owned(), LOCAL_LIMIT.to_string()),
        ("MailsPerHour".to_owned(), LOCAL_LIMIT.to_string()),
        ("MailFrom".to_owned(), mail::SENDER.to_owned()),
        ("StripeSecretArn".to_owned(), stripe_secret),
        ("PublicUrl".to_owned(), info.base_url.clone()),
        // There is none: container functions are bent.
        ("MediaImage".to_owned(), format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/none")),
    ]);
    parameters.extend(options.parameters.clone());
    mail::allow_sender(client, &info.ministack_url, &parameters["MailFrom"]).await?;
    let template_url = format!("{bucket}/template.json");
    put(client, &template_url, bent.template.to_string().into_bytes()).await?;
    let template = (&bent.template, template_url.as_str());
    let resources =
        cloudformation::deploy(client, &info.ministack_url, &options.stack_name, template, &parameters)
            .await?;
    let of_kind = |kind: &str| -> BTreeMap<String, String> {
        let matching = resources.iter().filter(|(_, resource)| resource.kind == kind);
        matching.map(|(id, Resource { physical_id, .. })| (id.clone(), physical_id.clone())).collect()
    };
    info.functions = of_kind("AWS::Lambda::Function");
    info.state_machines = of_kind("AWS::StepFunctions::StateMachine");
    info.queues = of_kind("AWS::SQS::Queue");
    let place = (options.stack_name.as_str(), bucket.as_str());
    let apis = routes::register(client, &info.ministack_url, place, &bent.routes, &resources).await?;
    routes::allow_origins(client, &info.ministack_url, apis.values(), &bent.cors).await?;
    if apis.len() > 1 {
        bail!("the front door serves one HTTP API, the template has {}", apis.len());
    }
    info.http_api = apis.into_values().next().unwrap_or_default();
    Ok(())
}

pub(crate) async fn put(client: &reqwest::Client, url: &str, body: Vec<u8>) -> anyhow::Result<()> {
    let answer = client.put(url).header("authorization", for_service("s3")).body(body).send().await?;
    if !answer.status().is_success() {
        bail!("cannot put {url}: {}", answer.status());
    }
    Ok(())
}
