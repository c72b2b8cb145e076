//! Deploys the bent template through ministack's CloudFormation, and tells what became of each resource.
//!
//! Plain form posts: the three calls needed here are not worth a whole SDK.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value as Json;

use crate::http::for_service;

/// A stack of 65 functions took 2 s.
const DEPLOY_MAX: Duration = Duration::from_secs(120);

/// How long it is waited between two looks at how far it is.
const POLL: Duration = Duration::from_millis(20);

/// A resource of the deployed stack.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) physical_id: String,
}

/// Creates the stack and waits for it; returns its resources by logical id. The template lies at `template_url`
/// too, because a request takes only 51,200 bytes of it, here as on AWS.
pub(crate) async fn deploy(
    client: &reqwest::Client,
    url: &str,
    stack: &str,
    (template, template_url): (&Json, &str),
    parameters: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, Resource>> {
    let mut form = vec![
        ("TemplateURL".to_owned(), template_url.to_owned()),
        ("OnFailure".to_owned(), "DO_NOTHING".to_owned()),
    ];
    for (index, name) in
        ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"].iter().enumerate()
    {
        form.push((format!("Capabilities.member.{}", index + 1), (*name).to_owned()));
    }
    let declared = template.get("Parameters").and_then(Json::as_object);
    let known = parameters.iter().filter(|(name, _)| declared.is_some_and(|all| all.contains_key(*name)));
    for (index, (name, value)) in known.enumerate() {
        form.push((format!("Parameters.member.{}.ParameterKey", index + 1), name.clone()));
        form.push((format!("Parameters.member.{}.ParameterValue", index + 1), value.clone()));
    }
    call(client, url, "CreateStack", stack, form).await.context("the template was refused")?;
    wait(client, url, stack).await?;
    let answer = call(client, url, "DescribeStackResources", stack, Vec::new()).await?;
    let resource = |member: &str| {
        let kind = text(member, "ResourceType")?;
        Some((
            text(member, "LogicalResourceId")?,
            Resource { kind, physical_id: text(member, "PhysicalResourceId")? },
        ))
    };
    Ok(answer.split("<member>").filter_map(resource).collect())
}

async fn wait(client: &reqwest::Client, url: &str, stack: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + DEPLOY_MAX;
    loop {
        let answer = call(client, url, "DescribeStacks", stack, Vec::new()).await?;
        let status = text(&answer, "StackStatus").context("the stack has no status")?;
        match status.as_str() {
            "CREATE_COMPLETE" => return Ok(()),
            "CREATE_IN_PROGRESS" if Instant::now() < deadline => {}
            _ => {
                let reasons = failures(client, url, stack).await?;
                bail!("the stack did not deploy ({status}):\n{}", reasons.join("\n"));
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What failed and why, oldest first.
async fn failures(client: &reqwest::Client, url: &str, stack: &str) -> anyhow::Result<Vec<String>> {
    let answer = call(client, url, "DescribeStackEvents", stack, Vec::new()).await?;
    let mut reasons: Vec<String> = answer
        .split("<member>")
        .filter_map(|event| {
            let status = text(event, "ResourceStatus")?;
            let id = text(event, "LogicalResourceId")?;
            let kind = text(event, "ResourceType")?;
            let reason = text(event, "ResourceStatusReason").unwrap_or_default();
            status.contains("FAILED").then(|| format!("  {id} ({kind}) {status}: {reason}"))
        })
        .collect();
    reasons.reverse();
    Ok(reasons)
}

async fn call(
    client: &reqwest::Client,
    url: &str,
    action: &str,
    stack: &str,
    extra: Vec<(String, String)>,
) -> anyhow::Result<String> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", "2010-05-15").append_pair("StackName", stack);
    form.extend_pairs(extra);
    let answer = client
        .post(url)
        .header("authorization", for_service("cloudformation"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await?;
    let status = answer.status();
    let body = answer.text().await?;
    if !status.is_success() {
        bail!("{action}: {status}: {}", text(&body, "Message").unwrap_or(body));
    }
    Ok(body)
}

/// The text of the first `<name>` element. Enough for answers that are flat lists of text elements.
fn text(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    let plain =
        content.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x27;", "'");
    Some(plain.replace("&amp;", "&"))
}
