//! Registers the HTTP API's routes. SAM hands them to API Gateway inside an OpenAPI body, which ministack does
//! not read: an API deployed there has no routes at all.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};

use crate::bend::Route;
use crate::cloudformation::Resource;
use crate::http::for_service;
use crate::options::{ACCOUNT, REGION};

/// The one stage of an HTTP API, whose URL has no stage in it.
pub(crate) const STAGE: &str = "$default";

/// The version of a function that is called (`AutoPublishAlias`).
pub(crate) const ALIAS: &str = "live";

/// Makes one integration per function, all routes, and the stage; returns the API id of each HTTP API.
pub(crate) async fn register(
    client: &reqwest::Client,
    url: &str,
    routes: &[Route],
    resources: &BTreeMap<String, Resource>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let physical = |id: &str| {
        resources
            .get(id)
            .map(|resource| resource.physical_id.clone())
            .with_context(|| format!("{id} was not deployed"))
    };
    let mut apis = BTreeMap::new();
    let mut integrations: BTreeMap<(String, String), String> = BTreeMap::new();
    for route in routes {
        let api = physical(&route.api)?;
        if apis.insert(route.api.clone(), api.clone()).is_none() {
            ensure_stage(client, url, &api).await?;
        }
        let key = (api.clone(), route.function.clone());
        if !integrations.contains_key(&key) {
            // SAM's name of the alias, through which a function is called where it has one.
            let alias = resources.get(&format!("{}Alias{ALIAS}", route.function));
            let function = match alias {
                Some(alias) => alias.physical_id.clone(),
                None => arn(&physical(&route.function)?),
            };
            integrations.insert(key.clone(), integrate(client, url, &api, &function).await?);
        }
        let target = format!("integrations/{}", integrations[&key]);
        post(
            client,
            &format!("{url}/v2/apis/{api}/routes"),
            &json!({"routeKey": route.key, "target": target}),
        )
        .await
        .with_context(|| format!("route {}", route.key))?;
    }
    Ok(apis)
}

fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

async fn integrate(client: &reqwest::Client, url: &str, api: &str, function: &str) -> anyhow::Result<String> {
    let body = json!({
        "integrationType": "AWS_PROXY",
        "integrationUri": function,
        "payloadFormatVersion": "2.0",
    });
    let made = post(client, &format!("{url}/v2/apis/{api}/integrations"), &body).await?;
    made["integrationId"].as_str().map(str::to_owned).context("the integration has no id")
}

async fn ensure_stage(client: &reqwest::Client, url: &str, api: &str) -> anyhow::Result<()> {
    let stages = format!("{url}/v2/apis/{api}/stages");
    let answer = client.get(&stages).header("authorization", for_service("apigateway")).send().await?;
    let listed: Json = serde_json::from_slice(&answer.bytes().await?)?;
    let there =
        listed["items"].as_array().is_some_and(|all| all.iter().any(|stage| stage["stageName"] == STAGE));
    if !there {
        post(client, &stages, &json!({"stageName": STAGE, "autoDeploy": true})).await?;
    }
    Ok(())
}

async fn post(client: &reqwest::Client, url: &str, body: &Json) -> anyhow::Result<Json> {
    let answer = client
        .post(url)
        .header("authorization", for_service("apigateway"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    if !status.is_success() {
        bail!("{status}: {}", String::from_utf8_lossy(&bytes));
    }
    Ok(serde_json::from_slice(&bytes)?)
}
