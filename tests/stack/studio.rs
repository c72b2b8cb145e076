//! The Studio and the account's page, used as a person uses them: with a mouse, or with nothing but a keyboard.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::money::Amount;
use reqwest::Method;
use serde_json::{Value, json};

use crate::root::tool;
use crate::stack::browser::devtools::Chromium;
use crate::stack::cloud::{answer, http};
use crate::stack::door::browser::{Browser, address, mails};
use crate::stack::exact::{compare, times};
use crate::stack::source::{lavfi, made, served};
use crate::stack::{Cloud, cloud};

/// All that the first page loads, compressed.
const FIRST_PAGE_BYTES_MAX: usize = 120_000;
/// Longer than a mail takes.
const MAIL_PATIENCE: Duration = Duration::from_secs(30);

fn source() -> PathBuf {
    let form = "-c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -c:a aac -movflags +faststart";
    made("studio.mp4", &format!("{} {form}", lavfi("640x360", "30", 12)))
}

/// What the page has at `expression`, as text.
async fn text(chromium: &mut Chromium, id: &str) -> String {
    let found = chromium
        .evaluate(&format!(
            "(({{ value, textContent }}) => value ?? textContent)(document.getElementById('{id}'))"
        ))
        .await;
    found.as_str().unwrap().to_owned()
}

async fn click(chromium: &mut Chromium, selector: &str) {
    chromium.evaluate(&format!("document.querySelector({}).click()", json!(selector))).await;
}

/// Types as a keyboard does, wherever the focus is.
async fn types(chromium: &mut Chromium, words: &str) {
    chromium.call("Input.insertText", json!({ "text": words })).await;
}

async fn press(chromium: &mut Chromium, key: &str, code: &str, shift: bool) {
    let text = if key.len() == 1 { json!(key) } else { json!(null) };
    for kind in ["keyDown", "keyUp"] {
        let mut event =
            json!({ "type": kind, "key": key, "code": code, "modifiers": if shift { 8 } else { 0 } });
        if kind == "keyDown" && !text.is_null() {
            event["text"] = text.clone();
        }
        let number = match key {
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "Enter" => 13,
            _ => 0,
        };
        if number > 0 {
            event["windowsVirtualKeyCode"] = json!(number);
        }
        if key == "Enter" && kind == "keyDown" {
            event["text"] = json!("\r");
        }
        chromium.call("Input.dispatchKeyEvent", event).await;
    }
}

/// Drags on the timeline from one share of its width to another.
async fn drags(chromium: &mut Chromium, from: f64, to: f64) {
    chromium.evaluate("document.getElementById('timeline').scrollIntoView({ block: 'center' })").await;
    let place = chromium
        .evaluate("(({ left, top, width, height }) => [left, top + height / 2, width])(document.getElementById('timeline').getBoundingClientRect())")
        .await;
    let [left, middle, width] = [0, 1, 2].map(|at| place[at].as_f64().unwrap());
    let event = |kind: &str, share: f64, buttons: u32| {
        json!({
            "type": kind, "x": left + width * share, "y": middle, "button": "left", "buttons": buttons, "clickCount": 1,
        })
    };
    chromium.call("Input.dispatchMouseEvent", event("mousePressed", from, 1)).await;
    for step in 1..=8 {
        let share = from + (to - from) * f64::from(step) / 8.0;
        chromium.call("Input.dispatchMouseEvent", event("mouseMoved", share, 1)).await;
    }
    chromium.call("Input.dispatchMouseEvent", event("mouseReleased", to, 0)).await;
}

/// Opens the Studio with a source and waits for its picture.
async fn opens(chromium: &mut Chromium, cloud: &Cloud, url: &str) {
    chromium.open(&cloud.url("/")).await;
    chromium.evaluate("document.getElementById('url').focus()").await;
    types(chromium, url).await;
    press(chromium, "Enter", "Enter", false).await;
    chromium
        .until(
            "!document.getElementById('studio').hidden && document.getElementById('video').readyState >= 2",
        )
        .await;
}

