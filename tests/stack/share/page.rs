//! The pages in a real browser: they play, also without their script, in light and dark, on the smallest screen; nothing
//! keeps anybody from using them, and the browser has no complaint.

use domain::ids::JobId;
use domain::money::Amount;
use serde_json::{Value, json};

use crate::root::tool;
use crate::stack::browser::devtools::Chromium;
use crate::stack::cloud;
use crate::stack::cloud::http;
use crate::stack::share::get;
use crate::stack::source::{lavfi, made, served};

/// HTML, style and script of a page together, in bytes.
const PAGE_BYTES_MAX: usize = 50_000;

/// Plays to the end, then jumps about.
const PLAY: &str = "(async () => {
    const media = document.querySelector('video, audio');
    const once = (name) => new Promise((resolve, reject) => {
        media.addEventListener(name, resolve, { once: true });
        media.addEventListener('error', () => reject(new Error(media.error.message)), { once: true });
    });
    media.muted = true;
    const ended = once('ended');
    await media.play();
    await ended;
    const seen = { end: media.currentTime, duration: media.duration, places: [] };
    for (const place of [2.5, 0.4, 1.7]) {
        const there = once('seeked');
        media.currentTime = place;
        await there;
        seen.places.push(media.readyState >= 2 ? media.currentTime : null);
    }
    return seen;
})()";

async fn clip(format: &str) -> JobId {
    let source = made(
        "share.mp4",
        &format!(
            "{} -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -c:a aac -movflags +faststart",
            lavfi("1280x720", "30", 6)
        ),
    );
    let server = served(&source).await;
    let account = cloud().account(Amount::cents(100)).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 4.5, "format": format });
    let (answer, _) = account.clip(&ask).await;
    JobId::parse(answer["clip_id"].as_str().unwrap()).unwrap()
}

async fn plays(chromium: &mut Chromium) {
    let seen = chromium.evaluate(PLAY).await;
    assert!(seen["end"].as_f64().unwrap() > 3.3, "{seen}");
    assert!((seen["duration"].as_f64().unwrap() - 3.5).abs() < 0.15, "{seen}");
    for (found, wanted) in seen["places"].as_array().unwrap().iter().zip([2.5, 0.4, 1.7]) {
        assert!((found.as_f64().unwrap() - wanted).abs() < 0.1, "{seen}");
    }
}

/// axe, with all its rules.
async fn is_usable(chromium: &mut Chromium) {
    let axe = std::fs::read_to_string(format!("{}/axe-core/axe.min.js", tool("NODE_MODULES"))).unwrap();
    chromium.evaluate(&format!("{axe}; null")).await;
    let found = chromium
        .evaluate(
            "axe.run().then(({ violations, passes }) => ({ passes: passes.length, \
             violations: violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]) }))",
        )
        .await;
    assert_eq!(found["violations"], json!([]), "{found}");
    assert!(found["passes"].as_u64().unwrap() > 5, "it looked: {found}");
}

async fn fits(chromium: &mut Chromium, width: u32) {
    let wide = chromium.evaluate("document.documentElement.scrollWidth").await;
    assert_eq!(wide, width, "it scrolls sideways");
}

async fn background(chromium: &mut Chromium) -> Value {
    chromium.evaluate("getComputedStyle(document.body).backgroundColor").await
}

