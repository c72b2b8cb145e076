//! What S3 says within an answer of 200. The local S3 never fails to delete, so these answers are written here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use store::objects::Objects;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A bucket that answers each request with the next of `answers`, and then what it was asked.
async fn answering(answers: Vec<String>) -> (Objects, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body ends with the element that it began with.
            while !request.windows(9).any(|end| end == b"</Delete>") {
                assert!(connection.read_buf(&mut request).await.unwrap() > 0);
            }
            asked.push(String::from_utf8(request).unwrap());
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            connection.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        }
        asked
    });
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(store::https().unwrap())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .build();
    (Objects::new(aws_sdk_s3::Client::from_conf(config), "bucket".to_owned()), asked)
}

fn errors(of: &[(&str, &str)]) -> String {
    let errors: String =
        of.iter().map(|(key, code)| format!("<Error><Key>{key}</Key><Code>{code}</Code></Error>")).collect();
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><DeleteResult>{errors}</DeleteResult>"#)
}

fn keys(of: &[&str]) -> Vec<String> {
    of.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn what_could_not_be_deleted_is_tried_again_and_nothing_else() {
    let (objects, asked) = answering(vec![errors(&[("b", "SlowDown")]), errors(&[])]).await;
    objects.delete(&keys(&["a", "b", "c"])).await.unwrap();
    let asked = asked.await.unwrap();
    let named =
        |request: &String| ["a", "b", "c"].map(|key| request.contains(&format!("<Key>{key}</Key>"))).to_vec();
    assert_eq!(asked.iter().map(named).collect::<Vec<_>>(), [[true, true, true], [false, true, false]]);
}

#[tokio::test]
async fn an_object_that_stays_is_an_error() {
    let denied = || errors(&[("b", "AccessDenied"), ("c", "AccessDenied")]);
    let (objects, asked) = answering(vec![denied(), denied(), denied()]).await;
    let problem = objects.delete(&keys(&["a", "b", "c"])).await.unwrap_err().to_string();
    assert_eq!(problem, "DeleteObjects failed: 2 of 3 objects stay: AccessDenied");
    asked.await.unwrap();
}

#[tokio::test]
async fn nothing_to_delete_asks_for_nothing() {
    let (objects, asked) = answering(Vec::new()).await;
    objects.delete(&[]).await.unwrap();
    asked.await.unwrap();
}

#[tokio::test]
async fn more_than_a_call_takes_are_several() {
    let (objects, asked) = answering(vec![errors(&[]), errors(&[])]).await;
    let many: Vec<String> = (0..1001).map(|number| format!("k{number}")).collect();
    objects.delete(&many).await.unwrap();
    let asked = asked.await.unwrap();
    assert_eq!(asked.iter().map(|one| one.matches("<Key>").count()).collect::<Vec<_>>(), [1000, 1]);
}
