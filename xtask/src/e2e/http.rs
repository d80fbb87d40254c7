//! The little HTTP that the operator's own ports need.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MOST: Duration = Duration::from_secs(10);

/// The body of an answer that is 200.
pub(super) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    tokio::time::timeout(MOST, ask(address, path))
        .await
        .with_context(|| format!("{address}{path} does not answer"))?
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("{address}{path} answers no HTTP"))?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200"), "{address}{path} answers {status}");
    Ok(body.to_owned())
}
