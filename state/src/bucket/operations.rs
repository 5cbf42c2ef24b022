//! What can be asked of a bucket.

use bytes::Bytes;
use reqwest::{Method, Response};
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{Ask, Bucket, Condition, ETag, Error, encoded, xml};

/// An object in a list.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Its content's name.
    pub etag: ETag,
    /// When it was written, by the bucket's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// A version of an object.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's identifier; `null` from before versioning.
    pub id: String,
    /// Whether it is what a plain read finds.
    pub latest: bool,
    /// Whether it says that the object was deleted.
    pub deleted: bool,
    /// Its content's name.
    pub etag: Option<ETag>,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the bucket's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
    /// Whose it is, where the bucket tells: with Scaleway the project, not the person.
    pub owner: Option<String>,
}

/// What is known of an object without its content.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its content's name.
    pub etag: ETag,
    /// Its version, in a bucket with versioning.
    pub version: Option<String>,
    /// When it was written, by the bucket's clock.
    pub modified: Option<OffsetDateTime>,
}

/// An object with its content.
#[derive(Clone, Debug)]
pub struct Object {
    /// What is known of it.
    pub head: Head,
    /// Its content.
    pub content: Bytes,
}

/// What a write made.
#[derive(Clone, Debug)]
pub struct Written {
    /// The content's name.
    pub etag: ETag,
    /// The version, in a bucket with versioning.
    pub version: Option<String>,
}

/// Whether a bucket keeps what is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Versioning {
    /// It does.
    Enabled,
    /// It keeps what it had, and overwrites from now on.
    Suspended,
    /// It never did.
    Off,
}

/// A rule of a bucket's lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// Whether it acts.
    pub enabled: bool,
    /// Which keys it is about.
    pub prefix: String,
    /// After how many days current versions expire.
    pub days: Option<u32>,
    /// After how many days older versions expire.
    pub old_versions_days: Option<u32>,
}

impl Bucket {
    /// Whether the bucket is there.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn exists(&self) -> Result<bool, Error> {
        match self.text(&Ask::bucket(Method::GET, &[("list-type", "2"), ("max-keys", "1")])).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing_bucket() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes the bucket, which has to be empty, of old versions too.
    ///
    /// # Errors
    /// When it is not empty, or does not answer, or refuses.
    pub async fn remove(&self) -> Result<(), Error> {
        self.done(&Ask::bucket(Method::DELETE, &[])).await.map(drop)
    }

