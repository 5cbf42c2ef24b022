//! Names that resolve inside networks.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_server::{
    Server,
    net::runtime::Time,
    proto::{
        op::{Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
        rr::{RData, Record, RecordType},
    },
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use parking_lot::RwLock;

use super::{Error, Place, Result};

/// How long an answer may be remembered: not long, names change with what is deployed.
const TTL: u32 = 5;
/// How long an unused connection to the resolver is kept.
const IDLE: std::time::Duration = std::time::Duration::from_secs(5);
/// How many answers may wait on one connection.
const WAITING: usize = 32;

/// The names seen from somewhere; they can be replaced at any time, and are for all clones.
#[derive(Clone, Default)]
pub struct View {
    names: Arc<RwLock<BTreeMap<String, Vec<IpAddr>>>>,
    /// Asked for what is not here.
    beyond: Vec<View>,
    /// Whether this machine is asked for what nobody here knows.
    machine: bool,
}

impl View {
    /// One that also sees what others do.
    pub fn of(beyond: Vec<View>) -> Self {
        Self { names: Arc::default(), beyond, machine: false }
    }

    /// This one, and what this machine would find where nobody here knows a name.
    pub(super) fn and_the_machine(self) -> Self {
        Self { machine: true, ..self }
    }

    /// The addresses of a name, here or as this machine finds them: then those of IPv4 only.
    async fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        match self.find(name) {
            None if self.machine => {
                // With its last dot: what is to be tried behind a name, who asks has tried.
                let found = tokio::net::lookup_host((name, 0)).await;
                let found = found.inspect_err(|error| tracing::debug!(name, %error, "this machine finds no such name"));
                Some(found.ok()?.map(|at| at.ip()).filter(IpAddr::is_ipv4).collect())
            }
            found => found,
        }
    }

    /// Replaces the names: in full, without the last dot; `*.` in front stands for all sub-domains.
    pub fn set(&self, names: BTreeMap<String, Vec<IpAddr>>) {
        *self.names.write() = names.into_iter().map(|(name, to)| (name.to_ascii_lowercase(), to)).collect();
    }

    /// The addresses of a name; none: there is no such name.
    pub fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let names = self.names.read();
        let mut rest = name.as_str();
        let found = names.get(&name).cloned().or_else(|| {
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(found) = names.get(&format!("*.{parent}")) {
                    return Some(found.clone());
                }
                rest = parent;
            }
            None
        });
        found.or_else(|| self.beyond.iter().find_map(|view| view.find(&name)))
    }
}

/// A resolver. It answers for as long as it is held.
pub struct Resolver {
    server: Server<Answers>,
    view: Arc<RwLock<View>>,
}

impl Resolver {
    /// Begins to answer, to datagrams and connections. When this returns, it does.
    pub async fn serve(place: &Place, at: SocketAddr, view: View) -> Result<Self> {
        let step = || format!("answering names at {at}");
        let datagrams = place.datagrams(at).await.map_err(Error::machine(step()))?;
        let listener = place.listen(at).await.map_err(Error::machine(step()))?;
        let view = Arc::new(RwLock::new(view));
        let mut server = Server::new(Answers(Arc::clone(&view)));
        server.register_socket(datagrams);
        server.register_listener(listener, IDLE, WAITING);
        Ok(Self { server, view })
    }

    /// Answers with another view from now on.
    pub fn see(&self, view: View) {
        *self.view.write() = view;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.server.shutdown_token().cancel();
    }
}

struct Answers(Arc<RwLock<View>>);

impl Answers {
    async fn records(&self, request: &Request) -> (ResponseCode, Vec<Record>) {
        if request.metadata.op_code != OpCode::Query {
            return (ResponseCode::NotImp, Vec::new());
        }
        let Ok(asked) = request.request_info() else { return (ResponseCode::FormErr, Vec::new()) };
        let view = self.0.read().clone();
        let Some(addresses) = view.resolve(&asked.query.name().to_string()).await else {
            return (ResponseCode::NXDomain, Vec::new());
        };
        let name = asked.query.original().name().clone();
        let data = addresses.into_iter().filter_map(|address| match (asked.query.query_type(), address) {
            (RecordType::A, IpAddr::V4(address)) => Some(RData::A(address.into())),
            (RecordType::AAAA, IpAddr::V6(address)) => Some(RData::AAAA(address.into())),
            _ => None,
        });
        (ResponseCode::NoError, data.map(|data| Record::from_rdata(name.clone(), TTL, data)).collect())
    }
}

#[async_trait::async_trait]
impl RequestHandler for Answers {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let (code, records) = self.records(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        metadata.recursion_available = true;
        metadata.response_code = code;
        let answer = MessageResponseBuilder::from_message_request(request).build(metadata, &records, [], [], []);
        match response.send_response(answer).await {
            Ok(sent) => sent,
            Err(error) => {
                tracing::debug!(%error, "an answer about a name could not be sent");
                let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
                metadata.response_code = ResponseCode::ServFail;
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_here_then_beyond_and_below_a_star() {
        let (outside, inside) = (View::default(), View::default());
        let inside = View { beyond: vec![outside.clone()], ..inside };
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let two: IpAddr = "198.18.0.2".parse().unwrap();
        inside.set([("DB.pn.internal".to_owned(), vec![one])].into());
        outside.set([("*.s3.fr-par.scw.cloud".to_owned(), vec![two])].into());
        assert_eq!(inside.find("db.pn.internal."), Some(vec![one]));
        assert_eq!(inside.find("a.b.s3.fr-par.scw.cloud"), Some(vec![two]));
        assert_eq!(inside.find("s3.fr-par.scw.cloud"), None);
        assert_eq!(outside.find("db.pn.internal"), None);
    }
}
