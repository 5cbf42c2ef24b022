//! A client of Object Storage, as any user could write it: probes look through it.

use std::time::Duration;

use reqwest::{Client, Method};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle, actions};

use super::{Api, Environment};
use crate::Failure;

/// How long a presigned address is good for.
const VALID: Duration = Duration::from_secs(60);

/// A client of the Object Storage of a target.
#[derive(Clone)]
pub struct ObjectStorage {
    client: Client,
    endpoint: url::Url,
    region: String,
    credentials: Credentials,
}

impl ObjectStorage {
    /// A client that reaches Object Storage as a tool in this environment would; `endpoint`
    /// where it is not at Scaleway's host name.
    ///
    /// # Errors
    /// When the environment leads nowhere.
    pub fn new(environment: &Environment, endpoint: Option<&str>) -> Result<Self, Failure> {
        let who = environment.credentials();
        let address = endpoint.map_or_else(|| format!("https://s3.{}.scw.cloud", who.region), str::to_owned);
        let endpoint = address
            .parse()
            .map_err(|error| Failure::usage(format!("{address} is no address of Object Storage")).because(error))?;
        // The project is chosen by the access key's suffix, as the provider does.
        let access_key = format!("{}@{}", who.access_key, who.project_id);
        Ok(Self {
            client: Api::client(environment)?,
            endpoint,
            region: who.region.clone(),
            credentials: Credentials::new(access_key, who.secret_key.clone()),
        })
    }

    /// The same client, in another project: buckets are seen by keys of their own project.
    #[must_use]
    pub fn in_project(mut self, project: &str) -> Self {
        let (key, secret) = (self.credentials.key(), self.credentials.secret());
        let key = key.split_once('@').map_or(key, |(key, _)| key);
        self.credentials = Credentials::new(format!("{key}@{project}"), secret.to_owned());
        self
    }

    /// The same client with another key, in the same project.
    #[must_use]
    pub fn with_key(mut self, access_key: &str, secret_key: &str) -> Self {
        let project = self.credentials.key().split_once('@').map_or("", |(_, project)| project).to_owned();
        self.credentials = Credentials::new(format!("{access_key}@{project}"), secret_key.to_owned());
        self
    }

    /// The same client, at Scaleway's host name of another region.
    ///
    /// # Errors
    /// When that is no region's name.
    pub fn in_region(mut self, region: &str) -> Result<Self, Failure> {
        let address = format!("https://s3.{region}.scw.cloud").parse();
        self.endpoint = address.map_err(|error| Failure::usage(format!("{region} is no region")).because(error))?;
        self.region = region.to_owned();
        Ok(self)
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The list of the project's buckets: status and document.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn list(&self) -> Result<(u16, String), Failure> {
        self.document(self.endpoint.clone(), &[]).await
    }

