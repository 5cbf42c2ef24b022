//! The part of PostgreSQL's protocol that is spoken before anyone is logged in.

use std::{collections::BTreeMap, io};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest message anyone may send before being logged in; PostgreSQL's own limit.
const LONGEST: usize = 10_000;
/// What asks for TLS, for encryption by GSSAPI, for another connection's statement to be ended.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// Version 3.0, the only one spoken.
const VERSION: u32 = 3 << 16;
/// What options of the protocol begin with; others are the server's.
const PROTOCOL_OPTION: &str = "_pq_.";
/// What a client whose TLS names no host tells among the options for the server, so that its database is found. It is
/// found by its address here, and the server would not know the option.
const DATABASE_OPTION: &str = "databaseid=";

/// How a connection begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// TLS is wanted.
    Tls,
    /// Encryption is wanted that there is none of.
    Gss,
    /// A statement of another connection is to be ended; the whole message, to be handed on.
    Cancel(Vec<u8>),
    /// A login.
    Startup(Startup),
}

/// What a login tells first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Startup {
    /// Who.
    pub(super) user: String,
    /// To which database.
    pub(super) database: String,
    /// What else the server is told.
    pub(super) others: BTreeMap<String, String>,
    /// Options of the protocol, none of which is known here.
    unknown: Vec<String>,
    /// Whether a later version of the protocol was asked for.
    later: bool,
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Reads a message's body, whose length comes first.
async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
    let length = length.checked_sub(4).filter(|length| *length <= LONGEST);
    let mut body = vec![0; length.ok_or_else(|| wrong("invalid length of startup packet"))?];
    from.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads how a connection begins.
pub(super) async fn first(from: &mut (impl AsyncRead + Unpin)) -> io::Result<First> {
    parse(&body(from).await?)
}