/// Signs in by the dialog that is open.
async fn signs_in(chromium: &mut Chromium, cloud: &Cloud) -> String {
    let email = address("studio");
    chromium.until("document.getElementById('sign-in').open").await;
    chromium.evaluate("document.getElementById('email').focus()").await;
    types(chromium, &email).await;
    press(chromium, "Enter", "Enter", false).await;
    chromium.until("!document.getElementById('sign-in-code').hidden").await;
    let begun = Instant::now();
    let code = loop {
        if let Some(mail) = mails(cloud, &email).await.pop() {
            break mail.code;
        }
        assert!(begun.elapsed() < MAIL_PATIENCE, "no mail came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    chromium.evaluate("document.getElementById('code-digits').focus()").await;
    types(chromium, &code).await;
    chromium.until("!document.getElementById('sign-in').open").await;
    email
}

/// axe finds nothing.
async fn is_usable(chromium: &mut Chromium, where_: &str) {
    let axe = std::fs::read_to_string(format!("{}/axe-core/axe.min.js", tool("NODE_MODULES"))).unwrap();
    chromium.evaluate(&format!("{axe}; null")).await;
    let found = chromium
        .evaluate(
            "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]))",
        )
        .await;
    assert_eq!(found, json!([]), "{where_}");
    let wide = chromium
        .evaluate(
            "[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && one.checkVisibility()).map((one) => one.outerHTML.slice(0, 80)).slice(0, document.documentElement.scrollWidth > innerWidth ? 5 : 0)",
        )
        .await;
    assert_eq!(wide, json!([]), "{where_} scrolls sideways");
}

/// axe and a picture in both colours and three widths.
async fn looked_at(chromium: &mut Chromium, name: &str) {
    for (width, height) in [(390, 844), (1024, 768), (1440, 1000)] {
        for colours in ["light", "dark"] {
            chromium.look(width, height, colours).await;
            chromium
                .evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
                .await;
            is_usable(chromium, &format!("{name} at {width} {colours}")).await;
            chromium.screenshot(&format!("{name}-{colours}-{width}")).await;
        }
    }
    chromium.look(1440, 1000, "light").await;
}

/// Waits until a handle that was moved rests on a frame.
async fn rests(chromium: &mut Chromium) -> (f64, f64) {
    chromium.evaluate("new Promise((done) => setTimeout(done, 600))").await;
    let range =
        chromium.evaluate("(({ start, end }) => [start, end])(document.getElementById('timeline'))").await;
    (range[0].as_f64().unwrap(), range[1].as_f64().unwrap())
}

fn no_complaints(chromium: &Chromium) {
    // That nobody has signed in is asked, and answered by 401.
    let complaints: Vec<&Value> = chromium
        .complaints()
        .into_iter()
        .filter(|heard| {
            !heard["params"]["entry"]["url"].as_str().unwrap_or_default().ends_with("/v1/account")
        })
        .collect();
    assert_eq!(complaints, Vec::<&Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_cuts_a_clip() {
    let (path, cloud) = (source(), cloud());
    let server = served(&path).await;
    let mut chromium = Chromium::start().await;
    chromium.look(1440, 1000, "light").await;
    chromium.open(&cloud.url("/")).await;
    looked_at(&mut chromium, "studio-empty").await;
    opens(&mut chromium, cloud, server.url()).await;
    assert_eq!(text(&mut chromium, "facts").await, "0:12 · 360p · 127.0.0.1");

    // With the mouse: handles are where the range ends, and rest on frames.
    drags(&mut chromium, 0.995, 0.75).await;
    drags(&mut chromium, 0.005, 0.25).await;
    let (start, end) = rests(&mut chromium).await;
    assert!((start - 3.0).abs() < 0.2 && (end - 9.0).abs() < 0.2, "{start} to {end}");
    let frames = times(&path);
    assert!(frames.iter().any(|time| (time - start).abs() < 2e-6), "{start} is no frame's time");
    // With the keyboard alone: one frame, and one second.
    chromium.evaluate("document.getElementById('handle-start').focus()").await;
    press(&mut chromium, "ArrowRight", "ArrowRight", true).await;
    press(&mut chromium, "ArrowRight", "ArrowRight", false).await;
    let (moved, _) = rests(&mut chromium).await;
    assert!((moved - start - 1.0 - 1.0 / 30.0).abs() < 0.02, "{start} became {moved}");
    let spoken =
        chromium.evaluate("document.getElementById('handle-start').getAttribute('aria-valuetext')").await;
    assert!(spoken.as_str().unwrap().ends_with("seconds"), "{spoken}");
    // Times that are typed.
    chromium
        .evaluate("(() => { const end = document.getElementById('end'); end.focus(); end.select(); })()")
        .await;
    types(&mut chromium, "0:07.5").await;
    chromium.evaluate("document.getElementById('end').blur()").await;
    let (start, end) = rests(&mut chromium).await;
    assert!((end - 7.5).abs() < 1e-6, "{end}");
    chromium.until("document.getElementById('price').textContent === '$0.10'").await;
    looked_at(&mut chromium, "studio-open").await;

    click(&mut chromium, "#go").await;
    chromium.until("document.getElementById('sign-in').open").await;
    looked_at(&mut chromium, "studio-sign-in").await;
    signs_in(&mut chromium, cloud).await;
    chromium.until("!!document.querySelector('#jobs .result video')").await;
    let link = chromium.evaluate("document.querySelector('#jobs .result a.button').href").await;
    let bytes = http().get(link.as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    compare(&bytes, "studio", &path, start, end);
    let plays = "(async () => { const video = document.querySelector('#jobs .result video'); video.muted = true; \
                 await video.play(); await new Promise((done) => video.addEventListener('ended', done, { once: true })); \
                 return video.duration; })()";
    let length = chromium.evaluate(plays).await.as_f64().unwrap();
    assert!((length - (end - start)).abs() < 0.1, "{length} s of {start} to {end}");
    click(&mut chromium, "#jobs .result button:nth-of-type(2)").await;
    chromium.until("[...document.querySelectorAll('#jobs .result button')].some((one) => one.textContent === 'Unpin')").await;
    looked_at(&mut chromium, "studio-done").await;
    no_complaints(&chromium);

    // The address keeps it all, and nothing of it goes to a server.
    let address = chromium.evaluate("location.href").await;
    chromium.open("about:blank").await;
    chromium.open(address.as_str().unwrap()).await;
    chromium.until("document.getElementById('video').readyState >= 2").await;
    let (again, _) = rests(&mut chromium).await;
    assert!((again - start).abs() < 0.002, "{again}");

    // The account's page has the clip, and makes a key.
    chromium.open(&cloud.url("/account")).await;
    chromium.until("!!document.querySelector('#clips li') && !!document.querySelector('#entries tr')").await;
    assert_eq!(text(&mut chromium, "balance").await, "$4.90");
    chromium.evaluate("document.getElementById('key-name').focus()").await;
    types(&mut chromium, "My <b>program</b>").await;
    press(&mut chromium, "Enter", "Enter", false).await;
    chromium.until("!document.getElementById('key-made').hidden").await;
    chromium.until("!!document.querySelector('#keys-list h3')").await;
    let key = text(&mut chromium, "key-secret").await;
    let (status, _) = answer(http().get(cloud.url("/v1/balance")).bearer_auth(key)).await;
    assert_eq!(status, 200);
    assert_eq!(
        chromium.evaluate("document.querySelector('#keys-list h3').textContent").await,
        "My <b>program</b>"
    );
    looked_at(&mut chromium, "account").await;
    no_complaints(&chromium);
    click(&mut chromium, "#sign-out").await;
    chromium.until("location.pathname === '/' && document.readyState === 'complete'").await;
    chromium.until("!document.getElementById('sign-in-button').hidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_where_they_are_made() {
    let mut chromium = Chromium::start().await;
    chromium.look(1440, 1000, "light").await;
    chromium.open(&cloud().url("/")).await;
    for (wrong, said) in [("not a link", "This is no link."), ("https://localhost:1/a.mp4", "")] {
        chromium
            .evaluate("(() => { const url = document.getElementById('url'); url.focus(); url.select(); })()")
            .await;
        types(&mut chromium, wrong).await;
        press(&mut chromium, "Enter", "Enter", false).await;
        chromium.until("!document.getElementById('open-error').hidden && !document.getElementById('open').hasAttribute('aria-busy')").await;
        let told = text(&mut chromium, "open-error").await;
        assert!(told.starts_with(said), "{wrong}: {told}");
        is_usable(&mut chromium, wrong).await;
    }
    looked_at(&mut chromium, "studio-wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_is_small_and_asks_nobody_else() {
    let mut chromium = Chromium::start().await;
    chromium.open(&cloud().url("/")).await;
    let loaded = chromium.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)").await;
    let loaded: Vec<String> =
        loaded.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert!(loaded.len() >= 8, "{loaded:?}");
    let mut sum = 0;
    for url in loaded.iter().chain([&cloud().url("/")]) {
        assert!(url.starts_with(&cloud().info.base_url), "{url}");
        let asked = http().get(url).header("accept-encoding", "gzip").send().await.unwrap();
        if url.contains("/assets/") {
            assert!(asked.headers()["cache-control"].to_str().unwrap().contains("immutable"), "{url}");
        }
        sum += asked.bytes().await.unwrap().len();
    }
    assert!(sum < FIRST_PAGE_BYTES_MAX, "{sum} bytes");
    let policy = http().get(cloud().url("/")).send().await.unwrap();
    let policy = policy.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(!policy.contains("unsafe"), "{policy}");
}

/// Whatever a key may do, a browser that has signed in may do, from our own pages alone.
#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_takes_a_session_as_well_as_a_key() {
    let cloud = cloud();
    let described: Value = http().get(cloud.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    let mut browser = Browser::new(cloud);
    browser.sign_in(cloud, &address("session")).await;
    let session = browser.session.clone().unwrap();
    let mut asked = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let takes = |scheme: &str| {
                operation["security"].as_array().into_iter().flatten().any(|one| !one[scheme].is_null())
            };
            assert!(!takes("key") || takes("session"), "{method} {path}");
            if !takes("key") {
                continue;
            }
            let named = path.replace(['{', '}'], "");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let ask = |origin: &str| {
                let request = http().request(method.clone(), cloud.url(&named));
                request
                    .header("cookie", format!("__Host-session={session}"))
                    .header("origin", origin)
                    .json(&json!({}))
            };
            let (status, told) = answer(ask(&cloud.info.base_url)).await;
            assert!(!matches!(status, 401 | 403 | 500..), "{method} {path}: {status} {told}");
            asked += 1;
            if method != Method::GET {
                let (status, told) = answer(ask("https://elsewhere.example")).await;
                assert_eq!((status, &told["code"]), (403, &json!("foreign_origin")), "{method} {path}");
            }
        }
    }
    assert!(asked > 25, "{asked} endpoints");
    // A key goes before a session, whatever the session is.
    let account = cloud.account(Amount::cents(7)).await;
    let with_both =
        account.request(Method::GET, "/v1/balance").header("cookie", format!("__Host-session={session}"));
    assert_eq!(answer(with_both).await.1["balance"], 0.07);
}
