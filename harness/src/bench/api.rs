//! The API by itself.

use std::{net::SocketAddr, time::Instant};

use axum::http::Method;
use bytes::Bytes;
use serde_json::json;

use super::{
    Measured, Yardstick,
    load::{Connection, Load, Responder, in_turn, micros},
    median,
    subject::{Subject, post, text},
};
use crate::{Failure, target::Api};

const ROUNDS: usize = 5;
/// Requests of one round.
const READS: u64 = 20_000;
const CREATES: u64 = 4_000;
/// Requests one after the other, of each kind.
const ALONE: usize = 2_000;
/// Applications with a policy each, before the one that asks.
const OTHERS: usize = 20;

const RATE: &str = "requests/s";
const BARE: &str = "a bare axum responder of the same body size";

/// Reads of one resource (GET of a VPC) over 16 kept connections, in requests a second. The bare responder is a process
/// of its own like the cloud, and asked by the same client, in turn with it: five rounds each of 20,000 requests, or
/// five seconds; told is the round whose ratio is in the middle.
pub(super) async fn reads(subject: &Subject) -> Result<Measured, Failure> {
    let ours = read(subject).await?;
    let size = Connection::open(&ours).await?.ask().await?;
    let responder = Responder::start(size).await?;
    let peer = Load { at: responder.at, ..ours.clone() };
    let (value, bare) = in_turn(&ours, &peer, ROUNDS, READS).await?;
    let measured = Measured::new("reads", "reads of one resource, 16 connections", RATE, value);
    Ok(measured.against(BARE, bare).has_to_be(Yardstick::PartOfPeer(0.8)))
}

/// Creates of one resource (POST of an IAM application, which no quota bounds), each kept in the journal before it is
/// answered, in requests a second. Compared as reads are, with rounds of 4,000; the bare responder takes in the body.
pub(super) async fn creates(subject: &Subject) -> Result<Measured, Failure> {
    let body = Bytes::from(json!({"name": "bench", "description": "one of many"}).to_string());
    let path = "/iam/v1alpha1/applications".to_owned();
    let ours = Load { method: Method::POST, path, body, ..read(subject).await? };
    let size = Connection::open(&ours).await?.ask().await?;
    let responder = Responder::start(size).await?;
    let peer = Load { at: responder.at, ..ours.clone() };
    let (value, bare) = in_turn(&ours, &peer, ROUNDS, CREATES).await?;
    let measured = Measured::new("creates", "creates of one resource, 16 connections", RATE, value);
    Ok(measured.against(BARE, bare).has_to_be(Yardstick::PartOfPeer(0.5)))
}

/// What the gateway (a tunnel, TLS, the real host name) adds to a request on a kept connection: the difference of the
/// medians of 2,000 reads through it and 2,000 straight to the API, one after the other, in turn.
pub(super) async fn gateway(subject: &Subject) -> Result<Measured, Failure> {
    let load = read(subject).await?;
    let (through, straight) = (Api::new(&subject.environment(false))?, subject.api()?);
    let (mut slow, mut fast) = (Vec::new(), Vec::new());
    for _ in 0..ALONE {
        slow.push(timed(&through, &load.path).await?);
        fast.push(timed(&straight, &load.path).await?);
    }
    let straight = median(fast);
    let measured = Measured::new("gateway", "what the gateway adds to a request", "µs", median(slow) - straight);
    Ok(measured.against("the same request straight to the API", straight))
}

/// What IAM adds to a request: the difference of the medians of 2,000 reads by an application and 2,000 by the owner,
/// who may do everything, one after the other, in turn. The application's right comes from a policy of its group, and
/// there are 20 other applications with a policy each.
pub(super) async fn iam(subject: &Subject) -> Result<Measured, Failure> {
    let api = subject.api()?;
    let mut member = String::new();
    for number in 0..=OTHERS {
        let body = json!({"name": format!("bench-{number}")});
        member = text(&post(&api, "/iam/v1alpha1/applications", body).await?, "id")?;
        if number < OTHERS {
            policy(&api, "application_id", &member).await?;
        }
    }
    let group = post(&api, "/iam/v1alpha1/groups", json!({"name": "bench"})).await?;
    let members = format!("/iam/v1alpha1/groups/{}/add-member", text(&group, "id")?);
    post(&api, &members, json!({"application_id": member})).await?;
    policy(&api, "group_id", &text(&group, "id")?).await?;
    let key = post(&api, "/iam/v1alpha1/api-keys", json!({"application_id": member})).await?;
    let load = read(subject).await?;
    let mut owner = Connection::open(&load).await?;
    let mut application = Connection::open(&Load { token: text(&key, "secret_key")?, ..load }).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ALONE {
        with.push(application.timed().await?);
        without.push(owner.timed().await?);
    }
    let without = median(without);
    let measured = Measured::new("iam", "what IAM's policies add to a request", "µs", median(with) - without);
    Ok(measured.against("the same request by the owner", without))
}

async fn policy(api: &Api, principal: &str, id: &str) -> Result<(), Failure> {
    let rule = json!({"permission_set_names": ["VPCReadOnly"], "project_ids": [api.credentials().project_id]});
    let body = json!({"name": format!("bench of {id}"), principal: id, "rules": [rule]});
    post(api, "/iam/v1alpha1/policies", body).await.map(drop)
}

/// Reading a VPC straight from the API.
async fn read(subject: &Subject) -> Result<Load, Failure> {
    let ready = subject.process().ready();
    let at: SocketAddr = ready.api_url.trim_start_matches("http://").parse().map_err(|error| {
        Failure::environment(format!("the cloud's address is none: {}", ready.api_url)).because(error)
    })?;
    let api = subject.api()?;
    let vpcs = api.regional("vpc/v2", "vpcs");
    let listed = api.get(&vpcs).await?.body;
    let path = format!("{vpcs}/{}", text(&listed["vpcs"][0], "id")?);
    let token = api.credentials().secret_key.clone();
    Ok(Load { at, method: Method::GET, path, token, body: Bytes::new() })
}

async fn timed(api: &Api, path: &str) -> Result<f64, Failure> {
    let began = Instant::now();
    let answer = api.get(path).await?;
    if answer.status != 200 {
        return Err(Failure::failed(format!("GET {path} answered {}", answer.status)).because(answer.body));
    }
    Ok(micros(began.elapsed()))
}
