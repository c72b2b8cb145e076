//! Bends the template to what the local services can take, in exactly these places and no other:
//!
//! 1. tables leave the template and are made in the embedded DynamoDB;
//! 2. buckets (with their policies) leave it and are made in the embedded S3;
//! 3. references to both become their names and ARNs;
//! 4. container functions become zip functions of the same handler, because there is no Docker;
//! 5. every function's code becomes a zip that starts the binary built on this machine, whose architecture is
//!    not declared;
//! 6. a state machine's definition file is put inline;
//! 7. secrets that are to be generated get their values here (`secrets`);
//! 8. there is one release, and it is not tried out first (there is no CodeDeploy): `live` is the new version at once;
//! 9. the API's routes, and what it answers browsers of other origins (CORS), are registered after the deployment (`routes`);
//! 10. alarms, the dashboard, saved queries and the topic that alarms are told to leave it: nothing here watches.
//!
//! The rest of the template reaches CloudFormation as it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value as Json, json};

use crate::options::{ACCOUNT, REGION};

/// Where ministack's Lambda finds the code; a bucket in ministack's own S3, not in ours.
pub(crate) const CODE_BUCKET: &str = "devstack-code";

/// A table to be made in the embedded DynamoDB.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) logical_id: String,
    pub(crate) name: String,
    pub(crate) properties: Json,
}

/// A bucket to be made in the embedded S3.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) logical_id: String,
    pub(crate) name: String,
    /// `LifecycleConfiguration` as the template has it, or null.
    pub(crate) lifecycle: Json,
}

/// An HTTP route that the SAM transform would have made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    pub(crate) api: String,
    pub(crate) function: String,
    pub(crate) key: String,
}

/// The bent template and all that was taken out of it.
#[derive(Debug)]
pub(crate) struct Bent {
    pub(crate) template: Json,
    pub(crate) tables: Vec<Table>,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) routes: Vec<Route>,
    /// What HTTP APIs answer browsers of other origins, as the template has it; null if it says nothing.
    pub(crate) cors: Json,
    /// The binaries that the functions need.
    pub(crate) areas: BTreeSet<String>,
}

/// Bends `template`; `folder` is where its relative paths start.
pub(crate) fn bend(mut template: Json, stack_name: &str, folder: &Path) -> anyhow::Result<Bent> {
    if let Some(defaults) = template.pointer_mut("/Globals/Function").and_then(Json::as_object_mut) {
        defaults.remove("Architectures");
        defaults.remove("CodeUri");
        defaults.remove("DeploymentPreference");
    }
    // SAM puts it into the definition, which is not read here.
    let cors = template.pointer_mut("/Globals/HttpApi/CorsConfiguration").map(Json::take).unwrap_or_default();
    if let Some(globals) =
        template.get_mut("Globals").and_then(Json::as_object_mut).filter(|_| !cors.is_null())
    {
        globals.remove("HttpApi");
    }
    let resources = template
        .get_mut("Resources")
        .and_then(Json::as_object_mut)
        .context("the template has no Resources")?;
    let (tables, buckets) = take_storage(resources, stack_name);
    let watching = take_watching(resources);
    let routes = routes(resources)?;
    let mut areas = BTreeSet::new();
    for (id, resource) in resources.iter_mut() {
        match type_of(resource) {
            "AWS::Serverless::Function" => {
                areas.insert(bend_function(resource).with_context(|| format!("function {id}"))?);
            }
            // The routes are registered after the deployment.
            "AWS::Serverless::HttpApi" => {
                resource
                    .pointer_mut("/Properties")
                    .and_then(Json::as_object_mut)
                    .map(|it| it.remove("DefinitionBody"));
            }
            "AWS::Serverless::StateMachine" => {
                inline_definition(resource, folder).with_context(|| format!("state machine {id}"))?;
            }
            _ => {}
        }
    }
    if let Some(outputs) = template.get_mut("Outputs").and_then(Json::as_object_mut) {
        outputs.retain(|_, output| !watching.iter().any(|id| mentions(output, id)));
    }
    resolve(&mut template, &names(&tables, &buckets));
    Ok(Bent { template, tables, buckets, routes, cors, areas })
}

fn type_of(resource: &Json) -> &str {
    resource.get("Type").and_then(Json::as_str).unwrap_or_default()
}

