//! The control API of a local cloud: what no real cloud offers.

use std::{net::SocketAddr, path::Path, time::Duration};

use reqwest::{Client, Method};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use stackproof_cloud::{
    control::{Fault, FaultReport, Permissions, Totals},
    kernel::Denial,
};
use stackproof_planes::containers::ServiceStatus;

use super::{Entrance, NoEntrance};
use crate::Failure;

/// What came of trying to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Someone took the connection.
    Connected,
    /// Nobody did: what happened.
    Refused(String),
}

/// A resource behind which nothing runs though something should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Its kind, such as `containers.container`.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// What its user calls it.
    pub name: String,
    /// Why, in full.
    pub reason: String,
}

/// A client of a local cloud's control API.
#[derive(Clone)]
pub struct Control {
    client: Client,
    base: String,
}

impl Control {
    /// The control API at this address.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str) -> Result<Self, Failure> {
        crate::tls::install();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
        let client = client.map_err(|error| Failure::environment(format!("no HTTP client could be made: {error}")))?;
        Ok(Self { client, base: base.to_owned() })
    }

    /// Writes the cloud as it is now into another state directory.
    ///
    /// # Errors
    /// When the cloud does not answer, or the folder cannot be written.
    pub async fn fork(&self, folder: &Path) -> Result<(), Failure> {
        let body = serde_json::json!({ "folder": folder });
        self.call::<_, Value>(Method::POST, "/fork", Some(body)).await.map(drop)
    }

    /// What the cloud has been asked since it began to count.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn totals(&self) -> Result<Totals, Failure> {
        self.call(Method::GET, "/traffic", None::<()>).await
    }

    /// Begins to count anew.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn reset_totals(&self) -> Result<(), Failure> {
        self.call::<(), Value>(Method::DELETE, "/traffic", None).await.map(drop)
    }

    /// The last requests.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn requests(&self) -> Result<Value, Failure> {
        self.call(Method::GET, "/requests", None::<()>).await
    }

    /// Adds a fault; returns its number.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn add_fault(&self, fault: &Fault) -> Result<u64, Failure> {
        let answer: Value = self.call(Method::POST, "/faults", Some(fault)).await?;
        Ok(answer["id"].as_u64().unwrap_or_default())
    }

    /// All faults and what they have done.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn faults(&self) -> Result<Vec<FaultReport>, Failure> {
        self.call(Method::GET, "/faults", None::<()>).await
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn clear_faults(&self) -> Result<(), Failure> {
        self.call::<(), Value>(Method::DELETE, "/faults", None).await.map(drop)
    }

    /// Moves the cloud's clock forward; returns what it shows now.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn advance(&self, by: Duration) -> Result<String, Failure> {
        let answer: Value = self.call(Method::POST, "/clock/advance", Some(json!({"seconds": by.as_secs()}))).await?;
        Ok(answer["now"].as_str().unwrap_or_default().to_owned())
    }

    /// What the cloud's clock shows.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn now(&self) -> Result<String, Failure> {
        let answer: Value = self.call(Method::GET, "/clock", None::<()>).await?;
        Ok(answer["now"].as_str().unwrap_or_default().to_owned())
    }

    /// How many resources of each kind there are.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn resources(&self) -> Result<Value, Failure> {
        self.call(Method::GET, "/resources", None::<()>).await
    }

    /// What everybody called so far, and what each permission set allows.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn permissions(&self) -> Result<Permissions, Failure> {
        self.call(Method::GET, "/iam", None::<()>).await
    }

    /// Forgets what was called and denied so far.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn forget_permissions(&self) -> Result<(), Failure> {
        self.call::<(), Value>(Method::DELETE, "/iam", None).await.map(drop)
    }

    /// What IAM denied, the oldest first.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn denials(&self) -> Result<Vec<Denial>, Failure> {
        self.call(Method::GET, "/iam/denials", None::<()>).await
    }

    /// What this machine cannot run behind the API, each with what to do about it.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn missing(&self) -> Result<Vec<String>, Failure> {
        let told: Value = self.call(Method::GET, "/planes", None::<()>).await?;
        let missing = told["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let isolation = told["isolation"]["missing"].as_str().map(|missing| format!("private networks: {missing}"));
        Ok(missing.map(str::to_owned).chain(isolation).collect())
    }

    /// What keeps resources from running.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn troubles(&self) -> Result<Vec<Trouble>, Failure> {
        let mut told: Value = self.call(Method::GET, "/planes", None::<()>).await?;
        let troubles = serde_json::from_value(told["troubles"].take());
        troubles.map_err(|error| Failure::environment("the local cloud tells its troubles otherwise").because(error))
    }

    /// Where what a resource's processes said last can be read.
    pub fn logs_url(&self, id: &str) -> String {
        format!("{}/planes/{id}/logs", self.base)
    }

    /// A way into a private network: an address of this machine that leads to one inside.
    ///
    /// # Errors
    /// When there is no such network, or the machine has no networks of its own for it.
    pub async fn tunnel(&self, network: &str, to: SocketAddr) -> Result<SocketAddr, Failure> {
        let answer: Value =
            self.call(Method::POST, "/planes/tunnels", Some(json!({"network": network, "to": to}))).await?;
        let listens = answer["listens"].as_str().and_then(|at| at.parse().ok());
        listens.ok_or_else(|| Failure::environment("the local cloud opened no tunnel").because(&answer["message"]))
    }

    /// A network for this process, in which Scaleway's host names lead to the cloud; in a private network of the cloud
    /// too, where one is named.
    ///
    /// # Errors
    /// When this machine has no networks of their own for commands, or there is no such private network.
    pub async fn enter(&self, network: Option<&str>) -> Result<Entrance, NoEntrance> {
        Entrance::ask(self.base.trim_start_matches("http://"), network).await
    }

    /// Tries to connect from something that is in this private network only, or in none.
    ///
    /// # Errors
    /// When there is no such network, or the machine has no networks of its own for it.
    pub async fn attempt(&self, network: Option<&str>, to: SocketAddr) -> Result<Attempt, Failure> {
        let answer: Value =
            self.call(Method::POST, "/planes/probes", Some(json!({"network": network, "to": to}))).await?;
        match &answer["reached"] {
            Value::String(reached) if reached == "connected" => Ok(Attempt::Connected),
            Value::String(reached) => Ok(Attempt::Refused(reached.replace('_', " "))),
            Value::Object(reached) => Ok(Attempt::Refused(reached["failed"].as_str().unwrap_or_default().to_owned())),
            _ => Err(Failure::environment("the local cloud could not try").because(&answer["message"])),
        }
    }

    /// How the processes of a container are.
    ///
    /// # Errors
    /// When there are none, or the cloud does not answer.
    pub async fn container(&self, id: &str) -> Result<ServiceStatus, Failure> {
        self.call(Method::GET, &format!("/planes/containers/{id}"), None::<()>).await
    }

    /// Kills the server of a database instance, as a machine's failure would.
    ///
    /// # Errors
    /// When none runs.
    pub async fn kill_database(&self, instance: &str) -> Result<(), Failure> {
        let path = format!("/planes/databases/{instance}/kill");
        let answer: Value = self.call(Method::POST, &path, None::<()>).await?;
        if answer["process"].is_u64() {
            return Ok(());
        }
        Err(Failure::environment("no database was killed").because(&answer["message"]))
    }

    async fn call<B: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<B>,
    ) -> Result<R, Failure> {
        let lost = |why: String| {
            Failure::environment(format!("the local cloud's control API did not answer {method} {path}"))
                .because(why)
                .next("stackproof cloud status")
        };
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| lost(error.to_string()))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| lost(error.to_string()))?;
        if !status.is_success() {
            return Err(lost(format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes).map_err(|error| lost(error.to_string()))
    }
}
