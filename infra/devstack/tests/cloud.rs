//! The devstack as its users see it: a small stack of its own, real processes, the AWS SDK.

// Helpers of tests stop at the first surprise, as tests do; clippy knows only the tests themselves.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use devstack::{Devstack, Info, Options};
use serde_json::{Value as Json, json};

/// A folder of this test run, removed at the end.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::create_dir_all(path.join("bin")).unwrap();
        for area in ["clips", "stages", "media"] {
            let program = path.join("bin").join(area);
            std::fs::copy(fixtures().join("lambda.py"), &program).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn options(&self) -> Options {
        let mut options = Options::new(&places::root().unwrap()).unwrap();
        options.template = fixtures().join("template.yaml");
        options.state = self.path().join("state");
        options.port = 0;
        options.bin_dir = self.path().join("bin");
        options
    }
}

fn fixtures() -> PathBuf {
    places::root().unwrap().join("infra/devstack/tests/fixtures")
}

async fn sdk(info: &Info, endpoint: &str) -> aws_config::SdkConfig {
    let keys = aws_sdk_s3::config::Credentials::new(
        info.access_key_id.clone(),
        info.secret_access_key.clone(),
        None,
        None,
        "devstack",
    );
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(store::https().unwrap())
        .region(aws_config::Region::new(info.region.clone()))
        .credentials_provider(keys)
        .endpoint_url(endpoint)
        .load()
        .await
}