/// Takes tables and buckets out of the template, and out of everyone's `DependsOn`.
fn take_storage(resources: &mut Map<String, Json>, stack_name: &str) -> (Vec<Table>, Vec<Bucket>) {
    let (mut tables, mut buckets) = (Vec::new(), Vec::new());
    resources.retain(|id, resource| {
        let properties = || resource.get("Properties").cloned().unwrap_or_else(|| json!({}));
        match type_of(resource) {
            "AWS::DynamoDB::Table" => tables.push(Table {
                logical_id: id.clone(),
                name: format!("{stack_name}-{id}"),
                properties: properties(),
            }),
            "AWS::S3::Bucket" => buckets.push(Bucket {
                logical_id: id.clone(),
                name: format!("{stack_name}-{id}").to_lowercase(),
                lifecycle: properties()["LifecycleConfiguration"].clone(),
            }),
            "AWS::S3::BucketPolicy" => {}
            _ => return true,
        }
        false
    });
    let kept: BTreeSet<String> = resources.keys().cloned().collect();
    for resource in resources.values_mut().filter_map(Json::as_object_mut) {
        let left: Vec<Json> = match resource.remove("DependsOn") {
            Some(Json::Array(ids)) => ids,
            Some(id) => vec![id],
            None => continue,
        }
        .into_iter()
        .filter(|id| id.as_str().is_some_and(|id| kept.contains(id)))
        .collect();
        if !left.is_empty() {
            resource.insert("DependsOn".to_owned(), Json::Array(left));
        }
    }
    (tables, buckets)
}

/// Monitoring-only resource types.
fn watches(kind: &str) -> bool {
    let services = ["AWS::CloudWatch::", "AWS::SNS::", "AWS::KMS::"];
    services.iter().any(|service| kind.starts_with(service)) || kind == "AWS::Logs::QueryDefinition"
}

/// Takes what watches out of the template; returns the ids.
fn take_watching(resources: &mut Map<String, Json>) -> Vec<String> {
    let taken = resources.iter().filter(|(_, resource)| watches(type_of(resource))).map(|(id, _)| id.clone());
    let taken: Vec<String> = taken.collect();
    resources.retain(|id, _| !taken.contains(id));
    taken
}

/// Whether `node` refers to the resource `id`, within a text too.
fn mentions(node: &Json, id: &str) -> bool {
    let text = node.to_string();
    text.contains(&format!("\"{id}\"")) || text.contains(&format!("${{{id}"))
}

/// Makes one function a zip function that starts a local binary; returns its area.
fn bend_function(resource: &mut Json) -> anyhow::Result<String> {
    if let Some(resource) = resource.as_object_mut() {
        // Build hints (Dockerfile, BuildMethod) are for `sam build`.
        resource.remove("Metadata");
    }
    let properties =
        resource.get_mut("Properties").and_then(Json::as_object_mut).context("has no Properties")?;
    properties.remove("Architectures");
    properties.remove("AutoPublishCodeSha256");
    properties.remove("DeploymentPreference");
    properties.remove("ImageUri");
    let command = properties.remove("ImageConfig").and_then(|image| image.pointer("/Command/0").cloned());
    if properties.remove("PackageType").is_some_and(|kind| kind == "Image") {
        let command =
            command.context("a container function needs ImageConfig.Command to name its handler")?;
        properties.insert("Handler".to_owned(), command);
    }
    let handler = properties.get("Handler").and_then(Json::as_str).context("has no Handler")?;
    let Some((area, _)) = handler.split_once('.') else {
        bail!("its handler {handler:?} is not of the form area.name");
    };
    let area = area.to_owned();
    properties.insert("Runtime".to_owned(), json!("provided.al2023"));
    properties.insert("CodeUri".to_owned(), json!({"Bucket": CODE_BUCKET, "Key": format!("{area}.zip")}));
    Ok(area)
}

