//! Assets of the bucket, by addresses signed beforehand: their bytes do not pass through here.

use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use url::Url;

use crate::settings::Settings;

/// How long an address is good for.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// The bucket, and who may read it.
pub(crate) struct Assets {
    bucket: Bucket,
    credentials: Credentials,
}

impl Assets {
    /// Those of these settings.
    ///
    /// # Errors
    /// When the bucket's address cannot be made of them.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let bucket = Bucket::new(
            settings.bucket_endpoint.clone(),
            UrlStyle::VirtualHost,
            settings.bucket.clone(),
            settings.bucket_region.clone(),
        );
        Ok(Self {
            bucket: bucket.map_err(|error| format!("ASSETS_BUCKET: {error}"))?,
            credentials: Credentials::new(settings.access_key.clone(), settings.secret_key.clone()),
        })
    }

    /// Where an asset can be fetched for five minutes.
    pub(crate) fn address(&self, key: &str) -> Url {
        self.bucket.get_object(Some(&self.credentials), key).sign(GOOD_FOR)
    }
}
