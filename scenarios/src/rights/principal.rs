//! Somebody to try things as: a principal of the stack with an API key of its own.

use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{
    Failure,
    acceptance::Scenario,
    target::{Api, ObjectStorage},
};

use super::{Rights, class::is_of_organization};

/// Somebody with a key. Application, group membership and key that were made for the trial go with [`Rights::dismiss`].
pub struct Subject {
    /// What it is called in the matrix.
    pub name: String,
    /// The classes of actions that it is to be allowed.
    pub expected: &'static [&'static str],
    pub(super) id: String,
    pub(super) secret_key: String,
    pub(super) api: Api,
    pub(super) storage: ObjectStorage,
    /// Its policy and its rules as they are deployed.
    pub(super) policy: Option<(String, Vec<Value>)>,
    /// What was made for it, by path, the last first.
    made: Vec<String>,
}

impl Subject {
    /// The permission sets it is granted, in the policy's order.
    pub fn granted(&self) -> Vec<String> {
        let rules = self.policy.iter().flat_map(|(_, rules)| rules);
        let sets = rules.flat_map(|rule| rule["permission_set_names"].as_array().cloned().unwrap_or_default());
        sets.filter_map(|set| set.as_str().map(str::to_owned)).collect()
    }
}

impl Rights<'_> {
    /// An application of the stack's, by the name of its component, with a key made for the trial.
    ///
    /// # Errors
    /// When there is none, or the cloud refuses.
    pub async fn application(
        &self,
        s: &Scenario,
        component: &str,
        expected: &'static [&'static str],
    ) -> Result<Subject, Failure> {
        let id = self.named("applications", component).await?;
        self.subject(s, component.to_owned(), id.clone(), ("application_id", id), expected, Vec::new()).await
    }

    /// An application that is a member of a group of the stack's, and nothing else: what the group's people may do.
    ///
    /// # Errors
    /// When there is no such group, or the cloud refuses.
    pub async fn member(
        &self,
        s: &Scenario,
        component: &str,
        expected: &'static [&'static str],
    ) -> Result<Subject, Failure> {
        let group = self.named("groups", component).await?;
        let id = self.new_application(&format!("member-{component}")).await?;
        let joining = format!("/iam/v1alpha1/groups/{group}/add-member");
        self.ask(Method::POST, &joining, json!({"application_id": id})).await?;
        let made = vec![format!("/iam/v1alpha1/applications/{id}")];
        self.subject(s, format!("people of {component}"), id, ("group_id", group), expected, made).await
    }

    /// An application whose policy grants nothing.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn stranger(&self, s: &Scenario) -> Result<Subject, Failure> {
        let id = self.new_application("nobody").await?;
        let policy = json!({"name": self.of.named("nobody"), "application_id": id, "rules": []});
        let policy = self.ask(Method::POST, "/iam/v1alpha1/policies", policy).await?;
        let policy = policy["id"].as_str().unwrap_or_default();
        let made = vec![format!("/iam/v1alpha1/applications/{id}"), format!("/iam/v1alpha1/policies/{policy}")];
        self.subject(s, "a stranger".to_owned(), id.clone(), ("application_id", id), &[], made).await
    }

    /// Takes away what was made for a trial.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub async fn dismiss(&self, subject: &Subject) -> Result<(), Failure> {
        for path in subject.made.iter().rev() {
            self.ask(Method::DELETE, path, Value::Null).await?;
        }
        Ok(())
    }

    async fn new_application(&self, name: &str) -> Result<String, Failure> {
        let named = json!({"name": self.of.named(name)});
        let made = self.ask(Method::POST, "/iam/v1alpha1/applications", named).await?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn subject(
        &self,
        s: &Scenario,
        name: String,
        id: String,
        (bearer, of): (&str, String),
        expected: &'static [&'static str],
        mut made: Vec<String>,
    ) -> Result<Subject, Failure> {
        let body = json!({"application_id": id, "default_project_id": self.of.project(), "description": "a trial"});
        let key = self.ask(Method::POST, "/iam/v1alpha1/api-keys", body).await?;
        let text = |field: &str| key[field].as_str().unwrap_or_default().to_owned();
        let (access_key, secret_key) = (text("access_key"), text("secret_key"));
        s.secret(&secret_key);
        made.push(format!("/iam/v1alpha1/api-keys/{access_key}"));
        let policies = format!("/iam/v1alpha1/policies?page_size=100&{bearer}s={of}");
        let policies = self.ask(Method::GET, &policies, Value::Null).await?;
        let policy = match policies["policies"][0]["id"].as_str() {
            Some(policy) => Some((policy.to_owned(), self.rules(policy).await?)),
            None => None,
        };
        let api = self.api.clone().with_secret_key(&secret_key);
        let storage = self.storage.clone().with_key(&access_key, &secret_key);
        Ok(Subject { name, expected, id, secret_key, api, storage, policy, made })
    }

    async fn rules(&self, policy: &str) -> Result<Vec<Value>, Failure> {
        let path = format!("/iam/v1alpha1/rules?policy_id={policy}&page_size=100");
        Ok(self.ask(Method::GET, &path, Value::Null).await?["rules"].as_array().cloned().unwrap_or_default())
    }

    /// Gives a subject's policy other permission sets than it was deployed with: one less, or one more.
    pub(super) async fn grant(
        &self,
        subject: &Subject,
        without: Option<&str>,
        with: Option<&str>,
    ) -> Result<(), Failure> {
        let Some((policy, rules)) = &subject.policy else { return Ok(()) };
        let mut changed = Vec::new();
        for rule in rules {
            let sets = rule["permission_set_names"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let sets: Vec<&str> = sets.filter(|set| Some(*set) != without).collect();
            if !sets.is_empty() {
                changed.push(json!({"permission_set_names": sets, "project_ids": rule["project_ids"]}));
            }
        }
        changed.extend(with.map(|set| {
            if is_of_organization(set) {
                json!({"permission_set_names": [set], "organization_id": self.api.credentials().organization_id})
            } else {
                json!({"permission_set_names": [set], "project_ids": [self.of.project()]})
            }
        }));
        let body = json!({"policy_id": policy, "rules": changed});
        self.ask(Method::PUT, "/iam/v1alpha1/rules", body).await.map(drop)
    }

    /// The identifier of what the stack calls like this.
    async fn named(&self, list: &str, component: &str) -> Result<String, Failure> {
        let name = self.of.named(component);
        let listed = self.ask(Method::GET, &format!("/iam/v1alpha1/{list}?page_size=100"), Value::Null).await?;
        let found = listed[list].as_array().into_iter().flatten().find(|item| item["name"] == name.as_str());
        let id = found.and_then(|item| item["id"].as_str()).map(str::to_owned);
        id.ok_or_else(|| Failure::failed(format!("the stack has no {name} among its {list}")))
    }

    /// Asks as whoever deploys.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let answer = self.api.send(method.clone(), path, Some(body).filter(|body| !body.is_null())).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(Failure::failed(format!("{method} {path} was answered {}", answer.status)).because(answer.body))
    }
}