/// The S3 client makes checksum trailers and signs as it does on AWS; nothing is turned off for the local cloud.
#[tokio::test(flavor = "multi_thread")]
async fn objects_and_state_survive_a_restart_and_s3_speaks_with_the_sdk() {
    let scratch = Scratch::new();
    let stack = Devstack::start(scratch.options()).await.unwrap();
    let info = stack.info().clone();
    let s3 = aws_sdk_s3::Client::new(&sdk(&info, &info.s3_url).await);
    let bucket = info.buckets["MediaBucket"].as_str();

    let put = s3.put_object().bucket(bucket).key("work/a b.mp4").content_type("video/mp4");
    put.body(ByteStream::from(vec![7_u8; 100_000])).send().await.unwrap();
    let head = s3.head_object().bucket(bucket).key("work/a b.mp4").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(100_000), Some("video/mp4")));
    let part = s3.get_object().bucket(bucket).key("work/a b.mp4").range("bytes=10-19").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().into_bytes().len(), 10);
    let source = format!("{bucket}/work/a%20b.mp4");
    s3.copy_object().bucket(bucket).key("clips/24h/c.mp4").copy_source(source).send().await.unwrap();
    multipart(&s3, bucket).await;

    let listed = s3.list_objects_v2().bucket(bucket).prefix("clips/").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["clips/24h/big.bin", "clips/24h/c.mp4"]);
    presigned(&s3, bucket).await;

    s3.delete_object().bucket(bucket).key("clips/24h/big.bin").send().await.unwrap();
    let more = ["work/a b.mp4", "never-was"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let more = Delete::builder().set_objects(Some(more.to_vec())).build().unwrap();
    s3.delete_objects().bucket(bucket).delete(more).send().await.unwrap();
    assert!(
        s3.head_object()
            .bucket(bucket)
            .key("work/a b.mp4")
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_not_found()
    );

    let put = json!({"TableName": info.tables["Table"], "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}});
    dynamodb(&info, "PutItem", &put).await;
    stack.stop().await;

    let stack = Devstack::start(scratch.options()).await.unwrap();
    let info = stack.info().clone();
    let get = json!({"TableName": info.tables["Table"], "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}});
    assert_eq!(dynamodb(&info, "GetItem", &get).await["Item"]["sk"]["S"], "b");
    let s3 = aws_sdk_s3::Client::new(&sdk(&info, &info.s3_url).await);
    s3.head_object().bucket(bucket).key("clips/24h/c.mp4").send().await.unwrap();
    let second = Devstack::start(scratch.options()).await.unwrap_err();
    assert!(second.to_string().contains("another devstack"), "{second}");
    stack.stop().await;
}

async fn multipart(s3: &aws_sdk_s3::Client, bucket: &str) {
    let key = "clips/24h/big.bin";
    let upload = s3.create_multipart_upload().bucket(bucket).key(key).send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = Vec::new();
    for (number, size) in [(1, 5 << 20), (2, 1000)] {
        let body = ByteStream::from(vec![1_u8; size]);
        let part = s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number);
        let part = part.body(body).send().await.unwrap();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(part.e_tag)
                .set_checksum_crc32(part.checksum_crc32)
                .build(),
        );
    }
    let listed = s3.list_parts().bucket(bucket).key(key).upload_id(id).send().await.unwrap();
    let listed: Vec<_> =
        listed.parts().iter().map(|part| (part.part_number(), part.size(), part.e_tag())).collect();
    assert_eq!(
        listed,
        [(Some(1), Some(5 << 20), parts[0].e_tag()), (Some(2), Some(1000), parts[1].e_tag())],
        "as S3 tells them"
    );
    let complete = |parts: Vec<CompletedPart>| {
        let done = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(id).multipart_upload(done).send()
    };
    // What is not all there is refused, and nothing is lost by it.
    let missing = CompletedPart::builder().part_number(3).e_tag("\"a\"").build();
    let other = CompletedPart::builder().part_number(2).e_tag("\"a\"").build();
    for wrong in [missing, other] {
        let refused = complete(vec![parts[0].clone(), wrong]).await.unwrap_err();
        assert_eq!(refused.code(), Some("InvalidPart"));
    }
    complete(parts).await.unwrap();
    let abort = s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(id).send().await;
    assert_eq!(abort.unwrap_err().code(), Some("NoSuchUpload"), "it has ended");
    let head = s3.head_object().bucket(bucket).key(key).send().await.unwrap();
    assert_eq!(head.content_length(), Some((5 << 20) + 1000));
}

/// A link carries the name to save under; a changed link is refused.
async fn presigned(s3: &aws_sdk_s3::Client, bucket: &str) {
    let link = s3
        .get_object()
        .bucket(bucket)
        .key("clips/24h/c.mp4")
        .response_content_disposition("attachment; filename=\"my clip.mp4\"")
        .response_content_type("video/x-test")
        .presigned(PresigningConfig::expires_in(Duration::from_secs(60)).unwrap())
        .await
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(link.uri()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"my clip.mp4\"");
    assert_eq!(answer.headers()["content-type"], "video/x-test");
    assert_eq!(answer.bytes().await.unwrap().len(), 100_000);
    let answer = client.get(link.uri()).header("range", "bytes=-5").send().await.unwrap();
    assert_eq!(answer.status(), 206);
    let changed = link.uri().replace("my%20clip", "other");
    assert_eq!(client.get(changed).send().await.unwrap().status(), 403);
    assert_eq!(client.get(link.uri().split('?').next().unwrap()).send().await.unwrap().status(), 403);
}

async fn dynamodb(info: &Info, action: &str, body: &Json) -> Json {
    aws_json(&info.dynamodb_url, "dynamodb", &format!("DynamoDB_20120810.{action}"), body).await
}

async fn states(info: &Info, action: &str, body: &Json) -> Json {
    aws_json(&info.ministack_url, "states", &format!("AWSStepFunctions.{action}"), body).await
}

async fn aws_json(url: &str, service: &str, target: &str, body: &Json) -> Json {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let scope = format!("Credential=test/20260101/us-east-1/{service}/aws4_request");
    let answer = client
        .post(url)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{target}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_and_functions_crash_once_on_demand() {
    let scratch = Scratch::new();
    let faults = scratch.path().join("faults");
    let mut options = scratch.options();
    options.faults = Some(faults.clone());
    let stack = Devstack::start(options).await.unwrap();
    let info = stack.info().clone();

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/clip/j1?a=1", info.base_url);
    let answer = client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let answer: Json = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["public_url"], info.base_url);
    assert_eq!(answer["table"], "clipwright-Table");
    assert_eq!(answer["event"]["pathParameters"]["job_id"], "j1");
    assert_eq!(answer["event"]["rawQueryString"], "a=1");
    assert_eq!(client.get(&url).send().await.unwrap().status(), 404);
    assert_eq!(client.post(&url).body(vec![0; 11 << 20]).send().await.unwrap().status(), 413);

    std::fs::write(faults.join("stages.reserve.start"), "").unwrap();
    std::fs::write(faults.join("media.process.end"), "").unwrap();
    let start = json!({"stateMachineArn": info.state_machines["ClipMachine"], "name": "job1", "input": "{}"});
    let execution = states(&info, "StartExecution", &start).await["executionArn"].clone();
    let deadline = Instant::now() + Duration::from_secs(30);
    let described = loop {
        let described = states(&info, "DescribeExecution", &json!({"executionArn": execution})).await;
        if described["status"] != "RUNNING" || Instant::now() > deadline {
            break described;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(described["status"], "SUCCEEDED");
    assert_eq!(std::fs::read_dir(&faults).unwrap().count(), 0, "each fault was used up");
    let log = |function: &str| {
        std::fs::read_to_string(info.logs.join(format!("{}.log", info.functions[function]))).unwrap()
    };
    // Killed before its work: the second start did it once. Killed after it: both did it.
    let lines =
        |function: &str, word: &str| log(function).lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((lines("Reserve", "cold"), lines("Reserve", "work")), (2, 1));
    assert_eq!((lines("Process", "cold"), lines("Process", "work")), (2, 2));
    stack.stop().await;
}

#[test]
fn nothing_outlives_a_killed_devstack() {
    let scratch = Scratch::new();
    let mark = scratch.path().to_str().unwrap().to_owned();
    let mut up = Command::new(scratch.options().exe)
        .args(["up", "--port", "0", "--root"])
        .arg(scratch.options().root)
        .arg("--template")
        .arg(fixtures().join("template.yaml"))
        .arg("--state")
        .arg(scratch.path().join("state"))
        .arg("--bin-dir")
        .arg(scratch.path().join("bin"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(up.stdout.take().unwrap()), &mut line).unwrap();
    let info: Info = serde_json::from_str(&line).unwrap();
    let called = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(format!("{}/v1/clip/j1", info.base_url)).send().await.unwrap().status()
    });
    assert_eq!(called, 201);
    assert!(living(&mark) >= 2, "the devstack and a function run");
    up.kill().unwrap();
    up.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while living(&mark) > 0 {
        assert!(Instant::now() < deadline, "processes are left over");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes with `mark` in their command line or their folder. ministack runs in the state folder.
fn living(mark: &str) -> usize {
    let of = |entry: std::fs::DirEntry| {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        line.contains(mark) || folder.to_string_lossy().contains(mark)
    };
    std::fs::read_dir("/proc").unwrap().flatten().map(of).filter(|found| *found).count()
}
