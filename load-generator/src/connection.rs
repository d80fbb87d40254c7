//! A connection that carries one request after the other.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::endpoint::Endpoint;
use crate::error::LoadError;
use crate::http1::{HttpError, ResponseReader};
use crate::wire::Wire;

/// Bytes that are read at once: many events.
const READ_BYTES: usize = 32 * 1024;

/// Opens connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Dialer {
    endpoint: Endpoint,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    /// # Errors
    /// [`LoadError::Tls`] when TLS is spoken and no authority is known; [`LoadError::Url`] for a host without a name.
    pub(crate) fn new(endpoint: &Endpoint) -> Result<Self, LoadError> {
        let tls = if endpoint.is_tls() {
            let name = ServerName::try_from(endpoint.host().to_owned()).map_err(|error| LoadError::Url {
                url: endpoint.to_string(),
                problem: error.to_string(),
            })?;
            Some((TlsConnector::from(Arc::new(tls_config()?)), name))
        } else {
            None
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            tls,
        })
    }

    pub(crate) async fn open(&self) -> io::Result<Connection> {
        let tcp = TcpStream::connect((self.endpoint.host(), self.endpoint.port())).await?;
        let wire = Wire::new(tcp)?;
        let stream = match &self.tls {
            None => Stream::Plain(wire),
            Some((connector, name)) => Stream::Tls(Box::new(connector.connect(name.clone(), wire).await?)),
        };
        Ok(Connection {
            stream,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            exchanges: 0,
        })
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        self.endpoint.authority()
    }
}

/// The machine's authorities, or Mozilla's where it has none.
fn tls_config() -> Result<ClientConfig, LoadError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

enum Stream {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
}

impl Stream {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(tls) => tls.get_mut().0,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.write_all(bytes).await,
            Self::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer).await,
            Self::Tls(tls) => tls.read(buffer).await,
        }
    }
}

/// An open connection.
pub(crate) struct Connection {
    stream: Stream,
    buffer: Box<[u8]>,
    exchanges: u64,
}

/// Why an exchange ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] HttpError),
}

/// What is known of a response apart from its body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exchange {
    /// When the first byte of the request was handed to the kernel.
    pub(crate) sent: Option<Instant>,
    /// When the head of the response was complete.
    pub(crate) head: Option<Instant>,
    /// When the last bytes arrived.
    pub(crate) end: Option<Instant>,
    /// Status of the response.
    pub(crate) status: u16,
    /// Whether the connection can carry another request.
    pub(crate) keeps_alive: bool,
}

impl Connection {
    /// Whether it carried requests before.
    pub(crate) const fn is_used(&self) -> bool {
        self.exchanges > 0
    }

    /// Sends a request and reads the response; `on_body` is called with the parts of its body and their time of
    /// arrival. What is known of it is in `exchange`, also when it fails.
    ///
    /// # Errors
    /// [`ExchangeError`]; the connection is of no use then.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        exchange: &mut Exchange,
        mut on_body: impl FnMut(Instant, &[u8]),
    ) -> Result<(), ExchangeError> {
        *exchange = Exchange::default();
        self.exchanges += 1;
        self.stream.wire().forget_sending();
        let written = self.stream.write(request).await;
        exchange.sent = self.stream.wire().sent();
        written?;
        let mut response = ResponseReader::default();
        while !response.is_done() {
            let length = self.stream.read(&mut self.buffer).await?;
            let arrived = self.stream.wire().arrived();
            if length == 0 {
                response.close()?;
                break;
            }
            exchange.end = Some(arrived);
            response.feed(&self.buffer[..length], |part| on_body(arrived, part))?;
            if let (Some(head), None) = (response.head(), exchange.head) {
                exchange.head = Some(arrived);
                exchange.status = head.status;
                exchange.keeps_alive = head.keeps_alive;
            }
        }
        Ok(())
    }
}