    /// Everything whose key begins with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let full = format!("{}{prefix}", self.access.prefix);
        let (mut all, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut ask = Ask::bucket(Method::GET, &[("list-type", "2"), ("prefix", &full)]);
            ask.query.extend(after.take().map(|token| ("continuation-token".to_owned(), token)));
            let (page, next) =
                xml::listing(&self.text(&ask).await?).map_err(|why| Error::Strange { what: ask.what(self), why })?;
            all.extend(page.into_iter().filter_map(|mut listed| {
                listed.key = self.without_prefix(&listed.key)?;
                Some(listed)
            }));
            match next {
                Some(token) => after = Some(token),
                None => return Ok(all),
            }
        }
    }

    /// Every version of everything whose key begins with `prefix`: by key, the newest first.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn versions(&self, prefix: &str) -> Result<Vec<Version>, Error> {
        let full = format!("{}{prefix}", self.access.prefix);
        let (mut all, mut after) = (Vec::new(), None::<xml::Marker>);
        loop {
            let mut ask = Ask::bucket(Method::GET, &[("versions", ""), ("prefix", &full)]);
            if let Some((key, version)) = after.take() {
                ask.query.push(("key-marker".to_owned(), key));
                if !version.is_empty() {
                    ask.query.push(("version-id-marker".to_owned(), version));
                }
            }
            let (page, next) =
                xml::versions(&self.text(&ask).await?).map_err(|why| Error::Strange { what: ask.what(self), why })?;
            all.extend(page.into_iter().filter_map(|mut version| {
                version.key = self.without_prefix(&version.key)?;
                Some(version)
            }));
            match next {
                Some(marker) => after = Some(marker),
                None => return Ok(all),
            }
        }
    }

    /// An object, or a version of it; none where it is not there or deleted.
    ///
    /// # Errors
    /// When the bucket is not there, does not answer, or refuses.
    pub async fn get(&self, key: &str, version: Option<&str>) -> Result<Option<Object>, Error> {
        let ask = Ask::object(Method::GET, key).version(version);
        let Some(response) = self.found(&ask).await? else { return Ok(None) };
        let head = self.head_of(&ask, &response)?;
        let content = self.content(&ask, response).await?;
        Ok(Some(Object { head, content }))
    }

    /// What is known of an object without its content; none where it is not there.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses. A bucket that is not there looks like an object that is not.
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        let ask = Ask::object(Method::HEAD, key);
        match self.found(&ask).await? {
            Some(response) => self.head_of(&ask, &response).map(Some),
            None => Ok(None),
        }
    }

    /// Writes an object, if the condition holds.
    ///
    /// # Errors
    /// [`Error::Changed`] when the condition does not hold; otherwise when the bucket does not answer, or refuses.
    pub async fn put(&self, key: &str, content: Bytes, condition: &Condition) -> Result<Written, Error> {
        let ask = Ask::object(Method::PUT, key).header("content-type", media_type(key)).when(condition).body(content);
        let response = self.done(&ask).await?;
        let head = self.head_of(&ask, &response)?;
        Ok(Written { etag: head.etag, version: head.version })
    }

    /// Copies an object, or a version of it, within the bucket.
    ///
    /// # Errors
    /// When it is not there, or the bucket does not answer, or refuses.
    pub async fn copy(&self, from: &str, version: Option<&str>, to: &str) -> Result<(), Error> {
        let mut source = encoded(&format!("{}/{}{from}", self.access.bucket, self.access.prefix));
        if let Some(version) = version {
            source.push_str(&format!("?versionId={}", encoded(version)));
        }
        let ask = Ask::object(Method::PUT, to).header("x-amz-copy-source", source);
        // A copy can fail after its head was sent; then the document is an error.
        let text = self.text(&ask).await?;
        let document = xml::parse(&text).map_err(|why| Error::Strange { what: ask.what(self), why })?;
        let root = document.root_element();
        if root.tag_name().name() == "Error" {
            let (code, message) = xml::error(&text);
            return Err(Error::Refused { what: ask.what(self), status: 500, code, message });
        }
        Ok(())
    }

    /// Deletes an object (which a bucket with versioning can bring back), or for ever a version of it.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses. That nothing is there is no error.
    pub async fn delete(&self, key: &str, version: Option<&str>) -> Result<(), Error> {
        let ask = Ask::object(Method::DELETE, key).version(version);
        self.found(&ask).await.map(drop)
    }

    /// Whether the bucket keeps what is overwritten.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn versioning(&self) -> Result<Versioning, Error> {
        let ask = Ask::bucket(Method::GET, &[("versioning", "")]);
        let text = self.text(&ask).await?;
        let document = xml::parse(&text).map_err(|why| Error::Strange { what: ask.what(self), why })?;
        Ok(match xml::child(document.root_element(), "Status") {
            "Enabled" => Versioning::Enabled,
            "Suspended" => Versioning::Suspended,
            _ => Versioning::Off,
        })
    }

    /// The bucket's policy, as the bucket has it; none where it has none.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn policy(&self) -> Result<Option<String>, Error> {
        let ask = Ask::bucket(Method::GET, &[("policy", "")]);
        let Some(response) = self.found(&ask).await? else { return Ok(None) };
        let content = self.content(&ask, response).await?;
        let strange = |why| Error::Strange { what: ask.what(self), why };
        String::from_utf8(content.to_vec()).map(Some).map_err(|error| strange(error.to_string()))
    }

    /// The rules of the bucket's lifecycle; none where it has no lifecycle.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn lifecycle(&self) -> Result<Vec<Rule>, Error> {
        let ask = Ask::bucket(Method::GET, &[("lifecycle", "")]);
        let Some(response) = self.found(&ask).await? else { return Ok(Vec::new()) };
        let strange = |why| Error::Strange { what: ask.what(self), why };
        let content = self.content(&ask, response).await?;
        let text = std::str::from_utf8(&content).map_err(|error| strange(error.to_string()))?;
        xml::rules(text).map_err(strange)
    }

    fn head_of(&self, ask: &Ask, response: &Response) -> Result<Head, Error> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let etag = header("etag").ok_or_else(|| Error::Strange {
            what: ask.what(self),
            why: "it does not say which content it is (no ETag)".to_owned(),
        })?;
        Ok(Head {
            etag: ETag::new(etag),
            version: header("x-amz-version-id").map(str::to_owned),
            modified: header("last-modified")
                .and_then(|text| OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()),
        })
    }

    fn without_prefix(&self, key: &str) -> Option<String> {
        key.strip_prefix(&self.access.prefix).map(str::to_owned)
    }
}

fn media_type(key: &str) -> &'static str {
    match key.rsplit_once('.').map(|(_, end)| end) {
        Some("json") => "application/json",
        Some("gz") => "application/gzip",
        Some("zst") => "application/zstd",
        _ => "application/octet-stream",
    }
}
