//! The local clouds that tests share, and accounts on them: each test has its own, so that tests do not meet.
//!
//! A start costs seconds of computing, so there is one cloud for each set of settings, and not for each test. Only what stops,
//! breaks or fills its cloud, or turns its clock, has one of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use devstack::Info;
use domain::account::Scope;
use domain::ids::{AccountId, ApiKey, JobId};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::{Table, accounts, ledger::Immediate};

use crate::root::root;
use crate::stack::webhooks::tls;

/// Longer than any job here takes, with its retries; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// A local cloud, as a program of its own that ends with this one: it reads from a pipe that closes then.
pub(crate) struct Cloud {
    pub(crate) info: Info,
    child: Child,
    stdin: Option<ChildStdin>,
    _state: Option<tempfile::TempDir>,
}

/// The usual local cloud.
pub(crate) fn cloud() -> &'static Cloud {
    shared(With::UsualSettings)
}

/// What a cloud that tests share is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    UsualSettings,
    /// As on AWS: nothing of the private network is a source or a receiver.
    NoPrivateSources,
    /// An operator who allows little: one slot, three mails an hour from one address, some hosts; whose secret for pages is
    /// not there; who has a large model, and takes no payments.
    NarrowSettings,
    /// Calls of DynamoDB are counted: tests that share it look at different functions.
    CountedCalls,
    /// For files that are larger than the memory that anything may take.
    LargeFiles,
    /// Functions that work on jobs can be killed: see [`fragile`].
    FragileJobs,
    /// Functions that answer requests can be killed: see [`fragile`].
    FragileRequests,
}

/// How many kinds there are.
const KINDS: usize = With::FragileRequests as usize + 1;

