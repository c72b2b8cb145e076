//! Registers the HTTP API's routes, and what it answers browsers of other origins. SAM hands both to API Gateway inside an
//! OpenAPI body, which ministack does not read: an API deployed there has no routes at all.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value as Json, json};

use crate::bend::Route;
use crate::cloudformation::{self, Resource};
use crate::http::for_service;
use crate::options::{ACCOUNT, REGION};

/// The one stage of an HTTP API, whose URL has no stage in it.
pub(crate) const STAGE: &str = "$default";

/// The version of a function that is called (`AutoPublishAlias`).
pub(crate) const ALIAS: &str = "live";

/// Routes of one stack: with an integration each, the stage, and CloudFormation's 500 resources.
const ROUTES_MAX: usize = 240;

/// Makes one integration per function, all routes, and the stage, by stacks of their own: one call takes hundreds of routes,
/// and they do not count towards the product's stack. Answers the API id of each HTTP API.
pub(crate) async fn register(
    client: &reqwest::Client,
    url: &str,
    (stack, bucket): (&str, &str),
    routes: &[Route],
    resources: &BTreeMap<String, Resource>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut apis = BTreeMap::new();
    for route in routes {
        if !apis.contains_key(&route.api) {
            apis.insert(route.api.clone(), physical(resources, &route.api)?);
        }
    }
    let mut missing = Vec::new();
    for api in apis.values() {
        if !has_stage(client, url, api).await? {
            missing.push(api.as_str());
        }
    }
    for (number, routes) in routes.chunks(ROUTES_MAX).enumerate() {
        // The stages go with the first.
        let template = template(routes, &std::mem::take(&mut missing), resources)?;
        let name = format!("{stack}-routes-{number}");
        let template_url = format!("{bucket}/routes-{number}.json");
        crate::stack::put(client, &template_url, template.to_string().into_bytes()).await?;
        let template = (&template, template_url.as_str());
        cloudformation::deploy(client, url, &name, template, &BTreeMap::new()).await.context("the routes")?;
    }
    Ok(apis)
}

/// Tells these APIs what to answer browsers of other origins; `cors` is as a template has it.
pub(crate) async fn allow_origins(
    client: &reqwest::Client,
    url: &str,
    apis: impl IntoIterator<Item = &String>,
    cors: &Json,
) -> anyhow::Result<()> {
    let Some(cors) = cors.as_object() else { return Ok(()) };
    // API Gateway's own names begin with a small letter, a template's with a capital.
    let named =
        |name: &str| name.chars().take(1).flat_map(char::to_lowercase).chain(name.chars().skip(1)).collect();
    let cors: Map<String, Json> = cors.iter().map(|(name, value)| (named(name), value.clone())).collect();
    for api in apis {
        let answer = client
            .patch(format!("{url}/v2/apis/{api}"))
            .header("authorization", for_service("apigateway"))
            .header("content-type", "application/json")
            .body(json!({ "corsConfiguration": cors }).to_string())
            .send()
            .await?;
        if !answer.status().is_success() {
            bail!("the API {api} does not take its CORS configuration: {}", answer.status());
        }
    }
    Ok(())
}

fn physical(resources: &BTreeMap<String, Resource>, id: &str) -> anyhow::Result<String> {
    let resource = resources.get(id).with_context(|| format!("{id} was not deployed"))?;
    Ok(resource.physical_id.clone())
}

/// A stack of these routes, and of the stage of each API that has none.
fn template(
    routes: &[Route],
    without_stage: &[&str],
    resources: &BTreeMap<String, Resource>,
) -> anyhow::Result<Json> {
    let mut made = Map::new();
    for (number, api) in without_stage.iter().enumerate() {
        let properties = json!({ "ApiId": api, "StageName": STAGE, "AutoDeploy": true });
        made.insert(
            format!("Stage{number}"),
            json!({ "Type": "AWS::ApiGatewayV2::Stage", "Properties": properties }),
        );
    }
    for (number, route) in routes.iter().enumerate() {
        let (api, integration) = (physical(resources, &route.api)?, format!("{}Integration", route.function));
        // SAM's name of the alias, through which a function is called where it has one.
        let function = match resources.get(&format!("{}Alias{ALIAS}", route.function)) {
            Some(alias) => alias.physical_id.clone(),
            None => arn(&physical(resources, &route.function)?),
        };
        let target = json!({ "Fn::Join": ["/", ["integrations", { "Ref": integration }]] });
        made.entry(integration).or_insert_with(|| {
            json!({
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": {
                    "ApiId": api,
                    "IntegrationType": "AWS_PROXY",
                    "IntegrationUri": function,
                    "PayloadFormatVersion": "2.0",
                },
            })
        });
        let properties = json!({ "ApiId": api, "RouteKey": route.key, "Target": target });
        made.insert(
            format!("Route{number}"),
            json!({ "Type": "AWS::ApiGatewayV2::Route", "Properties": properties }),
        );
    }
    Ok(json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": made }))
}

fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

async fn has_stage(client: &reqwest::Client, url: &str, api: &str) -> anyhow::Result<bool> {
    let stages = format!("{url}/v2/apis/{api}/stages");
    let answer = client.get(&stages).header("authorization", for_service("apigateway")).send().await?;
    let listed: Json = serde_json::from_slice(&answer.bytes().await?)?;
    Ok(listed["items"].as_array().is_some_and(|all| all.iter().any(|stage| stage["stageName"] == STAGE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_one_integration_however_many_routes_lead_to_it() {
        let resource = |kind: &str, id: &str| Resource { kind: kind.to_owned(), physical_id: id.to_owned() };
        let resources = BTreeMap::from([
            ("Api".to_owned(), resource("AWS::ApiGatewayV2::Api", "api1")),
            ("Get".to_owned(), resource("AWS::Lambda::Function", "get")),
            ("GetAliaslive".to_owned(), resource("AWS::Lambda::Alias", "arn:get:live")),
            ("Old".to_owned(), resource("AWS::Lambda::Function", "old")),
        ]);
        let route = |function: &str, key: &str| Route {
            api: "Api".to_owned(),
            function: function.to_owned(),
            key: key.to_owned(),
        };
        let routes = [route("Get", "GET /a"), route("Get", "GET /b"), route("Old", "GET /c")];
        let made = template(&routes, &["api1"], &resources).unwrap();
        let all = made["Resources"].as_object().unwrap();
        assert_eq!(all.len(), 2 + 3 + 1, "{made:#}");
        assert_eq!(all["GetIntegration"]["Properties"]["IntegrationUri"], "arn:get:live");
        assert_eq!(all["OldIntegration"]["Properties"]["IntegrationUri"], arn("old"));
        let target = json!({ "Fn::Join": ["/", ["integrations", { "Ref": "GetIntegration" }]] });
        assert_eq!(all["Route1"]["Properties"]["Target"], target);
        let missing = template(&[route("Gone", "GET /d")], &[], &resources).unwrap_err();
        assert_eq!(missing.to_string(), "Gone was not deployed");
    }
}
