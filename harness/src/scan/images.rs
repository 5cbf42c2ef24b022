//! Images in the registry: configuration and layers.

use oci_client::{Reference, secrets::RegistryAuth};

use super::Scan;
use crate::{
    Failure,
    image::{NO_LOGIN, registry_client},
    target::Target,
};

impl Scan {
    /// Searches an image: its manifest, its configuration (which has its environment and how it was built), its layers.
    ///
    /// # Errors
    /// When the image cannot be pulled.
    pub async fn image(&mut self, target: &Target, image: &str) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::failed(format!("{image} cannot be searched")).because(error).next("stackproof cloud status")
        };
        let reference: Reference = image.parse().map_err(|error| failed(&error))?;
        let client = registry_client(target.environment())?;
        let secret_key = target.environment().credentials().secret_key.clone();
        let login = RegistryAuth::Basic(NO_LOGIN.into(), secret_key);
        let pulled = client.pull_image_manifest(&reference, &login).await;
        let (manifest, _) = pulled.map_err(|error| failed(&error))?;
        let text = serde_json::to_vec(&manifest).map_err(|error| failed(&error))?;
        self.bytes("images", &format!("manifest of {image}"), &text);
        for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
            let mut bytes = Vec::new();
            client.pull_blob(&reference, blob, &mut bytes).await.map_err(|error| failed(&error))?;
            self.bytes("images", &format!("{} of {image}", blob.digest), &bytes);
        }
        Ok(())
    }
}
