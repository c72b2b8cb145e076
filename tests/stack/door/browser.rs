//! A person with a browser and a mailbox, as the sign-in endpoints see one.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::stack::Cloud;
use crate::stack::cloud::{Answer, http};

/// Longer than a mail takes from the request to the mailbox.
const MAIL_PATIENCE: Duration = Duration::from_secs(30);

/// A mail's link and code.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) token: String,
    pub(crate) code: String,
}

/// A browser: it keeps the cookies of its session and of a code on its way, and sends them along, with its pages' origin.
#[derive(Clone)]
pub(crate) struct Browser {
    base: String,
    origin: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) signing_in: Option<String>,
}

impl Browser {
    pub(crate) fn new(cloud: &Cloud) -> Self {
        let base = cloud.info.base_url.clone();
        Self { origin: Some(base.clone()), base, session: None, signing_in: None }
    }

    /// The same browser, showing a page of another site.
    pub(crate) fn on_page_of(&self, origin: Option<&str>) -> Self {
        Self { origin: origin.map(str::to_owned), ..self.clone() }
    }

    /// The same browser with another session's cookie.
    pub(crate) fn with_session(&self, token: &str) -> Self {
        Self { session: Some(token.to_owned()), ..self.clone() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = http().request(method, format!("{}{path}", self.base));
        let request = match &self.origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let named =
            |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("; {name}={value}"));
        let cookies = [named("__Host-session", &self.session), named("__Host-signing-in", &self.signing_in)];
        let cookies: String = cookies.into_iter().flatten().collect();
        if cookies.is_empty() { request } else { request.header("cookie", format!("theme=dark{cookies}")) }
    }

    async fn sent(&mut self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        self.keep_cookie(&response);
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}, not JSON: {text:?}")))
    }

    fn keep_cookie(&mut self, response: &Response) {
        let Some(cookie) = response.headers().get("set-cookie") else { return };
        let cookie = cookie.to_str().unwrap();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(attributes.split("; ").any(|found| found == attribute), "{attributes}");
        }
        assert!(!attributes.contains("Domain"), "{attributes}");
        if let Some(secret) = pair.strip_prefix("__Host-signing-in=") {
            assert!(attributes.contains("Max-Age=900"), "{attributes}");
            self.signing_in = Some(secret.to_owned());
            return;
        }
        let value = pair.strip_prefix("__Host-session=").unwrap();
        let lifetime = if value.is_empty() { "Max-Age=0" } else { "Max-Age=2592000" };
        assert!(attributes.contains(lifetime), "{attributes}");
        self.session = Some(value.to_owned()).filter(|value| !value.is_empty());
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.sent(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.sent(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.sent(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        self.sent(self.request(Method::DELETE, path)).await
    }

    /// Asks for a mail and reads it.
    pub(crate) async fn ask_for_mail(&mut self, cloud: &Cloud, email: &str) -> Mail {
        let before = mails(cloud, email).await.len();
        let (status, answer) = self.post("/v1/auth/signup", &json!({ "email": email })).await;
        assert_eq!(status, 200, "{answer}");
        let begun = Instant::now();
        loop {
            if let Some(mail) = mails(cloud, email).await.into_iter().nth(before) {
                return mail;
            }
            assert!(begun.elapsed() < MAIL_PATIENCE, "no mail came");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Signs in by the link of a mail; answers the account's id.
    pub(crate) async fn sign_in(&mut self, cloud: &Cloud, email: &str) -> String {
        let mail = self.ask_for_mail(cloud, email).await;
        let (status, answer) = self.post("/v1/auth/verify", &json!({ "token": mail.token })).await;
        assert_eq!(status, 200, "{answer}");
        answer["account_id"].as_str().unwrap().to_owned()
    }

    /// Makes a key.
    pub(crate) async fn make_key(&mut self, name: &str) -> (String, String) {
        let (status, made) = self.post("/v1/keys", &json!({ "name": name })).await;
        assert_eq!(status, 200, "{made}");
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    }
}

/// An address that no other test uses.
pub(crate) fn address(name: &str) -> String {
    format!("{name}-{:x}@example.com", getrandom::u64().unwrap())
}

/// The mails that `email` got, oldest first.
pub(crate) async fn mails(cloud: &Cloud, email: &str) -> Vec<Mail> {
    let all: Value = http().get(cloud.url("/_local/mail")).send().await.unwrap().json().await.unwrap();
    let email = email.to_lowercase();
    let own = all.as_array().unwrap().iter().filter(|mail| mail["to"][0] == email.as_str());
    own.map(|mail| {
        let text = mail["text"].as_str().unwrap();
        assert!(mail["html"].as_str().unwrap().contains("<a href="), "{mail}");
        let token = text.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap();
        let code = text.split("asked for it: ").nth(1).unwrap().lines().next().unwrap();
        assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        Mail { token: token.to_owned(), code: code.to_owned() }
    })
    .collect()
}
