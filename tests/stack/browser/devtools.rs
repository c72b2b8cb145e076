//! A headless Chromium that does as it is told, by the Chrome DevTools Protocol. It speaks over two pipes: a message is
//! JSON, ended by a zero byte.

use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::root::root;

/// A busy machine plays slowly, but it does play.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the browser is asked whether something is so by now.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A browser with one page.
pub(crate) struct Chromium {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    last: u64,
    session: Option<String>,
    /// What happened since somebody looked.
    events: Vec<Value>,
    _child: Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        // The browser reads from 3 and writes to 4; the shell puts our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#, &program])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run"])
            .args(["--disable-background-networking", "--autoplay-policy=no-user-gesture-required"])
            .args(["--remote-debugging-pipe", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is missing: run the tests with `cargo xtask test`");
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut chromium =
            Self { to, from, last: 0, session: None, events: Vec::new(), _child: child, _profile: profile };
        let target = chromium.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = chromium.call("Target.attachToTarget", attach).await;
        chromium.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            chromium.call(&format!("{domain}.enable"), json!({})).await;
        }
        chromium
    }

    /// Carries out a command of the protocol.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).await.unwrap();
        loop {
            let heard = self.hear(method).await;
            if heard["id"] == self.last {
                assert!(heard["error"].is_null(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.events.push(heard);
        }
    }

    async fn hear(&mut self, during: &str) -> Value {
        let mut message = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.from.read_until(0, &mut message)).await;
        read.unwrap_or_else(|_| panic!("the browser said nothing during {during}")).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser is gone");
        serde_json::from_slice(&message).unwrap()
    }

    /// Opens a page and waits until it is there with all that it loads.
    pub(crate) async fn open(&mut self, url: &str) {
        self.events.clear();
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.hear(url).await;
            self.events.push(event);
        }
    }

    /// What a JavaScript expression, or the promise that it is, comes to in the page.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        self.evaluate_in(expression, None).await
    }

    /// The same in the page of a frame, as [`Chromium::in_frame`] names it.
    pub(crate) async fn evaluate_in(&mut self, expression: &str, world: Option<u64>) -> Value {
        let mut ask = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        if let Some(world) = world {
            ask["contextId"] = json!(world);
        }
        let answer = self.call("Runtime.evaluate", ask).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until the page's first frame shows `url` to its end.
    pub(crate) async fn in_frame(&mut self, url: &str) -> u64 {
        let begun = Instant::now();
        loop {
            let tree = self.call("Page.getFrameTree", json!({})).await;
            let frame = &tree["frameTree"]["childFrames"][0]["frame"];
            if frame["url"] == url {
                let own = self.call("Page.createIsolatedWorld", json!({ "frameId": frame["id"] })).await;
                let world = own["executionContextId"].as_u64().unwrap();
                if self.evaluate_in("document.readyState === 'complete'", Some(world)).await == true {
                    return world;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "the frame does not show {url}: {tree}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(expression).await != true {
            assert!(begun.elapsed() < PATIENCE, "it never came to {expression}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The size of the page's window in pixels, and its colours.
    pub(crate) async fn look(&mut self, width: u32, height: u32, colours: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.call("Emulation.setEmulatedMedia", scheme).await;
    }

    /// Keeps a picture of the page in `.local/screenshots`.
    pub(crate) async fn screenshot(&mut self, name: &str) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let folder = root().join(".local/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let picture = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// What the browser complained of since the page was opened: what its policy forbade, errors of scripts, files that
    /// could not be loaded.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let bad = |event: &&Value| {
            let entry = &event["params"]["entry"];
            event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Log.entryAdded" && entry["level"] == "error")
        };
        self.events.iter().filter(bad).collect()
    }
}
