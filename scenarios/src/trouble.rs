//! What can befall a team's state: its bucket, its lock's database, the keys that open them.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use stackproof::{Failure, target::ApiAnswer};
use stackproof_cloud::control::{Fault, Verdict};

use crate::{STACK, Team};

/// What the state's bucket answers while it is in trouble.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It is not available.
    Unavailable,
    /// The key is none that it knows.
    KeyRefused,
}

impl Answer {
    fn verdict(self) -> Verdict {
        let (status, code) = match self {
            Self::Unavailable => (503, "ServiceUnavailable"),
            Self::KeyRefused => (403, "InvalidAccessKeyId"),
        };
        let body = json!(format!("<Error><Code>{code}</Code><Message>as the scenario wants it</Message></Error>"));
        Verdict::Answer { status, headers: BTreeMap::new(), body }
    }
}

/// A key of IAM's.
#[derive(Clone)]
pub struct ApiKey {
    /// Its identifier.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
}

fn lost(error: impl std::fmt::Display) -> Failure {
    Failure::failed("the bucket did not answer").because(error)
}

fn done(answer: &ApiAnswer, what: &str) -> Result<(), Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(Failure::failed(format!("{what} answered {}", answer.status)).because(&answer.body))
}

impl Team {
    /// Has requests to the state's bucket answered like this: of a method, or all; for keys like this (`*` stands for
    /// anything); after some, and so often or from then on. Gives the fault's number.
    ///
    /// # Errors
    /// When the cloud cannot do it.
    pub async fn bucket_answers(
        &self,
        answer: Answer,
        method: Option<&str>,
        keys: &str,
        after: u64,
        times: Option<u64>,
    ) -> Result<u64, Failure> {
        let path = format!("/{}/{keys}", self.names(STACK)?.bucket());
        self.add(method, path, after, times, answer.verdict()).await
    }

    /// Has every request to the state's bucket fail from now on.
    ///
    /// # Errors
    /// When the cloud cannot do it.
    pub async fn bucket_is_away(&self) -> Result<(), Failure> {
        let bucket = self.names(STACK)?.bucket();
        for path in [format!("/{bucket}/*"), format!("/{bucket}?*"), format!("/{bucket}")] {
            self.add(None, path, 0, None, Answer::Unavailable.verdict()).await?;
        }
        Ok(())
    }

    /// Has the making of secrets take its time, after some. Gives the fault's number.
    ///
    /// # Errors
    /// When the cloud cannot do it.
    pub async fn secrets_take_time(&self, after: u64, milliseconds: u64) -> Result<u64, Failure> {
        let path = "/secret-manager/v1beta1/regions/*/secrets".to_owned();
        self.add(Some("POST"), path, after, None, Verdict::Delay { milliseconds }).await
    }

    async fn add(
        &self,
        method: Option<&str>,
        path: String,
        after: u64,
        times: Option<u64>,
        verdict: Verdict,
    ) -> Result<u64, Failure> {
        self.control()?.add_fault(&Fault { method: method.map(str::to_owned), path, after, times, verdict }).await
    }