fn inline_definition(resource: &mut Json, folder: &Path) -> anyhow::Result<()> {
    let properties =
        resource.get_mut("Properties").and_then(Json::as_object_mut).context("has no Properties")?;
    let Some(Json::String(file)) = properties.get("DefinitionUri") else { return Ok(()) };
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let definition: Json =
        serde_json::from_str(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
    properties.remove("DefinitionUri");
    properties.insert("Definition".to_owned(), definition);
    Ok(())
}

/// The routes of every API's definition and of every function's HttpApi events.
fn routes(resources: &Map<String, Json>) -> anyhow::Result<Vec<Route>> {
    let mut routes = defined_routes(resources)?;
    for (function, resource) in resources {
        let Some(events) = resource.pointer("/Properties/Events").and_then(Json::as_object) else { continue };
        for (event, spec) in events.iter().filter(|(_, spec)| type_of(spec) == "HttpApi") {
            let text = |name: &str| spec.pointer(&format!("/Properties/{name}")).and_then(Json::as_str);
            let api = match spec.pointer("/Properties/ApiId") {
                Some(id) => id
                    .get("Ref")
                    .and_then(Json::as_str)
                    .with_context(|| format!("event {event} of {function}: ApiId is not a !Ref"))?,
                // SAM's name for the API that it makes when none is declared.
                None => "ServerlessHttpApi",
            };
            let key = match (text("Method"), text("Path")) {
                (Some(method), Some(path)) => format!("{} {path}", method.to_uppercase()),
                (None, Some(path)) => format!("ANY {path}"),
                _ => "$default".to_owned(),
            };
            routes.push(Route { api: api.to_owned(), function: function.clone(), key });
        }
    }
    Ok(routes)
}

/// The routes that APIs define themselves, each with the function that its integration calls by name.
fn defined_routes(resources: &Map<String, Json>) -> anyhow::Result<Vec<Route>> {
    let named = |resource: &Json| resource.pointer("/Properties/FunctionName/Fn::Sub").cloned();
    let by_name: BTreeMap<String, &String> = resources
        .iter()
        .filter_map(|(id, resource)| Some((named(resource)?.as_str()?.to_owned(), id)))
        .collect();
    let mut routes = Vec::new();
    for (api, resource) in resources {
        let Some(paths) = resource.pointer("/Properties/DefinitionBody/paths").and_then(Json::as_object)
        else {
            continue;
        };
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let uri = operation.pointer("/x-amazon-apigateway-integration/uri/Fn::Sub");
                let name = uri.and_then(Json::as_str).and_then(function_name);
                let function = name.and_then(|name| by_name.get(name));
                let function = function.with_context(|| format!("{method} {path} calls no function"))?;
                let key = match operation["isDefaultRoute"] == true {
                    true => "$default".to_owned(),
                    false => format!("{} {path}", method.to_uppercase()),
                };
                routes.push(Route { api: api.clone(), function: (*function).clone(), key });
            }
        }
    }
    Ok(routes)
}

/// The name of the function in an integration's URI, which calls its live version.
fn function_name(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once(":function:")?;
    rest.strip_suffix("/invocations")?.strip_suffix(":live")
}