fn parse(body: &[u8]) -> io::Result<First> {
    let (code, rest) = body.split_first_chunk().ok_or_else(|| wrong("invalid length of startup packet"))?;
    match u32::from_be_bytes(*code) {
        SSL if rest.is_empty() => Ok(First::Tls),
        GSS if rest.is_empty() => Ok(First::Gss),
        CANCEL => {
            let length = u32::try_from(body.len() + 4).map_err(io::Error::other)?;
            Ok(First::Cancel([&length.to_be_bytes(), body].concat()))
        }
        version if version >> 16 == VERSION >> 16 => startup(version, rest).map(First::Startup),
        version => {
            let (major, minor) = (version >> 16, version & 0xffff);
            Err(wrong(&format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")))
        }
    }
}

/// Names and values, each ended by a zero, and one more at the end.
fn startup(version: u32, rest: &[u8]) -> io::Result<Startup> {
    let broken = || wrong("invalid startup packet layout: expected terminator as last byte");
    let text = std::str::from_utf8(rest).map_err(|_| wrong("invalid startup packet: it is not UTF-8"))?;
    let text = text.strip_suffix('\0').ok_or_else(broken)?;
    let mut told = BTreeMap::new();
    if !text.is_empty() {
        let mut parts = text.strip_suffix('\0').ok_or_else(broken)?.split('\0');
        while let Some(name) = parts.next() {
            let value = parts.next().ok_or_else(broken)?;
            if name.is_empty() {
                return Err(broken());
            }
            told.insert(name.to_owned(), value.to_owned());
        }
    }
    let user = told.remove("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| wrong("no PostgreSQL user name specified in startup packet"))?;
    let database = told.remove("database").filter(|database| !database.is_empty()).unwrap_or_else(|| user.clone());
    if told.contains_key("replication") {
        return Err(wrong("replication is not supported"));
    }
    if let Some(options) = told.remove("options") {
        let others: Vec<&str> = options.split(' ').filter(|option| !option.starts_with(DATABASE_OPTION)).collect();
        if !others.is_empty() {
            told.insert("options".to_owned(), others.join(" "));
        }
    }
    let unknown = told.extract_if(.., |name, _| name.starts_with(PROTOCOL_OPTION)).map(|(name, _)| name).collect();
    Ok(Startup { user, database, others: told, unknown, later: version > VERSION })
}

impl Startup {
    /// The same login as a role, in the server's words.
    pub(super) fn acting_as(&self, role: &str) -> io::Result<BytesMut> {
        let mut message = BytesMut::new();
        let named = [("user", role), ("database", self.database.as_str())];
        let others = self.others.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        postgres_protocol::message::frontend::startup_message(named.into_iter().chain(others), &mut message)?;
        Ok(message)
    }

    /// Asks for the password, and tells what of the protocol is not spoken.
    pub(super) fn ask_password(&self) -> BytesMut {
        let mut answer = BytesMut::new();
        if self.later || !self.unknown.is_empty() {
            message(&mut answer, b'v', |body| {
                body.put_u32(VERSION);
                body.put_u32(u32::try_from(self.unknown.len()).unwrap_or_default());
                self.unknown.iter().for_each(|name| text(body, name));
            });
        }
        message(&mut answer, b'R', |body| body.put_u32(3));
        answer
    }
}

/// Reads the password.
pub(super) async fn password(from: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    if from.read_u8().await? != b'p' {
        return Err(wrong("expected password response"));
    }
    let mut body = body(from).await?;
    if body.pop() != Some(0) || body.contains(&0) {
        return Err(wrong("invalid password packet size"));
    }
    String::from_utf8(body).map_err(|_| wrong("invalid password packet: it is not UTF-8"))
}

/// Why a login ended, by PostgreSQL's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// It was not spoken as it should.
    Protocol,
    /// It may not be done so.
    Authorization,
    /// It is the wrong password.
    Password,
    /// There is no such database.
    NoDatabase,
    /// Not now.
    CannotConnectNow,
}

/// Tells that a login has ended.
pub(super) fn fatal(code: Code, told: &str) -> BytesMut {
    let code = match code {
        Code::Protocol => "08P01",
        Code::Authorization => "28000",
        Code::Password => "28P01",
        Code::NoDatabase => "3D000",
        Code::CannotConnectNow => "57P03",
    };
    let mut answer = BytesMut::new();
    message(&mut answer, b'E', |body| {
        for (field, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', told)] {
            body.put_u8(field);
            text(body, value);
        }
        body.put_u8(0);
    });
    answer
}

fn text(body: &mut BytesMut, text: &str) {
    // A zero ends a text, wherever it came from.
    body.extend(text.bytes().filter(|byte| *byte != 0));
    body.put_u8(0);
}

fn message(into: &mut BytesMut, kind: u8, fill: impl FnOnce(&mut BytesMut)) {
    let mut body = BytesMut::new();
    fill(&mut body);
    into.put_u8(kind);
    into.put_u32(u32::try_from(body.len() + 4).unwrap_or(u32::MAX));
    into.extend_from_slice(&body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(version: u32, parts: &[&str]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        parts.iter().for_each(|part| body.extend([part.as_bytes(), b"\0"].concat()));
        body.push(0);
        body
    }

    fn login(version: u32, parts: &[&str]) -> io::Result<Startup> {
        match parse(&told(version, parts))? {
            First::Startup(startup) => Ok(startup),
            other => Err(wrong(&format!("{other:?}"))),
        }
    }

    fn error(version: u32, parts: &[&str]) -> String {
        login(version, parts).unwrap_err().to_string()
    }

    #[test]
    fn a_login_names_its_database_or_means_its_own() {
        let named = login(VERSION, &["user", "u", "database", "d", "application_name", "a"]).unwrap();
        assert_eq!((named.user.as_str(), named.database.as_str()), ("u", "d"));
        let upstream = named.acting_as("writer").unwrap();
        assert_eq!(parse(&upstream[4..]).unwrap(), First::Startup(Startup { user: "writer".into(), ..named }));
        assert_eq!(login(VERSION, &["user", "u"]).unwrap().database, "u");
    }

    #[test]
    fn the_option_that_names_the_database_is_not_for_the_server() {
        let options = |told| login(VERSION, &["user", "u", "options", told]).unwrap().others.remove("options");
        assert_eq!(options("databaseid=0d1f"), None);
        assert_eq!(options("-c geqo=off databaseid=0d1f"), Some("-c geqo=off".to_owned()));
        assert_eq!(options("-c a=x\\ y"), Some("-c a=x\\ y".to_owned()));
    }

    #[test]
    fn what_a_later_version_asks_for_is_declined() {
        let plain = login(VERSION, &["user", "u"]).unwrap();
        assert_eq!(&plain.ask_password()[..], b"R\0\0\0\x08\0\0\0\x03");
        let later = login(VERSION + 2, &["user", "u", "_pq_.x", "1"]).unwrap();
        assert!(later.others.is_empty());
        assert_eq!(&later.ask_password()[..], b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0R\0\0\0\x08\0\0\0\x03");
    }

    #[test]
    fn what_is_no_login_is_told_so() {
        assert_eq!(error(2 << 16, &[]), "unsupported frontend protocol 2.0: server supports 3.0 to 3.0");
        assert_eq!(error(VERSION, &[]), "no PostgreSQL user name specified in startup packet");
        assert_eq!(error(VERSION, &["user"]), "invalid startup packet layout: expected terminator as last byte");
        assert_eq!(error(VERSION, &["user", "u", "replication", "true"]), "replication is not supported");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = told(VERSION, &["user", "u", "database", "d"]);
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{end} bytes are no login");
        }
        for byte in 0..=u8::MAX {
            let _either_way = parse(&[0, 3, 0, 0, byte, 0, byte, 0, 0]);
        }
    }

    #[tokio::test]
    async fn a_length_is_not_believed() {
        for length in [0_u32, 3, 20_000, u32::MAX] {
            let error = first(&mut &length.to_be_bytes()[..]).await.unwrap_err();
            assert_eq!(error.to_string(), "invalid length of startup packet");
        }
        assert!(password(&mut &b"p\0\0\0\x04"[..]).await.is_err());
        assert_eq!(password(&mut &b"p\0\0\0\x06a\0"[..]).await.unwrap(), "a");
    }
}
