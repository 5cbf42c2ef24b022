//! A deployed stack under the rules: what they say of what is there, and changes made behind Pulumi's back.

use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{
    Failure, Workspace,
    acceptance::Scenario,
    compliance::{Catalog, Waivers, live, program},
    pulumi::{Operation, Outcome, Settings},
    sovereign::Names,
};

use super::Deployment;

impl Deployment {
    /// What the rules say of what is there, as `rule resource`.
    ///
    /// # Errors
    /// When the cloud does not answer, or the rules cannot be used.
    pub async fn compliance(&self, s: &Scenario) -> Result<Vec<String>, Failure> {
        let workspace = Workspace::find()?;
        let (catalog, waivers) = (Catalog::read(&workspace)?, Waivers::read(&workspace)?);
        let region = self.target.environment().credentials().region.clone();
        let (prefix, stack) = (self.prefix.clone(), self.stack.name().to_owned());
        let names = Names { prefix, stack, project: self.project.clone(), region, target: self.target.name() };
        let report = live::check(&self.target, &names, &catalog, &waivers, None).await?;
        s.attach("compliance.json", serde_json::to_vec_pretty(&report).unwrap_or_default())?;
        let found = report.findings.iter().map(|finding| format!("{} {}", finding.rule, finding.resource));
        Ok(found.chain(report.unseen.iter().map(|unseen| format!("unseen {unseen}"))).collect())
    }

    /// What the rules say of a stack of the repository before anything is made, as `rule resource`.
    ///
    /// # Errors
    /// When it cannot be judged.
    pub fn judged(&self, stack: &str) -> Result<Vec<String>, Failure> {
        let workspace = Workspace::find()?;
        let settings =
            Settings { name: stack.to_owned(), program: workspace.infra(), folder: self.folder.path().join("judged") };
        match program::judge(&workspace, &self.toolchain.python.path, &settings, None)? {
            program::Verdict::Judged(judgement) => {
                let findings = judgement.programs.iter().flat_map(|program| &program.findings);
                let idle = judgement.idle().into_iter().map(|rule| format!("idle {rule}"));
                Ok(findings.map(|finding| format!("{} {}", finding.rule, finding.resource)).chain(idle).collect())
            }
            program::Verdict::Unjudged(why) => Err(Failure::failed(why)),
        }
    }

    /// Gives its database a public endpoint, as somebody would in the console.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn open_the_database(&self) -> Result<(), Failure> {
        let api = self.target.api()?;
        let path = api.regional("rdb/v1", &format!("instances/{}/endpoints", self.instance().await?));
        let body = json!({"endpoint_spec": {"load_balancer": {}}});
        done(&api.send(Method::POST, &path, Some(body)).await?.body, "no endpoint was made")
    }

    /// Takes its public endpoints away again.
    ///
    /// # Errors
    /// When the cloud refuses, or there is none.
    pub async fn close_the_database(&self) -> Result<(), Failure> {
        let api = self.target.api()?;
        let path = api.regional("rdb/v1", &format!("instances/{}", self.instance().await?));
        let instance = api.get(&path).await?.body;
        let endpoints = instance["endpoints"].as_array().into_iter().flatten();
        let public: Vec<&Value> = endpoints.filter(|endpoint| endpoint["load_balancer"].is_object()).collect();
        if public.is_empty() {
            return Err(Failure::failed("the database has no public endpoint").because(&instance["endpoints"]));
        }
        for endpoint in public {
            let path = api.regional("rdb/v1", &format!("endpoints/{}", endpoint["id"].as_str().unwrap_or_default()));
            done(&api.send(Method::DELETE, &path, None).await?.body, "the endpoint cannot be deleted")?;
        }
        Ok(())
    }

    /// The id of its database's instance.
    async fn instance(&self) -> Result<String, Failure> {
        let outputs = self.stack.outputs().await?;
        let id = outputs["database_instance_id"].as_str().and_then(|id| id.rsplit('/').next()).map(str::to_owned);
        id.ok_or_else(|| Failure::failed("the stack tells no database_instance_id"))
    }

    /// Grants its application everything, by a policy beside its own. Returns the policy's id.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn grant_everything(&self) -> Result<String, Failure> {
        let outputs = self.stack.outputs().await?;
        let rule = json!({"permission_set_names": ["AllProductsFullAccess"], "project_ids": [self.project]});
        let body = json!({
            "name": self.named("help"),
            "organization_id": self.target.environment().credentials().organization_id,
            "application_id": outputs["application_id"],
            "rules": [rule],
        });
        let answer = self.target.api()?.send(Method::POST, "/iam/v1alpha1/policies", Some(body)).await?;
        let policy = answer.body["id"].as_str().map(str::to_owned);
        policy.ok_or_else(|| Failure::failed("no policy was made").because(answer.body))
    }

    /// Takes a policy away again.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn revoke(&self, policy: &str) -> Result<(), Failure> {
        let path = format!("/iam/v1alpha1/policies/{policy}");
        done(&self.target.api()?.send(Method::DELETE, &path, None).await?.body, "the policy cannot be deleted")
    }

    /// Switches its bucket's versioning off.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn forget_versions(&self) -> Result<(), Failure> {
        let storage = self.target.object_storage()?.in_project(&self.project);
        let document = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                        <Status>Suspended</Status></VersioningConfiguration>";
        match storage.configure(&self.named("assets"), "versioning", document).await? {
            200 => Ok(()),
            status => Err(Failure::failed(format!("versioning cannot be suspended: {status}"))),
        }
    }

    /// Has Pulumi see what is there, and put it right.
    ///
    /// # Errors
    /// When it fails.
    pub async fn put_right(&self, s: &Scenario) -> Result<Outcome, Failure> {
        self.run(s, &Operation::Refresh).await?.success()?;
        self.run(s, &Operation::Up).await?.success()
    }
}

/// What was asked is done, unless the answer says otherwise.
fn done(answer: &Value, otherwise: &str) -> Result<(), Failure> {
    if answer["message"].is_null() { Ok(()) } else { Err(Failure::failed(otherwise).because(answer)) }
}
