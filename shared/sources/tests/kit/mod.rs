//! Servers on both sides of the rule, and names that answer as a test wants.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part

pub(crate) mod raw;
pub(crate) mod table;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::Router;
use futures_util::future::BoxFuture;
use sources::{Guard, Names};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Stands for a public address: the guard of these tests lets it pass, and servers can listen on it.
pub(crate) const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Serves `app` on a free port of [`PUBLIC`] until the test ends.
pub(crate) async fn public_server(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((PUBLIC, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// Listens on the forbidden side and counts who comes.
pub(crate) struct Forbidden {
    pub(crate) port: u16,
    addresses: Vec<SocketAddr>,
    accepted: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Forbidden {
    /// Listens on one port of 127.0.0.1 and, where the machine has it, of [::1].
    pub(crate) async fn listen() -> Self {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = v4.local_addr().unwrap().port();
        let v6 = TcpListener::bind(("::1", port)).await.ok();
        let listeners: Vec<_> = [Some(v4), v6].into_iter().flatten().collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let accepted = Arc::clone(&accepted);
            tasks.spawn(async move {
                loop {
                    let closed = listener.accept().await.unwrap();
                    accepted.fetch_add(1, Ordering::SeqCst);
                    drop(closed);
                }
            });
        }
        let listening = tokio::spawn(async move { drop(tasks.join_next().await) });
        Self { port, addresses, accepted, listening }
    }

    /// How many connections came. Some of our own are made last, waited for and not counted: whatever was on its way
    /// before them has been accepted too.
    pub(crate) async fn accepted(&self) -> usize {
        for address in &self.addresses {
            let mut own = TcpStream::connect(address).await.unwrap();
            let _ = own.read(&mut [0]).await;
            self.accepted.fetch_sub(1, Ordering::SeqCst);
        }
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Names with fixed answers, in turn: the last one stays. A name that is not here does not exist.
#[derive(Debug, Default)]
pub(crate) struct FixedNames(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl FixedNames {
    pub(crate) fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), answers.iter().rev().map(parse).collect());
        self
    }
}

impl Names for FixedNames {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.0.lock().unwrap();
        let answer = names.get_mut(host.trim_end_matches('.')).map(|answers| match answers.len() {
            0 | 1 => answers.last().cloned().unwrap_or_default(),
            _ => answers.pop().unwrap(),
        });
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

/// The rule, for a world in which [`PUBLIC`] is public, with these names.
pub(crate) fn guard(names: FixedNames) -> Guard {
    Guard::public_and(PUBLIC).with_names(Arc::new(names))
}

/// Names on both sides of the rule.
pub(crate) fn names() -> FixedNames {
    FixedNames::default()
        .with("good.test", &[&["127.0.0.2"]])
        .with("localhost", &[&["127.0.0.1", "::1"]])
        .with("app.localhost", &[&["127.0.0.1"]])
        .with("evil.test", &[&["127.0.0.1", "::1", "169.254.169.254"]])
        .with("xn--bcher-kva.test", &[&["127.0.0.1"]])
        .with("mapped.test", &[&["::ffff:127.0.0.1"]])
        .with("both.test", &[&["127.0.0.1", "127.0.0.2"]])
        .with("rebinding.test", &[&["127.0.0.2"], &["127.0.0.1"]])
        .with("metadata.google.internal", &[&["169.254.169.254"]])
        .with("metadata", &[&["169.254.169.254"]])
        .with("internal.test", &[&["10.0.0.1", "192.168.1.1"]])
        .with("carrier.test", &[&["100.64.0.1"]])
        .with("ula.test", &[&["fd12::1", "fe80::1"]])
        .with("nat64.test", &[&["64:ff9b::7f00:1"]])
        .with("sixtofour.test", &[&["2002:7f00:1::"]])
}
