//! Shared clips: for programs, as pages, in somebody else's page, and what is left of them when they are gone.

mod page;

use std::process::Command;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::JobId;
use domain::money::Amount;
use domain::rate::Window;
use domain::time::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::root::tool;
use crate::stack::cloud::{answer, http, now};
use crate::stack::door::secrets::{client, logs, whole_table};
use crate::stack::source::{served, usual};
use crate::stack::{Account, cloud};

const DAY_MS: i64 = 86_400_000;

/// A page: status, headers, text.
async fn page(path: &str) -> (u16, HeaderMap, String) {
    let answer = http().get(cloud().url(path)).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.text().await.unwrap())
}

async fn get(path: &str) -> (u16, Value) {
    answer(http().get(cloud().url(path))).await
}

async fn view(id: &JobId) -> (u16, Value) {
    answer(http().post(cloud().url(&format!("/v1/share/{id}/view")))).await
}

/// A clip of the usual source; answers its owner, too.
async fn clip(format: &str) -> (Account, JobId) {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let (answer, _) =
        account.clip(&json!({ "url": server.url(), "start": 1, "end": 4, "format": format })).await;
    (account, JobId::parse(answer["clip_id"].as_str().unwrap()).unwrap())
}

/// Moves the end of a clip's life.
async fn expire_at(id: &JobId, at: Timestamp) {
    let (client, table) = client(cloud());
    let update = client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("CLIP#{id}")))
        .key("sk", AttributeValue::S("CLIP".to_owned()))
        .update_expression("SET expires_at = :at")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":at", AttributeValue::N(at.0.to_string()));
    update.send().await.unwrap();
}

/// parse5 reads it as browsers do and names what the standard calls an error.
pub(crate) fn is_well_formed(html: &str) {
    let program = format!(
        "import {{ parse }} from {:?}; import {{ readFileSync }} from 'node:fs';\
         parse(readFileSync(0, 'utf8'), {{ onParseError: (error) => console.log(JSON.stringify(error)) }});",
        format!("{}/parse5/dist/index.js", tool("NODE_MODULES"))
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), html).unwrap();
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", &program]).stdin(std::fs::File::open(file.path()).unwrap());
    let output = node.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{html}");
}

/// The content of a `meta` element, as it is written.
fn meta<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!("\"{name}\" content=\""))?;
    rest.split_once('"').map(|(content, _)| content)
}