    /// How many requests a fault has hit.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn hits(&self, fault: u64) -> Result<u64, Failure> {
        let faults = self.control()?.faults().await?;
        Ok(faults.iter().find(|report| report.id == fault).map_or(0, |report| report.hits))
    }

    /// Ends all faults.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn all_is_well(&self) -> Result<(), Failure> {
        self.control()?.clear_faults().await
    }

    /// Deletes everything in the state's bucket, as somebody may who has the right to; with `for_ever`, the versions
    /// that the bucket keeps, too.
    ///
    /// # Errors
    /// When the bucket refuses.
    pub async fn empty_the_bucket(&self, for_ever: bool) -> Result<(), Failure> {
        let home = self.home(STACK).await?;
        for listed in home.bucket().list("").await.map_err(lost)? {
            home.bucket().delete(&listed.key, None).await.map_err(lost)?;
        }
        if for_ever {
            for version in home.bucket().versions("").await.map_err(lost)? {
                home.bucket().delete(&version.key, Some(&version.id)).await.map_err(lost)?;
            }
        }
        Ok(())
    }

    /// Deletes the state's bucket with everything in it.
    ///
    /// # Errors
    /// When the bucket refuses.
    pub async fn delete_the_bucket(&self) -> Result<(), Failure> {
        self.empty_the_bucket(true).await?;
        self.home(STACK).await?.bucket().remove().await.map_err(lost)
    }

    /// Leaves the lock file of a run of plain Pulumi's on another machine. Gives its key.
    ///
    /// # Errors
    /// When the bucket refuses.
    pub async fn plain_pulumi_locks(&self) -> Result<String, Failure> {
        let key = format!(".pulumi/locks/organization/small/{STACK}/{}.json", uuid::Uuid::new_v4());
        let file = json!({
            "pid": 4711, "username": "mallory", "hostname": "elsewhere", "timestamp": "2026-01-01T10:00:00Z",
        });
        let home = self.home(STACK).await?;
        let put = home.bucket().put(&key, file.to_string().into(), &stackproof_state::bucket::Condition::Absent).await;
        put.map_err(lost)?;
        Ok(key)
    }

    /// Whether an object is in the state's bucket.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn is_in_the_bucket(&self, key: &str) -> Result<bool, Failure> {
        Ok(self.home(STACK).await?.bucket().head(key).await.map_err(lost)?.is_some())
    }

    /// The instance of the lock's database.
    ///
    /// # Errors
    /// When there is none.
    pub async fn lock_instance(&self) -> Result<String, Failure> {
        let name = self.names(STACK)?.named("lock");
        let api = self.target().api()?;
        let listed = api.get(&format!("{}?page_size=100", api.regional("rdb/v1", "instances"))).await?;
        let mut instances = listed.body["instances"].as_array().into_iter().flatten();
        let id = instances.find(|instance| instance["name"] == name.as_str()).and_then(|it| it["id"].as_str());
        id.map(str::to_owned).ok_or_else(|| Failure::failed(format!("there is no instance {name}")))
    }

    /// Whom the lock's database lets in, by its allow-list: everybody of this machine, or nobody.
    ///
    /// # Errors
    /// When the API refuses.
    pub async fn lock_lets_in(&self, everybody: bool) -> Result<(), Failure> {
        let api = self.target().api()?;
        let path = api.regional("rdb/v1", &format!("instances/{}/acls", self.lock_instance().await?));
        // The second is kept for documentation: nobody has it.
        let ip = if everybody { "127.0.0.1/32" } else { "192.0.2.1/32" };
        let rules = json!({"rules": [{"ip": ip, "description": "as the scenario wants it"}]});
        done(&api.send(Method::PUT, &path, Some(rules)).await?, "PUT acls")
    }

    /// Another key of whoever deploys.
    ///
    /// # Errors
    /// When IAM refuses.
    pub async fn another_key(&self) -> Result<ApiKey, Failure> {
        let who = self.target().environment().credentials();
        let api = self.target().api()?;
        let own = api.get(&format!("/iam/v1alpha1/api-keys/{}", who.access_key)).await?;
        let asked = json!({
            "user_id": own.body["user_id"], "description": "of the scenario", "default_project_id": who.project_id,
        });
        let made = api.send(Method::POST, "/iam/v1alpha1/api-keys", Some(asked)).await?;
        done(&made, "POST api-keys")?;
        let text = |field: &str| made.body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(ApiKey { access_key: text("access_key"), secret_key: text("secret_key") })
    }

    /// Ends a key.
    ///
    /// # Errors
    /// When IAM refuses.
    pub async fn end_key(&self, key: &ApiKey) -> Result<(), Failure> {
        let path = format!("/iam/v1alpha1/api-keys/{}", key.access_key);
        done(&self.target().api()?.send(Method::DELETE, &path, None).await?, "DELETE api-keys")
    }
}

impl ApiKey {
    /// The variables by which tools know it.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        let (id, secret) = (self.access_key.clone(), self.secret_key.clone());
        [
            ("SCW_ACCESS_KEY", id.clone()),
            ("SCW_SECRET_KEY", secret.clone()),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    }
}

/// What has a program's clock differ from the machine's: whoever asks for the time of day is told another one.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t shift(void) {
    const char *seconds = getenv("SCENARIO_CLOCK");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = syscall(SYS_clock_gettime, clock, at);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += shift();
    return done;
}

int gettimeofday(struct timeval *at, void *zone) {
    (void)zone;
    struct timespec now;
    int done = clock_gettime(CLOCK_REALTIME, &now);
    if (done == 0) { at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000; }
    return done;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"#;

impl Team {
    /// The variables of a machine whose clock differs by so many seconds. Pulumi, which asks the kernel itself, does not
    /// notice: `stackproof`, which holds the lock and signs for the bucket, does. Where that cannot be had, the scenario
    /// does not apply.
    ///
    /// # Errors
    /// When nothing can be compiled here.
    pub fn clock(
        &self,
        s: &stackproof::acceptance::Scenario,
        seconds: i64,
    ) -> Result<[(&'static str, String); 2], Failure> {
        let lacks =
            |why: &dyn std::fmt::Display| s.does_not_apply(format!("no clock can be set for one program: {why}"));
        if !cfg!(target_os = "linux") {
            return Err(lacks(&"that is for Linux"));
        }
        let (source, library) = (self.folder().join("clock.c"), self.folder().join("clock.so"));
        if !library.exists() {
            std::fs::write(&source, CLOCK).map_err(|error| lacks(&error))?;
            let mut cc = std::process::Command::new("cc");
            let made = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).status();
            if !made.map_err(|error| lacks(&error))?.success() {
                return Err(lacks(&"cc failed"));
            }
        }
        Ok([("LD_PRELOAD", library.display().to_string()), ("SCENARIO_CLOCK", seconds.to_string())])
    }
}
