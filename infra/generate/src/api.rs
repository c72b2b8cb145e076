//! The HTTP API's definition: every route with the function that answers, which is called by its name and alias.
//!
//! An `HttpApi` event of a function cannot name an API of another template. So the API is told of its functions, by names
//! that are known before they are made, and calls all of them with one role.

use yaml_serde::{Mapping, Value};

use crate::areas::Area;
use crate::yaml::{list, map, map_of, sub, tagged, text};

/// The role that the API calls functions with.
pub(crate) const ROLE: &str = "ApiRole";

/// `DefinitionBody` of the API.
pub(crate) fn definition(areas: &[Area]) -> Value {
    let mut paths: Vec<(String, Mapping)> = Vec::new();
    for area in areas {
        for row in &area.rows {
            for route in &row.routes {
                let integration = integration(&area.name, row.name());
                let method = match route.method.as_str() {
                    "ANY" => text("x-amazon-apigateway-any-method"),
                    method => text(method.to_lowercase()),
                };
                let methods = match paths.iter_mut().find(|(path, _)| *path == route.path) {
                    Some((_, methods)) => methods,
                    None => {
                        paths.push((route.path.clone(), Mapping::new()));
                        // Just pushed.
                        let Some((_, methods)) = paths.last_mut() else { continue };
                        methods
                    }
                };
                let integration = ("x-amazon-apigateway-integration", integration);
                let operation = match row.is_rest() {
                    true => map([("isDefaultRoute", Value::Bool(true)), integration]),
                    false => map([integration]),
                };
                methods.insert(method, operation);
            }
        }
    }
    map([
        ("openapi", text("3.0.1")),
        ("info", map([("title", sub("${AWS::StackName}")), ("version", text("1.0"))])),
        ("paths", map_of(paths.into_iter().map(|(path, methods)| (path, Value::Mapping(methods))))),
    ])
}

/// Calls the live version of a function with payloads of format 2.0.
fn integration(area: &str, name: &str) -> Value {
    let function = format!(
        "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:${{AWS::StackName}}-{area}-{name}:live"
    );
    let uri = format!(
        "arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/{function}/invocations"
    );
    map([
        ("type", text("aws_proxy")),
        ("httpMethod", text("POST")),
        ("payloadFormatVersion", text("2.0")),
        ("uri", sub(uri)),
        ("credentials", tagged("GetAtt", text(format!("{ROLE}.Arn")))),
    ])
}

/// The role: whoever is the API may call the live versions of the nested areas' functions.
pub(crate) fn role(areas: &[Area]) -> Value {
    let functions = areas.iter().filter(|area| area.is_nested()).map(|area| {
        sub(format!(
            "arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:${{AWS::StackName}}-{}-*:live",
            area.name
        ))
    });
    let assume = map([
        ("Effect", text("Allow")),
        ("Principal", map([("Service", text("apigateway.amazonaws.com"))])),
        ("Action", text("sts:AssumeRole")),
    ]);
    let invoke = map([
        ("Effect", text("Allow")),
        ("Action", list([text("lambda:InvokeFunction")])),
        ("Resource", list(functions)),
    ]);
    let document =
        |statement: Value| map([("Version", text("2012-10-17")), ("Statement", list([statement]))]);
    map([
        ("Type", text("AWS::IAM::Role")),
        (
            "Properties",
            map([
                ("AssumeRolePolicyDocument", document(assume)),
                (
                    "Policies",
                    list([map([("PolicyName", text("invoke")), ("PolicyDocument", document(invoke))])]),
                ),
            ]),
        ),
    ])
}
