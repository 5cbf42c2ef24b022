//! Somebody else who deploys: a pipeline, with an application, a policy and a key of its own.

use std::{collections::BTreeMap, sync::Arc};

use reqwest::Method;
use serde_json::json;
use stackproof::{
    Failure,
    acceptance::Scenario,
    privilege::{self, FindingKind, Grant, Verdict},
    pulumi::{Operation, Stack},
};

use super::Deployment;
use crate::ApiKey;

/// An application that deploys.
pub struct Pipeline {
    name: String,
    id: String,
    policy: String,
    key: ApiKey,
}

impl Pipeline {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Deployment {
    /// What a key needs that deploys this stack and takes it away again, as `stackproof check --iam` finds it from
    /// somebody's doing both.
    ///
    /// # Errors
    /// When either fails, or the target tells no calls.
    pub async fn needed(&self, s: &Scenario) -> Result<Vec<Grant>, Failure> {
        self.forget_calls().await?;
        self.up(s).await?;
        self.destroy(s).await?;
        let verdict = self.permissions().await?;
        s.attach("needed.txt", verdict.to_string())?;
        Ok(verdict.people.into_iter().flat_map(|person| person.needed).collect())
    }

    /// What `stackproof check --iam` says.
    ///
    /// # Errors
    /// When the target tells no calls.
    pub async fn permissions(&self) -> Result<Verdict, Failure> {
        privilege::check(&self.target).await
    }

    /// Forgets what was called so far.
    ///
    /// # Errors
    /// When the target tells no calls.
    pub async fn forget_calls(&self) -> Result<(), Failure> {
        self.control()?.forget_permissions().await
    }

    /// What a pipeline is missing, by what it was refused.
    ///
    /// # Errors
    /// When the target tells no calls.
    pub async fn lacks(&self, pipeline: &Pipeline) -> Result<Vec<Grant>, Failure> {
        let verdict = self.permissions().await?;
        let of_it = verdict.findings.into_iter().filter(|finding| finding.application == pipeline.name);
        let lacks = of_it.filter(|finding| finding.kind == FindingKind::Lack);
        Ok(lacks.map(|lack| Grant { permission_set: lack.permission_set, project_id: lack.project_id }).collect())
    }

    /// An application with a key that nothing is granted to yet. The stack's configuration names it as one who deploys.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn pipeline(&self, s: &Scenario) -> Result<Pipeline, Failure> {
        let organization = &self.target.environment().credentials().organization_id;
        let name = self.named("pipeline");
        let id = self.new_application(&name).await?;
        let policy = json!({"name": &name, "organization_id": organization, "application_id": id, "rules": []});
        let policy = self.made("/iam/v1alpha1/policies", policy, "id").await?;
        let body = json!({"application_id": id, "default_project_id": self.project});
        let answer = self.target.api()?.send(Method::POST, "/iam/v1alpha1/api-keys", Some(body)).await?;
        let text = |field: &str| answer.body[field].as_str().unwrap_or_default().to_owned();
        let key = ApiKey { access_key: text("access_key"), secret_key: text("secret_key") };
        s.secret(&key.secret_key);
        self.configure(&[("deployers[1]", &format!("application_id:{id}"))]).await?;
        Ok(Pipeline { name, id, policy, key })
    }

    /// Grants it this, and no more.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn grant(&self, pipeline: &Pipeline, grants: &[Grant]) -> Result<(), Failure> {
        let organization = &self.target.environment().credentials().organization_id;
        let mut places: BTreeMap<&Option<String>, Vec<&str>> = BTreeMap::new();
        for grant in grants {
            places.entry(&grant.project_id).or_default().push(&grant.permission_set);
        }
        let rule = |(place, sets): (&Option<String>, Vec<&str>)| match place {
            Some(project) => json!({"permission_set_names": sets, "project_ids": [project]}),
            None => json!({"permission_set_names": sets, "organization_id": organization}),
        };
        let rules: Vec<_> = places.into_iter().map(rule).collect();
        let body = json!({"policy_id": pipeline.policy, "rules": rules});
        let answer = self.target.api()?.send(Method::PUT, "/iam/v1alpha1/rules", Some(body)).await?;
        if answer.status == 200 { Ok(()) } else { Err(Failure::failed("PUT rules").because(answer.body)) }
    }

    /// The same stack, with the pipeline's key.
    ///
    /// # Errors
    /// When Pulumi refuses.
    pub async fn by(&self, pipeline: &Pipeline) -> Result<Self, Failure> {
        let target = Arc::new(self.target.seen_by(&pipeline.key.access_key, &pipeline.key.secret_key));
        let stack = Stack::open(self.stack.settings().clone(), self.toolchain.clone(), &target).await?;
        Ok(Self {
            stack,
            target,
            toolchain: self.toolchain.clone(),
            prefix: self.prefix.clone(),
            project: self.project.clone(),
            folder: Arc::clone(&self.folder),
        })
    }

    /// Runs `pulumi up` as it ends, well or not.
    ///
    /// # Errors
    /// When Pulumi cannot be run.
    pub async fn attempt(&self, s: &Scenario) -> Result<bool, Failure> {
        Ok(self.run(s, &Operation::Up).await?.succeeded())
    }

    /// Takes the pipeline away again, with its key and policy.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn dismiss_pipeline(&self, pipeline: &Pipeline) -> Result<(), Failure> {
        self.dismiss_application(&pipeline.id).await
    }
}
