//! Secrets that CloudFormation would generate. ministack is deployed anew at each start and would make other ones each time;
//! what was made from them must last as long as the data, so they are made here once and kept beside it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value as Json, json};

/// Gives each secret of the template that is to be generated the value that is kept in `state`.
pub(crate) fn keep(template: &mut Json, state: &Path) -> anyhow::Result<()> {
    let resources = template.get_mut("Resources").and_then(Json::as_object_mut);
    for (id, resource) in resources.into_iter().flatten() {
        let is_secret = resource.get("Type").is_some_and(|kind| kind == "AWS::SecretsManager::Secret");
        let properties = resource.get_mut("Properties").and_then(Json::as_object_mut).filter(|_| is_secret);
        let Some(properties) = properties else { continue };
        if properties.remove("GenerateSecretString").is_some() {
            properties.insert("SecretString".to_owned(), json!(kept(state, id)?));
        }
    }
    Ok(())
}

/// The value of the secret `id`; makes it if there is none yet.
pub(crate) fn kept(state: &Path, id: &str) -> anyhow::Result<String> {
    let file = state.join("secrets").join(id);
    if let Ok(value) = fs::read_to_string(&file)
        && !value.is_empty()
    {
        return Ok(value);
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random).context("the operating system has no random numbers")?;
    let value: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::create_dir_all(state.join("secrets"))?;
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&file);
    opened
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .with_context(|| file.display().to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_at_each_start() {
        let state = tempfile::tempdir().unwrap();
        let start = || {
            let properties = json!({ "Description": "x", "GenerateSecretString": { "PasswordLength": 64 } });
            let mut template = json!({ "Resources": {
                "Root": { "Type": "AWS::SecretsManager::Secret", "Properties": properties },
                "Other": { "Type": "AWS::SQS::Queue" },
            }});
            keep(&mut template, state.path()).unwrap();
            template["Resources"]["Root"]["Properties"].clone()
        };
        let first = start();
        assert_eq!(first["SecretString"].as_str().unwrap().len(), 64);
        assert_eq!(first["GenerateSecretString"], Json::Null);
        assert_eq!(start(), first);
    }
}