/// The cloud with these settings, started when a test first asks for it.
pub(crate) fn shared(with: With) -> &'static Cloud {
    static CLOUDS: [OnceLock<Cloud>; KINDS] = [const { OnceLock::new() }; KINDS];
    CLOUDS[with as usize].get_or_init(|| {
        let parameters = |parameters: &[&str]| {
            parameters
                .iter()
                .flat_map(|parameter| ["--parameter".to_owned(), (*parameter).to_owned()])
                .collect()
        };
        let arguments: Vec<String> = match with {
            With::UsualSettings | With::LargeFiles => Vec::new(),
            With::NoPrivateSources => parameters(&["AllowPrivateSources=false"]),
            With::NarrowSettings => parameters(&[
                "ClipSlots=1",
                "MailsPerHour=3",
                "Sources=127.0.0.1, youtube",
                "MomentsModel=local.counting-v1:0",
                "StripeSecretArn=",
                "PageSecretArn=arn:aws:secretsmanager:us-east-1:000000000000:secret:pages-abcdef",
            ]),
            With::CountedCalls => vec!["--count-calls".to_owned()],
            With::FragileJobs | With::FragileRequests => {
                let faults = ["--faults", faults_of(with).to_str().unwrap()].map(str::to_owned).to_vec();
                // Each stage of a job is killed twice: what listens has the smaller model.
                [faults, parameters(&["SpeechModel=tiny.en"])].concat()
            }
        };
        Cloud::fresh(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

/// A cloud whose functions can be killed: a file in `faults` says which, and when (see `devstack::shim`).
pub(crate) struct Fragile {
    pub(crate) cloud: &'static Cloud,
    pub(crate) faults: PathBuf,
    /// A fault strikes whoever comes first, so one test at a time has the cloud.
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

/// Waits for its turn on the cloud, whose functions nobody else kills then.
pub(crate) async fn fragile(with: With) -> Fragile {
    static TURNS: [tokio::sync::Mutex<()>; KINDS] = [const { tokio::sync::Mutex::const_new(()) }; KINDS];
    let alone = TURNS[with as usize].lock().await;
    let (cloud, faults) = (shared(with), faults_of(with));
    // What a test that failed has left.
    for left in std::fs::read_dir(&faults).unwrap() {
        std::fs::remove_file(left.unwrap().path()).unwrap();
    }
    Fragile { cloud, faults, _alone: alone }
}

fn faults_of(with: With) -> PathBuf {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    FOLDER.path().join(format!("{with:?}"))
}

/// The client that all tests ask with: to make one takes a tenth of a second. It keeps no connections, because each belongs
/// to the runtime of the test that opened it.
pub(crate) fn http() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> =
        LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());
    &CLIENT
}

impl Cloud {
    /// A cloud with an empty state of its own.
    pub(crate) fn fresh(arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut cloud = Self::start(state.path(), arguments);
        cloud._state = Some(state);
        cloud
    }

    /// A cloud on the state in `state`.
    pub(crate) fn start(state: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary("devstack"))
            .args(["up", "--port", "0", "--until-stdin-closes", "--state"])
            .arg(state)
            .arg("--root")
            .arg(root())
            .arg("--trust")
            .arg(tls::authority())
            .args(kept_logs())
            // `cargo xtask image` runs tests with functions in their images.
            .args(
                std::env::var_os("CLIPWRIGHT_IMAGE")
                    .iter()
                    .flat_map(|image| ["--image".as_ref(), image.as_os_str()]),
            )
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the devstack is not built: run the tests with `cargo xtask test`");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let info =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("devstack said {line:?}: {error}"));
        let stdin = child.stdin.take();
        Self { info, child, stdin, _state: None }
    }

    /// Ends it as its user would, and waits until it is gone.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    /// Ends it as the kernel would: no time for a last word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.info.base_url)
    }

    /// The table, to look behind the API.
    pub(crate) fn table(&self) -> Table {
        devstack::seed::table(&self.info).unwrap()
    }

    /// The most memory that the cloud itself, its S3 included, has had, in kB.
    pub(crate) fn peak_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A new account with this much money.
    pub(crate) async fn account(&self, balance: Amount) -> Account {
        let mut random = [0; 32];
        getrandom::fill(&mut random).unwrap();
        let key = ApiKey::from_random(random);
        let id = AccountId::from_random(random[..16].try_into().unwrap());
        let account = accounts::Account::new(id.clone(), None, now());
        assert!(self.table().open_account(&account, &key, "test").await.unwrap());
        let grant = Immediate::Grant(EntryKind::SignupBonus, balance);
        assert!(
            self.table().transfer(&format!("t-{id}"), (&id, WalletKind::Usd), grant, now()).await.unwrap()
        );
        Account { id, key, base: self.info.base_url.clone(), http: http().clone(), table: self.table() }
    }

    /// Invokes a function of the stack directly, by the template's logical id.
    pub(crate) async fn invoke(&self, function: &str, input: &Value) -> Value {
        let (failed, answer) = self.try_invoke(function, input).await;
        assert!(!failed, "{function}: {answer}");
        answer
    }

    /// The same; also tells whether it failed.
    pub(crate) async fn try_invoke(&self, function: &str, input: &Value) -> (bool, Value) {
        let name = &self.info.functions[function];
        let url = format!("{}/2015-03-31/functions/{name}/invocations", self.info.ministack_url);
        let answer = http().post(url).json(input).send().await.unwrap();
        let failed = answer.headers().contains_key("x-amz-function-error");
        (failed, answer.json().await.unwrap_or(Value::Null))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where the functions' logs go, if the whole run wants to keep them: each start has a folder of its own, so that what was
/// done before a crash stays.
fn kept_logs() -> Vec<OsString> {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let number = STARTS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::var_os("FUNCTION_LOGS").map(PathBuf::from);
    let folder = folder.map(|folder| folder.join(format!("{}-{number}", std::process::id())));
    folder.map_or_else(Vec::new, |folder| vec!["--logs".into(), folder.into()])
}

/// A program that `cargo xtask test` has built beside this one.
pub(crate) fn binary(name: &str) -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join(name)
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(since.as_millis().try_into().unwrap())
}

/// A user of the API.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) key: ApiKey,
    base: String,
    http: reqwest::Client,
    table: Table,
}

/// An answer: its status and its JSON.
pub(crate) type Answer = (u16, Value);

