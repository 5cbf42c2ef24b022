//! Takes the connections of one serverless database.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tokio_util::task::AbortOnDropHandle;

use super::{Awake, Backend, Error, Idle, Logins, Result, State, entry::Entry, gate::Gate};
use crate::network::Place;

/// What TLS calls the protocol, where it is not asked for first.
const PROTOCOL: &[u8] = b"postgresql";
/// How long to wait before a connection is taken again, where that failed and there is nothing to wait for.
const AGAIN: Duration = Duration::from_millis(100);

/// What a listener shows to who connects.
#[derive(Clone)]
pub struct Certificate {
    /// The certificates, its own first, as PEM.
    pub chain: String,
    /// The private key of the first, as PEM.
    pub key: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

/// Takes connections for as long as it is held. Dropped, it ends them; the server behind is its backend's to end.
pub struct Listener {
    listens: SocketAddr,
    gate: Arc<Gate>,
    /// Who takes connections and who ends the server; none after a stop.
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Listener {
    /// Begins. When this returns, connections are taken; the server behind is not started yet.
    ///
    /// # Errors
    /// When the certificate cannot be used, or the address is not free.
    pub async fn start(
        place: &Place,
        at: SocketAddr,
        certificate: &Certificate,
        logins: Arc<dyn Logins>,
        backend: Arc<dyn Backend>,
        idle: Arc<dyn Idle>,
    ) -> Result<Self> {
        let tls = acceptor(certificate)?;
        let machine = |source| Error::Machine { step: format!("listening at {at}"), source };
        let listener = place.listen(at).await.map_err(machine)?;
        let listens = listener.local_addr().map_err(machine)?;
        let gate = Gate::new(backend);
        let entry = Arc::new(Entry { tls, logins, gate: Arc::clone(&gate) });
        Ok(Self {
            listens,
            tasks: Mutex::new(vec![
                AbortOnDropHandle::new(tokio::spawn(take(listener, entry))),
                AbortOnDropHandle::new(tokio::spawn(Arc::clone(&gate).doze(idle))),
            ]),
            gate,
        })
    }

    /// Where it listens, with the port it got.
    pub fn listens(&self) -> SocketAddr {
        self.listens
    }

    /// Whether the server runs and for how many, now and from now on.
    pub fn state(&self) -> watch::Receiver<State> {
        self.gate.state()
    }

    /// Wakes the server, for as long as what this gives is held.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn awake(&self) -> io::Result<Awake> {
        self.gate.enter().await
    }

    /// Ends the server now, if nobody is there.
    ///
    /// # Errors
    /// When it could not be ended.
    pub async fn rest(&self) -> io::Result<()> {
        self.gate.rest(false).await
    }

    /// Ends connections, then the server behind.
    ///
    /// # Errors
    /// When the server could not be ended.
    pub async fn stop(&self) -> io::Result<()> {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            task.abort();
            // It was ended, or had ended.
            let _ended = task.await;
        }
        self.gate.rest(true).await
    }
}

async fn take(listener: TcpListener, entry: Arc<Entry>) {
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => match taken {
                Ok((stream, peer)) => {
                    let entry = Arc::clone(&entry);
                    served.spawn(async move { entry.serve(stream, peer).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    // Most often too many open files: one has to end first, one of ours or another.
                    if served.join_next().await.is_none() {
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            },
            Some(_) = served.join_next() => {}
        }
    }
}

fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor> {
    let unusable = |error: &dyn fmt::Display| Error::Certificate(error.to_string());
    let chain =
        CertificateDer::pem_slice_iter(certificate.chain.as_bytes()).collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).map_err(|error| unusable(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
