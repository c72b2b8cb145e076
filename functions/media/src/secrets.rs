//! What the operator gives for requests to web pages: cookies of an account, a token, a proxy. One secret in Secrets
//! Manager, which names the hosts that it is for; it is used for no other host.

use std::{
    fmt,
    time::{Duration, Instant},
};

use aws_sdk_secretsmanager::{
    Client, config::Builder, error::SdkError, operation::get_secret_value::GetSecretValueError,
};
use domain::hosts::AllowedHosts;
use runtime::{App, AppError, Calls, StageError, Var};
use serde::Deserialize;
use sources::Upstream;
use tokio::sync::Mutex;
use tracing::warn;

use crate::job::passing;

/// How long a secret that was read is used: a new one shows within this time.
const KEPT: Duration = Duration::from_secs(300);

/// The word for YouTube's hosts, and where its pages' media and answers come from, besides.
const YOUTUBE: &str = "youtube";
const YOUTUBE_MEDIA: &str = "googlevideo.com,youtubei.googleapis.com";

/// The secret's value, a JSON object; what is left out is not used.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageSecrets {
    /// The hosts that all of this is for, as the parameter `Sources` names hosts: a host covers its subdomains, `youtube`
    /// stands for YouTube's. A page's media that are bound to the proxy's address are fetched by way of it where their host
    /// is named.
    pub(crate) hosts: Option<String>,
    /// A cookie file as browsers' extensions and curl write it (Netscape's format).
    pub(crate) cookies: Option<String>,
    /// An HTTP proxy that requests to these hosts go through, as `http://user:password@host:port`.
    pub(crate) proxy: Option<String>,
    /// YouTube's proof of origin, as `CLIENT.CONTEXT+TOKEN`.
    pub(crate) po_token: Option<String>,
}

impl PageSecrets {
    /// Reads the secret's value. What is wrong with it is said without a word of it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let secrets: Self = serde_json::from_str(text)
            .map_err(|_| "the secret for web pages is not the JSON object that it must be")?;
        let is_used = secrets.cookies.is_some() || secrets.proxy.is_some() || secrets.po_token.is_some();
        if is_used && secrets.allowed().is_none() {
            return Err(
                "the secret for web pages names no hosts that it is for, such as \"hosts\": \"youtube\"",
            );
        }
        Ok(secrets)
    }

    fn allowed(&self) -> Option<AllowedHosts> {
        let hosts = self.hosts.as_deref()?;
        let names = |host: &str| host.trim().eq_ignore_ascii_case(YOUTUBE);
        let media = if hosts.split(',').any(names) { YOUTUBE_MEDIA } else { "" };
        let all = [hosts, media].into_iter().filter(|list| !list.is_empty()).collect::<Vec<_>>().join(",");
        // All hosts would be a stranger's, too.
        AllowedHosts::parse(&all).ok().filter(|_| hosts.trim() != "*")
    }

    /// What of it is used for the page at `url`: nothing unless its host is named, YouTube's token for YouTube.
    pub(crate) fn used_for(&self, url: &str) -> Self {
        if self.allowed().is_none_or(|hosts| hosts.check(url).is_err()) {
            return Self::default();
        }
        let is_youtube = AllowedHosts::parse(YOUTUBE).is_ok_and(|hosts| hosts.check(url).is_ok());
        let mut used = self.clone();
        used.po_token = used.po_token.filter(|_| is_youtube);
        used
    }

    /// The cookie file, with the lines that are for hosts that are named. All of them are for https alone, whatever the
    /// browser was told that they come from.
    pub(crate) fn cookie_file(&self) -> Option<String> {
        let (cookies, allowed) = (self.cookies.as_ref()?, self.allowed()?);
        let line = |line: &str| {
            let mut fields: Vec<&str> = line.trim_end_matches('\r').split('\t').collect();
            let [domain, _, _, secure, ..] = fields.as_mut_slice() else { return None };
            // What scripts must not see has a mark in front; other lines that begin so are comments.
            let host = domain.strip_prefix("#HttpOnly_").unwrap_or(domain).trim_start_matches('.');
            allowed.check(&format!("https://{host}/")).ok()?;
            *secure = "TRUE";
            Some(fields.join("\t") + "\n")
        };
        let lines: String = cookies.lines().filter_map(line).collect();
        Some(format!("# Netscape HTTP Cookie File\n{lines}"))
    }

    /// The proxy that it names, for the hosts that it names.
    ///
    /// # Errors
    /// [`StageError::Passing`] for one that cannot be used: going out without it is not what the operator wants.
    pub(crate) fn upstream(&self) -> Result<Option<Upstream>, StageError> {
        let Some((url, hosts)) = self.proxy.as_ref().zip(self.allowed()) else { return Ok(None) };
        let upstream = Upstream::parse(url, hosts);
        upstream
            .map(Some)
            .ok_or_else(|| passing("the proxy in the secret for web pages is no http://host:port"))
    }
}