impl Account {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(format!("{}{path}", self.base)).bearer_auth(self.key.reveal())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.http.post(format!("{}{path}", self.base)).bearer_auth(self.key.reveal()).json(body)).await
    }

    /// The table, to look behind the API.
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The same account on the cloud that has been started anew.
    pub(crate) fn moved_to(self, cloud: &Cloud) -> Self {
        Self { base: cloud.info.base_url.clone(), table: cloud.table(), ..self }
    }

    /// The same account with another key.
    pub(crate) async fn with_key(&self, scopes: &[Scope], daily_cap: Option<Amount>) -> Self {
        let mut random = [0; 32];
        getrandom::fill(&mut random).unwrap();
        let key = ApiKey::from_random(random);
        let record = accounts::KeyRecord {
            account: self.id.clone(),
            name: "other".to_owned(),
            created_at: now(),
            scopes: scopes.to_vec(),
            daily_cap,
        };
        self.table.create_key(&key, &record).await.unwrap();
        Self { key, ..self.clone() }
    }

    /// A request of this account, to be sent as the test likes.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.key.reveal())
    }

    /// Asks for a clip; answers the job's id.
    pub(crate) async fn ask(&self, body: &Value) -> JobId {
        let (status, answer) = self.post("/v1/clip", body).await;
        assert_eq!((status, &answer["status"]), (200, &json!("pending")), "{answer}");
        JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()
    }

    /// Waits for the end of a job as a client does, and checks on the way that nothing goes back.
    pub(crate) async fn finish(&self, job: &JobId) -> Value {
        let begun = Instant::now();
        let mut progress = 0;
        loop {
            let (status, answer) = self.get(&format!("/v1/clip/{job}?wait=20")).await;
            assert_eq!(status, 200, "{answer}");
            let word = answer["status"].as_str().unwrap();
            if word != "failed" {
                let now = answer["progress"].as_u64().unwrap();
                assert!(now >= progress, "progress went back from {progress}: {answer}");
                progress = now;
            }
            if matches!(word, "complete" | "failed") {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "still not done: {answer}");
        }
    }

    /// Makes a clip and fetches its file.
    pub(crate) async fn clip(&self, body: &Value) -> (Value, Vec<u8>) {
        let job = self.ask(body).await;
        let answer = self.finish(&job).await;
        assert_eq!(answer["status"], "complete", "{answer}");
        let file = self.http.get(answer["download_url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(file.status(), 200);
        let bytes = file.bytes().await.unwrap().to_vec();
        assert_eq!(answer["file_size"], bytes.len());
        (answer, bytes)
    }

    pub(crate) async fn balance(&self) -> f64 {
        let (status, answer) = self.get("/v1/balance").await;
        assert_eq!(status, 200, "{answer}");
        answer["balance"].as_f64().unwrap()
    }

    /// The books of this account balance. Answers what is available and what is held.
    pub(crate) async fn audit(&self) -> (Amount, Amount) {
        let wallet = self.table.wallet(&self.id, WalletKind::Usd).await.unwrap();
        let mut rows = self.table.entries(&self.id, WalletKind::Usd).await.unwrap();
        // Jobs that are under way may have written more since.
        rows.retain(|row| row.entry.seq <= wallet.seq);
        let audit = domain::audit::audit(wallet, rows.iter().map(|row| (&row.entry, row.reference.as_str())));
        assert!(audit.is_ok(), "{audit:?}: {rows:#?}");
        (wallet.available, wallet.held)
    }

    /// How often each kind of entry refers to `job`.
    pub(crate) async fn movements(&self, job: &JobId) -> Vec<EntryKind> {
        let rows = self.table.entries(&self.id, WalletKind::Usd).await.unwrap();
        rows.into_iter().filter(|row| row.reference == job.as_str()).map(|row| row.entry.kind).collect()
    }
}

/// Sends a request and reads the answer, which is JSON whatever happened.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let answer: Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}, not JSON: {text:?}"));
    // Whatever any test makes the product say is said in sentences.
    for told in ["detail", "error"].into_iter().filter_map(|field| answer[field].as_str()) {
        assert!(domain::sentence::is_sentence(told), "{told}");
    }
    (status, answer)
}

/// Waits until something is so.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
