//! Whether the small program's state and the cloud agree: nothing there twice, nothing lost.

use std::collections::BTreeMap;

use serde_json::Value;
use stackproof::Failure;

use crate::{STACK, Team};

/// The types of the small program: how Pulumi calls them, and the word for people.
const TYPES: [(&str, &str); 2] =
    [("scaleway:secrets/secret:Secret", "secret"), ("scaleway:iam/application:Application", "identity")];

/// Names by what they are and their identifier.
type Things = BTreeMap<String, String>;

impl Team {
    /// What the shared stack's state and the cloud do not agree about, in sentences. The cloud is asked by its public
    /// APIs, for everything that bears the stack's name.
    ///
    /// # Errors
    /// When the cloud or the state cannot be looked at.
    pub async fn differences(&self) -> Result<Vec<String>, Failure> {
        let (cloud, state) = (self.in_the_cloud().await?, self.in_the_state().await?);
        let only = |these: &Things, those: &Things, place: &str| -> Vec<String> {
            let lone = these.iter().filter(|(thing, _)| !those.contains_key(*thing));
            lone.map(|(thing, name)| format!("{name} ({thing}) is in the {place} only")).collect()
        };
        let mut all = only(&cloud, &state, "cloud");
        all.extend(only(&state, &cloud, "state"));
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for name in cloud.values() {
            *times.entry(name).or_default() += 1;
        }
        all.extend(times.iter().filter(|(_, times)| **times > 1).map(|(name, times)| format!("{name} {times} times")));
        Ok(all)
    }

    /// How many secrets of the shared stack there are in the cloud.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn secrets_in_the_cloud(&self) -> Result<usize, Failure> {
        Ok(self.in_the_cloud().await?.keys().filter(|thing| thing.starts_with("secret ")).count())
    }

    async fn in_the_cloud(&self) -> Result<Things, Failure> {
        let names = self.names(STACK)?;
        let api = self.target().api()?;
        let secrets = api.regional("secret-manager/v1beta1", "secrets");
        let secrets = format!("{secrets}?project_id={}&page_size=100", names.project);
        let mut found = Things::new();
        for (path, list, word, start) in [
            (secrets.as_str(), "secrets", "secret", names.named("secret-")),
            ("/iam/v1alpha1/applications?page_size=100", "applications", "identity", names.named("identity")),
        ] {
            let answer = api.get(path).await?;
            let listed = answer.body[list].as_array();
            let listed = listed.ok_or_else(|| Failure::failed(format!("GET {path} answered {}", answer.status)))?;
            for item in listed {
                if let (Some(id), Some(name)) = (item["id"].as_str(), item["name"].as_str())
                    && name.starts_with(&start)
                {
                    found.insert(format!("{word} {id}"), name.to_owned());
                }
            }
        }
        Ok(found)
    }

    async fn in_the_state(&self) -> Result<Things, Failure> {
        let shown = self.on_the_stack("ada", &["state", "show"]).await?.success()?.json()?;
        let resources = shown["deployment"]["resources"].as_array().into_iter().flatten();
        let thing = |resource: &Value| {
            let (_, word) = TYPES.into_iter().find(|(token, _)| resource["type"] == *token)?;
            let id = resource["id"].as_str()?.rsplit('/').next()?;
            Some((format!("{word} {id}"), resource["inputs"]["name"].as_str().unwrap_or_default().to_owned()))
        };
        Ok(resources.filter_map(thing).collect())
    }
}
