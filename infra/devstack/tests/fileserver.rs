//! The file server as a source: ranges, counting, and the faults that tests choose.

use std::time::Duration;

use devstack::fileserver::{Behaviour, FileServer};

#[tokio::test]
async fn ranges_are_served_and_counted() {
    let file = std::env::temp_dir().join(format!("devstack fileserver {}.mp4", std::process::id()));
    std::fs::write(&file, (0..=255_u8).cycle().take(100_000).collect::<Vec<_>>()).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let server = FileServer::start(&file, Behaviour::Ranges).await.unwrap();
    let head = client.head(server.url()).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()), (200, "100000"));
    assert_eq!(head.headers()["accept-ranges"], "bytes");
    assert_eq!(server.bytes_served(), 0);
    let part = client.get(server.url()).header("range", "bytes=256-259").send().await.unwrap();
    assert_eq!(part.headers()["content-range"], "bytes 256-259/100000");
    assert_eq!(part.bytes().await.unwrap().as_ref(), [0, 1, 2, 3]);
    let suffix = client.get(server.url()).header("range", "bytes=-10").send().await.unwrap();
    assert_eq!((suffix.status().as_u16(), suffix.bytes().await.unwrap().len()), (206, 10));
    assert_eq!((server.bytes_served(), server.requests()), (14, 3));
    let stale = client.get(server.url()).header("range", "bytes=0-9").header("if-range", "\"old\"");
    assert_eq!(stale.send().await.unwrap().status(), 200);
    let beyond = client.get(server.url()).header("range", "bytes=100000-").send().await.unwrap();
    assert_eq!(
        (beyond.status().as_u16(), beyond.headers()["content-range"].to_str().unwrap()),
        (416, "bytes */100000")
    );
    let guessed = format!("{}x", server.url());
    assert_eq!(client.get(guessed).send().await.unwrap().status(), 404);

    let whole = FileServer::start(&file, Behaviour::NoRanges).await.unwrap();
    let answer = client.get(whole.url()).header("range", "bytes=0-9").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (200, 100_000));
    let broken = FileServer::start(&file, Behaviour::Truncated(1000)).await.unwrap();
    let answer = client.get(broken.url()).send().await.unwrap();
    assert!(answer.bytes().await.is_err());
    assert_eq!(broken.bytes_served(), 1000);
    let stalled = FileServer::start(&file, Behaviour::Stalled(1000)).await.unwrap();
    let answer = client.get(stalled.url()).send().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), answer.bytes()).await.is_err());
    std::fs::remove_file(file).unwrap();
}
