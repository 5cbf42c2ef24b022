//! Bucket policies in Scaleway's dialect.
//!
//! What is valid and how it is decided follows Scaleway's documentation
//! ("Bucket policies overview"): principals are `user_id:`, `application_id:` or
//! `*`, resources are bucket names without ARN, actions come from a fixed list
//! without wildcards inside, and what is not allowed is denied.

use serde_json::{Map, Value};

use super::{
    auth::{Caller, Principal},
    condition::{Condition, Facts},
};

/// The longest policy, in bytes.
const LONGEST: usize = 20 * 1024;

/// The actions a policy can name.
const ACTIONS: [&str; 42] = [
    "*",
    "s3:*",
    "s3:AbortMultipartUpload",
    "s3:DeleteBucketWebsite",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionTagging",
    // Not in the documentation's list, but in its example.
    "s3:DeleteObjects",
    "s3:GetBucketAcl",
    "s3:GetBucketCORS",
    "s3:GetBucketLocation",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetBucketWebsite",
    "s3:GetLifecycleConfiguration",
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectLegalHold",
    "s3:GetObjectRetention",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:ListMultipartUploadParts",
    "s3:PutBucketAcl",
    "s3:PutBucketCORS",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutBucketWebsite",
    "s3:PutLifecycleConfiguration",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:RestoreObject",
];

/// A bucket policy.
#[derive(Debug)]
pub(super) struct Policy {
    statements: Vec<Statement>,
    /// Recorded: under the version `2012-10-17`, the bucket's project keeps what IAM gives it; what
    /// a policy does not mention is only denied to others.
    pub(super) leaves_project_alone: bool,
}

#[derive(Debug)]
struct Statement {
    allow: bool,
    /// `user_id:…`, `application_id:…`, `project_id:…` or `*`.
    principals: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Allowed to this caller.
    Allowed,
    /// Allowed to everybody.
    AllowedToAll,
    /// Explicitly denied.
    Denied,
    /// Not mentioned, which is denied as well.
    Silent,
}

impl Policy {
    /// Reads a policy for this bucket. The error is what `MalformedPolicy` says.
    pub(super) fn parse(text: &str, bucket: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("Policies must be at most {LONGEST} bytes"));
        }
        let Ok(Value::Object(policy)) = serde_json::from_str(text) else {
            return Err("Policies must be valid JSON and the first byte must be '{'".to_owned());
        };
        known(&policy, &["Version", "Id", "Statement"])?;
        let old = match policy.get("Version").and_then(Value::as_str) {
            Some("2023-04-17") => false,
            Some("2012-10-17") => true,
            _ => return Err("Policy has an invalid version: use 2023-04-17".to_owned()),
        };
        match policy.get("Id") {
            None => {}
            Some(Value::String(id)) if id.chars().count() <= 280 => {}
            Some(_) => return Err("Policy has an invalid Id".to_owned()),
        }
        let statements = match policy.get("Statement") {
            Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err("Policy has no statement".to_owned()),
        };
        let statements = statements
            .into_iter()
            .map(|statement| Statement::parse(statement, bucket, old))
            .collect::<Result<_, _>>()?;
        Ok(Self { statements, leaves_project_alone: old })
    }

    /// A policy as it is told again (recorded): the actions of each statement in order.
    pub(super) fn in_order(text: &str) -> String {
        let Ok(mut policy) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
        let statements = match policy.get_mut("Statement") {
            Some(Value::Array(statements)) => statements.iter_mut().collect(),
            Some(statement) => vec![statement],
            None => Vec::new(),
        };
        for statement in statements {
            if let Some(Value::Array(actions)) = statement.get_mut("Action") {
                actions.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            }
        }
        policy.to_string()
    }

    /// Decides about an action on a resource, `<bucket>` or `<bucket>/<key>`.
    pub(super) fn decide(&self, caller: &Caller, action: &str, resource: &str, facts: &Facts) -> Decision {
        let mut decision = Decision::Silent;
        for statement in &self.statements {
            let Some(to_all) = statement.addresses(caller) else { continue };
            if !statement.covers(action, resource) || !statement.conditions.iter().all(|one| one.holds(facts)) {
                continue;
            }
            decision = match (statement.allow, to_all, decision) {
                (false, ..) => return Decision::Denied,
                (true, true, _) | (true, _, Decision::AllowedToAll) => Decision::AllowedToAll,
                (true, false, _) => Decision::Allowed,
            };
        }
        decision
    }
}