/// Nothing of it is ever printed.
impl fmt::Debug for PageSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageSecrets(..)")
    }
}

/// The secret as it was last read.
static LAST: Mutex<Option<(Instant, PageSecrets)>> = Mutex::const_new(None);

/// The secret; nothing where none is configured, or none is there.
///
/// # Errors
/// [`StageError::Passing`], which never quotes the secret.
pub(crate) async fn read(app: &App) -> Result<PageSecrets, StageError> {
    let arn = app.config().get(Var::PageSecretArn)?;
    if arn.is_empty() {
        return Ok(PageSecrets::default());
    }
    let mut last = LAST.lock().await;
    if let Some((_, secrets)) = last.as_ref().filter(|(read, _)| read.elapsed() < KEPT) {
        return Ok(secrets.clone());
    }
    let calls = Calls::only("secretsmanager:GetSecretValue", arn);
    let client = Client::from_conf(Builder::from(app.sdk()).interceptor(calls).build());
    let answer = client.get_secret_value().secret_id(arn).send().await;
    let secrets = match answer {
        // What the parser says of a value may quote it.
        Ok(value) => PageSecrets::parse(value.secret_string().unwrap_or("{}")).map_err(passing)?,
        Err(error) if is_missing(&error) => {
            warn!("there is no secret for web pages at the configured ARN");
            return Ok(PageSecrets::default());
        }
        Err(error) => return Err(AppError::aws("GetSecretValue", &error).into()),
    };
    *last = Some((Instant::now(), PageSecrets::clone(&secrets)));
    Ok(secrets)
}

fn is_missing<R>(error: &SdkError<GetSecretValueError, R>) -> bool {
    error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIES: &str = "# Netscape HTTP Cookie File\n# a comment\n\n\
        .youtube.com\tTRUE\t/\tFALSE\t1790000000\tPREF\ta=b\n\
        #HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t1790000000\tSID\ts3cret\r\n\
        .google.com\tTRUE\t/\tTRUE\t1790000000\tSID\tother\n\
        notyoutube.com\tFALSE\t/\tTRUE\t0\tSID\tother\nyoutube.com\tshort\n";

    fn secrets(hosts: &str) -> PageSecrets {
        let value = serde_json::json!({
            "hosts": hosts, "cookies": COOKIES, "proxy": "http://u:p@proxy.example:8080", "po_token": "web.gvs+t",
        });
        PageSecrets::parse(&value.to_string()).unwrap()
    }

    #[test]
    fn only_the_hosts_that_are_named_get_anything() {
        let both = secrets("youtube, example.org");
        for url in ["https://www.youtube.com/watch?v=1", "https://youtu.be/1", "https://m.YouTube.com./x"] {
            let used = both.used_for(url);
            assert!(used.cookies.is_some() && used.proxy.is_some() && used.po_token.is_some(), "{url}");
        }
        let other = both.used_for("https://a.example.org/video");
        assert!(other.cookies.is_some() && other.proxy.is_some() && other.po_token.is_none());
        for url in [
            "https://evil.example/?u=https://www.youtube.com/",
            "https://youtube.com.evil.example/",
            "https://youtube.com@evil.example/",
            "http://127.0.0.1/",
            "nonsense",
        ] {
            let used = both.used_for(url);
            assert!(used.cookies.is_none() && used.proxy.is_none() && used.po_token.is_none(), "{url}");
            assert!(used.cookie_file().is_none() && used.upstream().unwrap().is_none(), "{url}");
        }
    }

    #[test]
    fn cookies_of_other_hosts_stay_here_and_all_are_for_https() {
        assert_eq!(
            secrets("youtube").cookie_file().unwrap(),
            "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t1790000000\tPREF\ta=b\n\
             #HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t1790000000\tSID\ts3cret\n"
        );
        assert!(!secrets("example.org").cookie_file().unwrap().contains("SID"));
    }

    #[test]
    fn a_secret_names_its_hosts() {
        for hosts in ["", r#""hosts": "","#, r#""hosts": "*","#, r#""hosts": "https://youtube.com","#] {
            let problem = PageSecrets::parse(&format!(r#"{{{hosts} "cookies": "c00kie"}}"#)).err();
            assert!(problem.is_some_and(|problem| problem.contains("hosts")), "{hosts}");
        }
        assert!(PageSecrets::parse("{}").is_ok());
        assert!(PageSecrets::parse(r#"{"cookies": 1}"#).is_err());
    }
}