/// Opens a page in both colours and four widths, keeps pictures, and has axe look at it.
async fn looked_at(chromium: &mut Chromium, path: &str, name: &str) {
    let url = cloud().url(path);
    let mut grounds = Vec::new();
    for (width, height, colours) in
        [(1200, 900, "light"), (1200, 900, "dark"), (320, 640, "light"), (320, 640, "dark")]
    {
        chromium.look(width, height, colours).await;
        chromium.open(&url).await;
        fits(chromium, width).await;
        is_usable(chromium).await;
        grounds.push(background(chromium).await);
        if chromium.evaluate("!!document.querySelector('.strip')").await == true {
            chromium
                .evaluate(
                    "new Promise((done) => { const look = () => document.querySelector('.strip').hidden ? \
                     requestAnimationFrame(look) : done(true); look(); })",
                )
                .await;
        }
        chromium.screenshot(&format!("{name}-{colours}-{width}")).await;
        // That there is no such page is no complaint about the page that says so.
        let complaints: Vec<&Value> = chromium
            .complaints()
            .into_iter()
            .filter(|heard| heard["params"]["entry"]["url"] != url)
            .collect();
        assert_eq!(complaints, Vec::<&Value>::new(), "{path}");
    }
    if !name.contains("embed-video") {
        assert_ne!(grounds[0], grounds[1], "{path} is as light in the dark");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_plays_on_its_page_and_in_a_frame() {
    let id = clip("mp4").await;
    let mut chromium = Chromium::start().await;
    looked_at(&mut chromium, &format!("/c/{id}"), "video").await;
    looked_at(&mut chromium, &format!("/embed/{id}"), "embed-video").await;

    let page = cloud().url(&format!("/c/{id}"));
    chromium.look(1200, 900, "light").await;
    chromium.open(&page).await;
    plays(&mut chromium).await;
    assert_eq!(get(&format!("/v1/share/{id}")).await.1["views"], 1, "who plays has seen it");
    // The row of thumbnails is a way to jump, by keyboard too.
    let place = chromium
        .evaluate(
            "(async () => { const video = document.querySelector('video'); const input = document.querySelector('.strip input'); \
             const there = new Promise((done) => video.addEventListener('seeked', done, { once: true })); \
             input.value = 3; input.dispatchEvent(new Event('input')); await there; \
             return [video.currentTime, input.getAttribute('aria-valuetext')]; })()",
        )
        .await;
    assert_eq!((place[0].as_f64(), &place[1]), (Some(3.0), &json!("0:03 of 0:03")));
    // A link that does not work any more is renewed, and what played goes on.
    let renewed = chromium
        .evaluate(
            "(async () => { const video = document.querySelector('video'); video.currentTime = 0; await video.play(); \
             video.src = video.src.replace(/Signature=[^&]+/, 'Signature=0'); \
             await new Promise((done) => video.addEventListener('playing', done, { once: true })); \
             return video.src; })()",
        )
        .await;
    assert!(!renewed.as_str().unwrap().ends_with("Signature=0"), "{renewed}");

    // Another site's page with the code that ours gives out.
    let code = chromium.evaluate("document.getElementById('code').value").await;
    let embedding = crate::stack::pages::Site::start(move |_, _| {
        crate::stack::pages::page("Elsewhere", "", code.as_str().unwrap())
    })
    .await;
    chromium.open(&embedding.url("/")).await;
    // The frame is loaded lazily, behind the page; a refused one would be another page, without a video.
    let world = chromium.in_frame(&cloud().url(&format!("/embed/{id}"))).await;
    let playing = "(async () => { const video = document.querySelector('video'); video.muted = true; \
                   await video.play(); return video.readyState >= 2; })()";
    assert_eq!(chromium.evaluate_in(playing, Some(world)).await, true);
    chromium.screenshot("embedded-elsewhere").await;
    assert_eq!(chromium.complaints(), Vec::<&Value>::new());
    assert_eq!(chromium.evaluate("document.querySelector('iframe').clientWidth").await, 640);

    // Without the script.
    chromium.call("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    chromium.open(&page).await;
    let hidden = chromium.evaluate("document.querySelector('.strip').hidden").await;
    assert_eq!(hidden, true, "no script ran");
    // Where scripts are off no listener hears anything: the test looks again and again.
    let video = "document.querySelector('video')";
    chromium.evaluate(&format!("{video}.muted = true; void {video}.play()")).await;
    chromium.until(&format!("{video}.ended")).await;
    for place in [2.5, 0.4] {
        chromium.evaluate(&format!("{video}.currentTime = {place}")).await;
        chromium.until(&format!("!{video}.seeking && {video}.readyState >= 2")).await;
        assert_eq!(chromium.evaluate(&format!("{video}.currentTime")).await.as_f64(), Some(place));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_pictures_have_pages_too() {
    let (sound, picture) = tokio::join!(clip("mp3"), clip("gif"));
    let mut chromium = Chromium::start().await;
    looked_at(&mut chromium, &format!("/c/{sound}"), "sound").await;
    looked_at(&mut chromium, &format!("/embed/{sound}"), "embed-sound").await;
    chromium.look(480, 132, "light").await;
    chromium.open(&cloud().url(&format!("/embed/{sound}"))).await;
    chromium.screenshot("embed-sound-light-480").await;
    plays(&mut chromium).await;
    looked_at(&mut chromium, &format!("/c/{picture}"), "picture").await;
    looked_at(&mut chromium, &format!("/embed/{picture}"), "embed-video-picture").await;
    assert_eq!(
        get(&format!("/v1/share/{picture}")).await.1["views"],
        1,
        "a picture is seen when it is shown"
    );
    looked_at(&mut chromium, "/c/aaaaaaaaaaaaaaaa", "gone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_small() {
    let id = clip("mp4").await;
    let size = |path: String| async move {
        let answer = http().get(cloud().url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.bytes().await.unwrap()
    };
    let page = size(format!("/c/{id}")).await;
    let text = String::from_utf8_lossy(&page).into_owned();
    let script = text.split_once("<script src=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let answer = http().get(cloud().url(&script)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let sum = page.len() + answer.bytes().await.unwrap().len();
    assert!(sum < PAGE_BYTES_MAX, "{sum} bytes");
}