fn policy(headers: &HeaderMap) -> &str {
    headers["content-security-policy"].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_shared_with_whoever_has_its_link() {
    let (account, id) = clip("mp4").await;
    let (status, shared) = get(&format!("/v1/share/{id}")).await;
    assert_eq!(status, 200, "{shared}");
    let (_, own) = account.get(&format!("/v1/clip/{id}")).await;
    for (name, other) in [
        ("name", "file_name"),
        ("format", "format"),
        ("quality", "quality"),
        ("duration", "duration"),
        ("file_size", "file_size"),
        ("aspect_ratio", "aspect_ratio"),
        ("share_url", "share_url"),
        ("embed_url", "embed_url"),
        ("expires_at", "expires_at"),
    ] {
        assert_eq!(shared[name], own[other], "{name}: {shared} {own}");
    }
    assert_eq!(shared["views"], 0);
    let text = shared.to_string();
    assert!(!text.contains(account.id.as_str()), "{text}");
    let bytes = |link: &Value| {
        let link = link.as_str().unwrap().to_owned();
        async move { http().get(link).send().await.unwrap() }
    };
    let (streamed, saved) = (bytes(&shared["stream_url"]).await, bytes(&shared["download_url"]).await);
    assert_eq!(streamed.headers()["content-type"], "video/mp4");
    assert!(streamed.headers().get("content-disposition").is_none());
    let disposition = saved.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.contains(shared["name"].as_str().unwrap()), "{disposition}");
    assert_eq!(streamed.bytes().await.unwrap(), saved.bytes().await.unwrap());
    assert_eq!(bytes(&shared["poster_url"]).await.headers()["content-type"], "image/jpeg");
    assert_eq!(bytes(&shared["sprite_vtt_url"]).await.status(), 200);
    assert!(shared["stream_url"].as_str().unwrap().contains("X-Amz-Expires=21600"), "{shared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_what_it_shows_and_lets_nothing_else_in() {
    let (_, id) = clip("mp4").await;
    let path = format!("/c/{id}");
    let (status, headers, html) = page(&path).await;
    assert_eq!((status, &headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    is_well_formed(&html);
    let base = &cloud().info.base_url;
    for (name, content) in [
        ("og:url", format!("{base}{path}")),
        ("og:type", "video.other".to_owned()),
        ("og:title", "clip_0-01-0-04".to_owned()),
        ("og:video:type", "video/mp4".to_owned()),
        ("og:video:width", "320".to_owned()),
        ("og:image:height", "180".to_owned()),
        ("twitter:card", "player".to_owned()),
        ("twitter:player", format!("{base}/embed/{id}")),
        ("twitter:player:width", "320".to_owned()),
    ] {
        assert_eq!(meta(&html, name), Some(content.as_str()), "{name}");
    }
    // What crawlers fetch is there.
    for name in ["og:image", "og:video", "twitter:image"] {
        let link = meta(&html, name).unwrap().replace("&#38;", "&").replace("&amp;", "&");
        assert_eq!(http().get(&link).send().await.unwrap().status(), 200, "{link}");
    }
    let (_, rest) = html.split_once("application/json+oembed\" href=\"").unwrap();
    let discovered = rest.split_once('"').unwrap().0.replace("&#38;", "&").replace("&amp;", "&");
    let (status, embed) = answer(http().get(&discovered)).await;
    assert_eq!((status, &embed["type"], &embed["version"]), (200, &json!("video"), &json!("1.0")), "{embed}");

    let policy = policy(&headers);
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert_eq!(headers["cache-control"], "no-store");

    let (status, headers, html) = page(&format!("/embed/{id}")).await;
    assert_eq!(status, 200);
    is_well_formed(&html);
    assert!(self::policy(&headers).contains("frame-ancestors *"));

    // Who only asks whether it is there is told, without the page itself.
    for (path, status) in
        [(path, 200), (format!("/embed/{id}"), 200), ("/c/aaaaaaaaaaaaaaaa".to_owned(), 404)]
    {
        let head = http().head(cloud().url(&path)).send().await.unwrap();
        assert_eq!(
            (head.status().as_u16(), head.headers()["content-type"].to_str().unwrap()),
            (status, "text/html; charset=utf-8")
        );
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_anywhere_is_text_and_nothing_more() {
    let (_, id) = clip("gif").await;
    let name = r#""><script>alert('1')</script>&amp; 雨 {{ x }}.gif"#;
    let (client, table) = client(cloud());
    let rename = client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("CLIP#{id}")))
        .key("sk", AttributeValue::S("CLIP".to_owned()))
        .update_expression("SET #name = :name")
        .expression_attribute_names("#name", "name")
        .expression_attribute_values(":name", AttributeValue::S(name.to_owned()));
    rename.send().await.unwrap();
    for path in [format!("/c/{id}"), format!("/embed/{id}")] {
        let (status, _, html) = page(&path).await;
        assert_eq!(status, 200);
        assert!(html.contains("雨 {{ x }}") && !html.contains("<script>"), "{html}");
        is_well_formed(&html);
    }
    let (_, embed) = get(&format!("/oembed?url={}/c/{id}", cloud().info.base_url)).await;
    assert_eq!((&embed["type"], &embed["width"]), (&json!("rich"), &json!(320)), "{embed}");
    assert!(!embed["html"].as_str().unwrap().contains("<script"), "{embed}");
    assert_eq!(embed["title"], name.trim_end_matches(".gif"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oembed_answers_as_its_specification_says() {
    let (_, id) = clip("mp4").await;
    let base = &cloud().info.base_url;
    let ask = |more: &'static str| {
        let path = format!("/oembed?url={base}/c/{id}{more}");
        async move { get(&path).await }
    };
    let (status, embed) = ask("").await;
    assert_eq!(status, 200, "{embed}");
    assert_eq!((&embed["width"], &embed["height"]), (&json!(320), &json!(180)), "{embed}");
    assert_eq!((&embed["thumbnail_width"], &embed["thumbnail_height"]), (&json!(320), &json!(180)));
    assert_eq!(http().get(embed["thumbnail_url"].as_str().unwrap()).send().await.unwrap().status(), 200);
    let html = embed["html"].as_str().unwrap();
    assert!(html.starts_with("<iframe ") && html.contains(&format!("src=\"{base}/embed/{id}\"")), "{html}");
    is_well_formed(&format!("<!doctype html><title>x</title>{html}"));

    let (_, small) = ask("&maxwidth=200&maxheight=60&format=json").await;
    assert_eq!((&small["width"], &small["height"]), (&json!(106), &json!(60)), "{small}");
    assert!(
        small["thumbnail_url"].is_null() && small["thumbnail_width"].is_null(),
        "it would not fit: {small}"
    );
    assert!(small["html"].as_str().unwrap().contains("width=\"106\" height=\"60\""), "{small}");
    let (_, player) = get(&format!("/oembed?url={base}/embed/{id}")).await;
    assert_eq!(player["html"], embed["html"]);

    for (path, status) in [
        ("/oembed".to_owned(), 400),
        (format!("/oembed?url={base}/c/{id}&maxwidth=wide"), 400),
        (format!("/oembed?url={base}/c/{id}&maxheight=0"), 400),
        (format!("/oembed?url={base}/c/{id}&format=xml"), 501),
        (format!("/oembed?url={base}/c/aaaaaaaaaaaaaaaa"), 404),
        (format!("/oembed?url=https://example.com/c/{id}"), 404),
        ("/oembed?url=nothing".to_owned(), 404),
    ] {
        let (found, problem) = get(&path).await;
        assert_eq!((found, &problem["status"]), (status, &json!(status)), "{path}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_counts_once_a_day_and_nobody_is_kept() {
    let (_, id) = clip("mp3").await;
    for _ in 0..3 {
        assert_eq!(view(&id).await, (200, json!({ "views": 1 })));
    }
    assert_eq!(get(&format!("/v1/share/{id}")).await.1["views"], 1);
    // Other addresses cannot be had here, nor other days: below HTTP they can.
    let (table, today) = (cloud().table(), now());
    let at_once = (0..8).map(|_| table.count_view(&id, "192.0.2.77", today));
    for views in futures_util::future::join_all(at_once).await {
        assert!(matches!(views.unwrap(), Some(1 | 2)));
    }
    assert_eq!(table.count_view(&id, "192.0.2.77", today).await.unwrap(), Some(2));
    assert_eq!(table.count_view(&id, "2001:db8:77::", today).await.unwrap(), Some(3));
    let tomorrow = Timestamp(Window::Day.end(today) * 1000);
    expire_at(&id, tomorrow.plus_ms(DAY_MS)).await;
    assert_eq!(table.count_view(&id, "192.0.2.77", tomorrow).await.unwrap(), Some(4));
    assert_eq!(table.count_view(&id, "192.0.2.77", tomorrow).await.unwrap(), Some(4));
    assert_eq!(get(&format!("/v1/share/{id}")).await.1["views"], 4);
    let (_, _, html) = page(&format!("/c/{id}")).await;
    assert!(html.contains("seen 4 times"), "{html}");

    let items = whole_table(cloud()).await;
    let marks: Vec<&String> = items.iter().filter(|item| item.contains("VIEW#")).collect();
    assert!(marks.len() >= 4, "{marks:#?}");
    for address in ["192.0.2.77", "2001:db8:77", &domain::ids::digest("192.0.2.77")] {
        assert!(!items.iter().any(|item| item.contains(address)), "{address} is kept");
    }
    // The link is the clip's secret: whoever reads the log of its page does not learn it.
    let lines: Vec<_> = logs(cloud())
        .into_iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.contains("\"handler\":\"pages.") && line.contains("\"answered\""))
        .collect();
    assert!(lines.iter().any(|line| line.contains("\"route\":\"/c/{clip_id}\"")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains(id.as_str())), "{lines:?}");
    for item in items.iter().filter(|item| item.contains("VIEW#") || item.contains("SALT#")) {
        assert!(item.contains("\"ttl\""), "it stays: {item}");
    }
}

/// Everything that leads to a clip that is not there.
async fn is_gone(id: &str) {
    for path in [format!("/c/{id}"), format!("/embed/{id}")] {
        let (status, headers, html) = page(&path).await;
        assert_eq!((status, &headers["content-type"]), (404, &"text/html; charset=utf-8".parse().unwrap()));
        is_well_formed(&html);
        assert!(html.contains("This clip is not here") && !html.contains(id), "{html}");
        let ancestors = if path.starts_with("/c/") { "'none'" } else { "*" };
        assert!(policy(&headers).ends_with(&format!("frame-ancestors {ancestors}")), "{}", policy(&headers));
    }
    let share = format!("/v1/share/{id}");
    let post = http().post(cloud().url(&format!("{share}/view")));
    let oembed = format!("/oembed?url={}/c/{id}", cloud().info.base_url);
    for (status, problem) in [get(&share).await, answer(post).await, get(&oembed).await] {
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
        assert_eq!(problem["detail"], "Clip not found.");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_gone_everywhere() {
    is_gone("aaaaaaaaaaaaaaaa").await;
    is_gone("NOT-AN-ID").await;

    let (_, id) = clip("mp4").await;
    expire_at(&id, now().plus_ms(90_000)).await;
    let (status, shared) = get(&format!("/v1/share/{id}")).await;
    assert_eq!(status, 200);
    let link = shared["stream_url"].as_str().unwrap();
    let (_, rest) = link.split_once("X-Amz-Expires=").unwrap();
    let seconds: u64 = rest.split('&').next().unwrap().parse().unwrap();
    assert!(seconds <= 90, "a link outlives its clip: {link}");
    expire_at(&id, now()).await;
    is_gone(id.as_str()).await;

    let (account, id) = clip("mp3").await;
    let (status, pinned) = account.post(&format!("/v1/clips/{id}/pin"), &json!({})).await;
    assert_eq!(status, 200, "{pinned}");
    let (_, shared) = get(&format!("/v1/share/{id}")).await;
    assert_eq!((&shared["pinned"], &shared["expires_at"]), (&json!(true), &json!("")), "{shared}");
    assert_eq!(http().get(shared["stream_url"].as_str().unwrap()).send().await.unwrap().status(), 200);
    assert!(page(&format!("/c/{id}")).await.2.contains("Here to stay"));
    let deleted = account.request(reqwest::Method::DELETE, &format!("/v1/clips/{id}")).send().await.unwrap();
    assert!(deleted.status().is_success(), "{deleted:?}");
    is_gone(id.as_str()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_has_a_page_only_if_it_is_saved() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    for saved in [false, true] {
        let ask = json!({ "url": server.url(), "save_to_library": saved });
        let (status, accepted) = account.post("/v1/download", &ask).await;
        assert_eq!(status, 200, "{accepted}");
        let job = JobId::parse(accepted["job_id"].as_str().unwrap()).unwrap();
        let done = account.finish(&job).await;
        assert_eq!(done["status"], "complete", "{done}");
        if saved {
            assert_eq!(page(done["share_url"].as_str().unwrap()).await.0, 200);
        } else {
            is_gone(job.as_str()).await;
        }
    }
}