/// What `Ref` and `GetAtt` of the taken resources now say, by `Id` and `Id.Attribute`.
fn names(tables: &[Table], buckets: &[Bucket]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for Table { logical_id, name, .. } in tables {
        names.insert(logical_id.clone(), name.clone());
        names
            .insert(format!("{logical_id}.Arn"), format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"));
    }
    for Bucket { logical_id, name, .. } in buckets {
        names.insert(logical_id.clone(), name.clone());
        names.insert(format!("{logical_id}.Arn"), format!("arn:aws:s3:::{name}"));
        for attribute in ["DomainName", "RegionalDomainName"] {
            names.insert(format!("{logical_id}.{attribute}"), format!("{name}.s3.{REGION}.amazonaws.com"));
        }
    }
    names
}

/// Replaces references to `names` throughout.
fn resolve(node: &mut Json, names: &BTreeMap<String, String>) {
    if let Some(text) = reference(node).and_then(|reference| names.get(&reference)) {
        *node = Json::String(text.clone());
        return;
    }
    match node {
        Json::Object(object) => {
            for (key, value) in object.iter_mut() {
                let text = if key == "Fn::Sub" { sub_text(value) } else { None };
                if let Some(text) = text {
                    *text = names.iter().fold(std::mem::take(text), |text, (id, name)| {
                        text.replace(&format!("${{{id}}}"), name)
                    });
                }
                resolve(value, names);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| resolve(item, names)),
        _ => {}
    }
}

/// The text of a `Fn::Sub`, which stands alone or first in a list.
fn sub_text(value: &mut Json) -> Option<&mut String> {
    let text = if value.is_array() { value.get_mut(0)? } else { value };
    match text {
        Json::String(text) => Some(text),
        _ => None,
    }
}

/// `Id` for a `Ref`, `Id.Attribute` for a `GetAtt`.
fn reference(node: &Json) -> Option<String> {
    let object = node.as_object().filter(|object| object.len() == 1)?;
    if let Some(id) = object.get("Ref") {
        return id.as_str().map(str::to_owned);
    }
    match object.get("Fn::GetAtt")? {
        Json::String(path) => Some(path.clone()),
        Json::Array(parts) => Some(format!("{}.{}", parts.first()?.as_str()?, parts.get(1)?.as_str()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bent(template: &str) -> Bent {
        bend(crate::template::parse(template).unwrap(), "try", Path::new("/nowhere")).unwrap()
    }

    #[test]
    fn storage_leaves_the_template_and_references_become_names() {
        let bent = bent(
            "Resources:\n  Table: {Type: AWS::DynamoDB::Table, Properties: {BillingMode: PAY_PER_REQUEST}}\n  \
             MediaBucket: {Type: AWS::S3::Bucket, Properties: {LifecycleConfiguration: {Rules: []}}}\n  \
             Policy: {Type: AWS::S3::BucketPolicy}\n  Queue:\n    Type: AWS::SQS::Queue\n    \
             DependsOn: [Table, Policy]\n    Properties:\n      A: !Ref Table\n      B: !GetAtt Table.Arn\n      \
             C: !Sub '${MediaBucket.Arn}/x/${AWS::Region}'\n      D: !Sub ['${Table}${y}', {y: !Ref MediaBucket}]\n",
        );
        let queue = &bent.template["Resources"]["Queue"];
        assert_eq!(queue["DependsOn"], Json::Null);
        assert_eq!(
            queue["Properties"],
            json!({
                "A": "try-Table",
                "B": "arn:aws:dynamodb:us-east-1:000000000000:table/try-Table",
                "C": {"Fn::Sub": "arn:aws:s3:::try-mediabucket/x/${AWS::Region}"},
                "D": {"Fn::Sub": ["try-Table${y}", {"y": "try-mediabucket"}]},
            })
        );
        assert_eq!(bent.template["Resources"].as_object().unwrap().len(), 1);
        assert_eq!(bent.tables[0].properties["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(bent.buckets[0].lifecycle, json!({"Rules": []}));
    }

    #[test]
    fn what_watches_leaves_the_template_with_the_outputs_that_tell_of_it() {
        let bent = bent(
            "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n  Alarm: {Type: AWS::CloudWatch::Alarm}\n  \
             Key: {Type: AWS::KMS::Key}\n  Query: {Type: AWS::Logs::QueryDefinition}\n  \
             Queue: {Type: AWS::SQS::Queue}\nOutputs:\n  A: {Value: !Ref Topic}\n  \
             B: {Value: !Sub 'x-${Alarm}'}\n  C: {Value: !Ref Queue}\n",
        );
        let left = |part: &str| bent.template[part].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!((left("Resources"), left("Outputs")), (vec!["Queue".to_owned()], vec!["C".to_owned()]));
    }

    #[test]
    fn container_functions_become_zip_functions_and_routes_are_kept() {
        let bent = bent(
            "Globals: {Function: {Architectures: [arm64], DeploymentPreference: {Type: x}, Timeout: 5}}\n\
             Resources:\n  Probe:\n    Type: AWS::Serverless::Function\n    Metadata: {Dockerfile: x}\n    Properties:\n      \
             PackageType: Image\n      AutoPublishCodeSha256: !Ref Release\n      \
             ImageConfig: {Command: [media.probe]}\n      Events:\n        Api: {Type: HttpApi, \
             Properties: {ApiId: !Ref HttpApi, Path: '/v1/clip/{job_id}', Method: get}}\n",
        );
        let probe = &bent.template["Resources"]["Probe"];
        assert_eq!(probe["Properties"]["Handler"], "media.probe");
        assert_eq!(probe["Properties"]["CodeUri"]["Key"], "media.zip");
        assert_eq!(probe["Properties"]["PackageType"], Json::Null);
        assert_eq!(probe["Properties"]["AutoPublishCodeSha256"], Json::Null);
        assert_eq!(probe["Metadata"], Json::Null);
        assert_eq!(bent.template["Globals"], json!({"Function": {"Timeout": 5}}));
        assert_eq!(bent.areas.into_iter().collect::<Vec<_>>(), ["media"]);
        let (api, function, key) =
            ("HttpApi".to_owned(), "Probe".to_owned(), "GET /v1/clip/{job_id}".to_owned());
        assert_eq!(bent.routes, [Route { api, function, key }]);
    }
}