impl Statement {
    fn parse(statement: &Value, bucket: &str, old: bool) -> Result<Self, String> {
        let statement = statement.as_object().ok_or("Policy has an invalid statement")?;
        known(statement, &["Sid", "Effect", "Principal", "Action", "Resource", "Condition"])?;
        if statement.get("Sid").is_some_and(|sid| !sid.is_string()) {
            return Err("Policy has an invalid Sid".to_owned());
        }
        let allow = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err("Policy has an invalid effect".to_owned()),
        };
        let principals = match statement.get("Principal") {
            Some(Value::String(all)) if all == "*" => vec![all.clone()],
            Some(Value::Object(principal)) if principal.len() == 1 => texts(principal.get("SCW"), "principal")?,
            _ => return Err("Policy has an invalid principal".to_owned()),
        };
        if let Some(wrong) = principals.iter().find(|principal| !is_principal(principal, old)) {
            return Err(format!("Policy has an invalid principal: {wrong}"));
        }
        let actions = texts(statement.get("Action"), "action")?;
        if let Some(wrong) = actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
            return Err(format!("Policy has an invalid action: {wrong}"));
        }
        let resources = texts(statement.get("Resource"), "resource")?;
        if let Some(wrong) = resources.iter().find(|resource| !belongs(resource, bucket)) {
            return Err(format!("Policy has an invalid resource: {wrong}"));
        }
        let conditions = match statement.get("Condition") {
            None => Vec::new(),
            Some(conditions) => Condition::parse_all(conditions)?,
        };
        Ok(Self { allow, principals, actions, resources, conditions })
    }

    /// Whether it speaks of this caller, and then, whether because it speaks of everybody.
    fn addresses(&self, caller: &Caller) -> Option<bool> {
        if self.principals.iter().any(|principal| principal == "*") {
            return Some(true);
        }
        let Caller::Signed { key, project_id } = caller else { return None };
        let name = match &key.principal {
            Principal::User(id) => format!("user_id:{id}"),
            Principal::Application(id) => format!("application_id:{id}"),
            Principal::Service(_) => return None,
        };
        let project = format!("project_id:{project_id}");
        self.principals.iter().any(|principal| *principal == name || *principal == project).then_some(false)
    }

    fn covers(&self, action: &str, resource: &str) -> bool {
        let named = |candidate: &String| match candidate.as_str() {
            "*" | "s3:*" => true,
            "s3:DeleteObjects" => action == "s3:DeleteObject",
            name => name == action,
        };
        self.actions.iter().any(named) && self.resources.iter().any(|pattern| like(pattern, resource))
    }
}

fn known(object: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    match object.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("Unknown field {name}")),
        None => Ok(()),
    }
}

/// A text, or a list of texts that is not empty.
pub(super) fn texts(value: Option<&Value>, what: &str) -> Result<Vec<String>, String> {
    let list = match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| format!("Policy has an invalid {what}"))?,
        _ => Vec::new(),
    };
    if list.is_empty() { Err(format!("Policy has no {what}")) } else { Ok(list) }
}

fn is_principal(principal: &str, old: bool) -> bool {
    match principal.split_once(':') {
        Some(("user_id" | "application_id", id)) => crate::kernel::is_uuid(id),
        Some(("project_id", id)) => old && crate::kernel::is_uuid(id),
        _ => principal == "*",
    }
}

fn belongs(resource: &str, bucket: &str) -> bool {
    resource.strip_prefix(bucket).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a text fits a pattern in which `*` stands for any text and `?` for any character.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&letter) if letter == '?' || letter == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((star_at, star_from)) => {
                    at = star_at + 1;
                    from = star_from + 1;
                    star = Some((star_at, from));
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("b", "b", true)]
    #[case("b/*", "b/a/c", true)]
    #[case("b/*", "b", false)]
    #[case("b/a?c*", "b/abcd", true)]
    #[case("b/*/x", "b/1/2/x", true)]
    #[case("b/*/x", "b/1/2/y", false)]
    #[case("*", "", true)]
    fn patterns_fit(#[case] pattern: &str, #[case] text: &str, #[case] fits: bool) {
        assert_eq!(like(pattern, text), fits);
    }

    #[rstest]
    #[case::not_json("[", "valid JSON")]
    #[case::no_version(r#"{"Statement":[]}"#, "invalid version")]
    #[case::no_statement(r#"{"Version":"2023-04-17","Statement":[]}"#, "no statement")]
    #[case::a_field(r#"{"Version":"2023-04-17","Statment":[]}"#, "Unknown field Statment")]
    #[case::an_action(
        r#"{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:HeadObject","Resource":"b"}]}"#,
        "invalid action: s3:HeadObject"
    )]
    #[case::another_bucket(
        r#"{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"bb/*"}]}"#,
        "invalid resource: bb/*"
    )]
    #[case::an_arn_of_aws(
        r#"{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"b"}]}"#,
        "no principal"
    )]
    #[case::a_name(
        r#"{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":{"SCW":"user_id:me"},"Action":"*","Resource":"b"}]}"#,
        "invalid principal: user_id:me"
    )]
    #[case::an_operator(
        r#"{"Version":"2023-04-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"b","Condition":{"Bool":{"aws:SourceIp":"true"}}}]}"#,
        "Bool"
    )]
    fn a_malformed_policy_is_refused(#[case] text: &str, #[case] why: &str) {
        let error = Policy::parse(text, "b").unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
