//! The embedded DynamoDB: dynoxide on a loopback port, with the template's tables.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use dynoxide::Database;
use dynoxide::actions::{create_table, describe_table, update_time_to_live};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bend::Table;

/// A running database; dropping it ends the server.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    pub(crate) url: String,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl DynamoDb {
    /// Opens (or creates) the database file in `state`, makes the missing tables, and serves.
    pub(crate) async fn start(state: &Path, tables: &[Table]) -> anyhow::Result<Self> {
        let file = state.join("dynamodb.sqlite");
        let path = file.to_str().context("the state folder's path is not valid UTF-8")?.to_owned();
        let (state, tables) = (state.to_owned(), tables.to_vec());
        let database = tokio::task::spawn_blocking(move || -> anyhow::Result<Database> {
            let database = Database::new(&path).with_context(|| format!("cannot open {path}"))?;
            for table in &tables {
                ensure_table(&database, &state, table)
                    .with_context(|| format!("table {}", table.logical_id))?;
            }
            Ok(database)
        })
        .await??;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (shutdown, ended) = oneshot::channel();
        let server = tokio::spawn(async move {
            let ended = async move {
                // An error means that the sender is gone, which is as good a reason to end.
                let _ = ended.await;
            };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, ended).await {
                tracing::error!("the embedded DynamoDB stopped: {error}");
            }
        });
        Ok(Self { url, shutdown: Some(shutdown), server })
    }

    /// Ends the server at once: what was answered is on disk already.
    pub(crate) fn stop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        self.server.abort();
    }
}

impl Drop for DynamoDb {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The properties that CreateTable takes under the same name and shape as the template.
const COPIED: [&str; 7] = [
    "KeySchema",
    "AttributeDefinitions",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "BillingMode",
    "ProvisionedThroughput",
    "TableClass",
];

fn ensure_table(database: &Database, state: &Path, table: &Table) -> anyhow::Result<()> {
    let mut request = json!({ "TableName": table.name });
    for name in COPIED {
        if let Some(value) = table.properties.get(name) {
            request[name] = value.clone();
        }
    }
    if let Some(view) = table.properties.pointer("/StreamSpecification/StreamViewType") {
        request["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": view});
    }
    if exists(database, table)? {
        return check_unchanged(state, table, &request);
    }
    let create: create_table::CreateTableRequest = serde_json::from_value(request.clone())?;
    database.create_table(create).map_err(|error| anyhow!("{error:?}"))?;
    if let Some(ttl) = table.properties.get("TimeToLiveSpecification") {
        let update: update_time_to_live::UpdateTimeToLiveRequest =
            typed(json!({"TableName": table.name, "TimeToLiveSpecification": ttl}))?;
        database.update_time_to_live(update).map_err(|error| anyhow!("{error:?}"))?;
    }
    std::fs::write(made_as(state, table), serde_json::to_vec_pretty(&request)?)?;
    Ok(())
}

fn exists(database: &Database, table: &Table) -> anyhow::Result<bool> {
    let describe: describe_table::DescribeTableRequest = typed(json!({ "TableName": table.name }))?;
    Ok(database.describe_table(describe).is_ok())
}

/// CloudFormation would change the table or replace it; here the answer is a clear word instead of data that no
/// longer fits the keys.
fn check_unchanged(state: &Path, table: &Table, request: &Json) -> anyhow::Result<()> {
    let made: Json = serde_json::from_slice(&std::fs::read(made_as(state, table))?)?;
    if made != *request {
        bail!("the template's keys or indexes changed since its data was made; start once with --fresh");
    }
    Ok(())
}

fn made_as(state: &Path, table: &Table) -> std::path::PathBuf {
    state.join(format!("table-{}.json", table.name))
}

fn typed<T: DeserializeOwned>(value: Json) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}