    /// One of a bucket's configurations, such as `versioning` or `policy`: status and document.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn configuration(&self, bucket: &str, which: &str) -> Result<(u16, String), Failure> {
        let address = self.bucket(bucket)?.base_url().clone();
        self.document(address, &[(which, "")]).await
    }

    /// Writes one of a bucket's configurations; returns the status.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn configure(&self, bucket: &str, which: &str, document: &str) -> Result<u16, Failure> {
        let address = self.bucket(bucket)?.base_url().clone();
        let url = self.signed(rusty_s3::Method::Put, address, &[(which, "")]);
        self.send(Method::PUT, url, document.as_bytes().to_vec()).await.map(|(status, _)| status)
    }

    async fn document(&self, address: url::Url, query: &[(&str, &str)]) -> Result<(u16, String), Failure> {
        let url = self.signed(rusty_s3::Method::Get, address, query);
        let (status, content) = self.send(Method::GET, url, Vec::new()).await?;
        Ok((status, String::from_utf8_lossy(&content).into_owned()))
    }

    fn signed(&self, method: rusty_s3::Method, address: url::Url, query: &[(&str, &str)]) -> url::Url {
        let (key, secret) = (self.credentials.key(), self.credentials.secret());
        let (now, query, none) = (jiff::Timestamp::now(), query.iter().copied(), std::iter::empty());
        let (region, valid) = (&self.region, VALID.as_secs());
        rusty_s3::signing::sign(&now, method, address, key, secret, None, region, valid, query, none)
    }

    /// The status of HEAD on a bucket: 200 there, 404 not there, 403 somebody else's.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn head_bucket(&self, name: &str) -> Result<u16, Failure> {
        let bucket = self.bucket(name)?;
        let url = actions::HeadBucket::new(&bucket, Some(&self.credentials)).sign(VALID);
        self.send(Method::HEAD, url, Vec::new()).await.map(|(status, _)| status)
    }

    /// Makes a bucket; returns the status.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn create_bucket(&self, name: &str) -> Result<u16, Failure> {
        let bucket = self.bucket(name)?;
        let url = actions::CreateBucket::new(&bucket, &self.credentials).sign(VALID);
        self.send(Method::PUT, url, Vec::new()).await.map(|(status, _)| status)
    }

    /// Puts an object; returns the status.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn put(&self, bucket: &str, key: &str, content: Vec<u8>) -> Result<u16, Failure> {
        let bucket = self.bucket(bucket)?;
        let url = actions::PutObject::new(&bucket, Some(&self.credentials), key).sign(VALID);
        self.send(Method::PUT, url, content).await.map(|(status, _)| status)
    }

    /// Reads an object: status and content.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<(u16, Vec<u8>), Failure> {
        let bucket = self.bucket(bucket)?;
        let url = actions::GetObject::new(&bucket, Some(&self.credentials), key).sign(VALID);
        self.send(Method::GET, url, Vec::new()).await
    }

    /// Deletes an object; returns the status.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<u16, Failure> {
        let bucket = self.bucket(bucket)?;
        let url = actions::DeleteObject::new(&bucket, Some(&self.credentials), key).sign(VALID);
        self.send(Method::DELETE, url, Vec::new()).await.map(|(status, _)| status)
    }

    /// Deletes a bucket; returns the status.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn delete_bucket(&self, name: &str) -> Result<u16, Failure> {
        let bucket = self.bucket(name)?;
        let url = actions::DeleteBucket::new(&bucket, &self.credentials).sign(VALID);
        self.send(Method::DELETE, url, Vec::new()).await.map(|(status, _)| status)
    }

    /// The status of reading a bucket's policy: 404 where it has none.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn bucket_policy(&self, name: &str) -> Result<u16, Failure> {
        let bucket = self.bucket(name)?;
        let url = actions::GetBucketPolicy::new(&bucket, Some(&self.credentials)).sign(VALID);
        self.send(Method::GET, url, Vec::new()).await.map(|(status, _)| status)
    }

    /// The keys of a bucket's objects.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn keys(&self, bucket: &str) -> Result<Vec<String>, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::failed(format!("the bucket {bucket} could not be listed")).because(why).next("stackproof check")
        };
        let place = self.bucket(bucket)?;
        let (mut keys, mut from) = (Vec::new(), None);
        loop {
            let mut list = actions::ListObjectsV2::new(&place, Some(&self.credentials));
            if let Some(from) = from {
                list.with_continuation_token(from);
            }
            let (status, content) = self.send(Method::GET, list.sign(VALID), Vec::new()).await?;
            if status != 200 {
                return Err(failed(&status));
            }
            let page = actions::ListObjectsV2::parse_response(&String::from_utf8_lossy(&content));
            let page = page.map_err(|error| failed(&error))?;
            keys.extend(page.contents.into_iter().map(|object| object.key));
            from = page.next_continuation_token;
            if from.is_none() {
                return Ok(keys);
            }
        }
    }

    fn bucket(&self, name: &str) -> Result<Bucket, Failure> {
        Bucket::new(self.endpoint.clone(), UrlStyle::Path, name.to_owned(), self.region.clone())
            .map_err(|error| Failure::usage(format!("{name} is no bucket's name")).because(error))
    }

    async fn send(&self, method: Method, url: url::Url, content: Vec<u8>) -> Result<(u16, Vec<u8>), Failure> {
        let what = format!("{method} {}", url.path());
        let lost = |error: reqwest::Error| {
            // The address carries a signature; it is nothing to print.
            Failure::failed(format!("{what} was not answered"))
                .because(error.without_url())
                .next("stackproof cloud status")
        };
        let response = self.client.request(method.clone(), url).body(content).send().await.map_err(lost)?;
        let status = response.status().as_u16();
        Ok((status, response.bytes().await.map_err(lost)?.to_vec()))
    }
}
