//! The pure machine and the database's functions, told the same: they answer the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::Server;
use proptest::{prelude::*, test_runner::TestRunner};
use serde::de::DeserializeOwned;
use stackproof_state::lock::{
    Kind, Owner,
    protocol::Stack,
    record::{Answer, Break, Broken, Cleaned, Held, Released, Request, Status},
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_postgres::{Client, types::Type};
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Step {
    Acquire { who: u8, hold: bool, under: Option<u8>, ttl: u64, wait: Option<u64>, patience: u64 },
    Renew { who: u8, fence: Fence },
    Note { who: u8, fence: Fence },
    Release { who: u8, fence: Fence },
    GiveUp { who: u8 },
    Break { who: u8 },
    Clean { who: u8, fence: Fence, left: u64 },
    Status,
}

/// Which number a step names.
#[derive(Clone, Copy, Debug)]
enum Fence {
    /// That of whoever runs.
    Running,
    /// That of the maintenance.
    Holding,
    Any(u64),
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let who = 0..4_u8;
    let fence = prop_oneof![4 => Just(Fence::Running), 1 => Just(Fence::Holding), 1 => (0..8_u64).prop_map(Fence::Any)];
    let acquire = (
        who.clone(),
        prop::bool::weighted(0.25),
        prop::option::weighted(0.35, who.clone()),
        200..3000_u64,
        prop::option::weighted(0.7, 0..4000_u64),
        50..2000_u64,
    );
    let acquire = acquire.prop_map(|(who, hold, under, ttl, wait, patience)| Step::Acquire {
        who,
        hold,
        under,
        ttl,
        wait,
        patience,
    });
    let step = prop_oneof![
        8 => acquire,
        3 => (who.clone(), fence.clone()).prop_map(|(who, fence)| Step::Renew { who, fence }),
        1 => (who.clone(), fence.clone()).prop_map(|(who, fence)| Step::Note { who, fence }),
        3 => (who.clone(), fence.clone()).prop_map(|(who, fence)| Step::Release { who, fence }),
        1 => who.clone().prop_map(|who| Step::GiveUp { who }),
        2 => who.clone().prop_map(|who| Step::Break { who }),
        2 => (who, fence, 0..6_u64).prop_map(|(who, fence, left)| Step::Clean { who, fence, left }),
        1 => Just(Step::Status),
    ];
    prop::collection::vec((0..800_u32, step), 1..60)
}

fn id(who: u8) -> Uuid {
    Uuid::from_u128(u128::from(who) + 1)
}

/// The functions that are told the time, on a stack of their own.
struct Database<'a> {
    client: &'a Client,
    stack: String,
}

impl Database<'_> {
    async fn ask<T: DeserializeOwned>(&self, function: &str, more: &[&str], now: OffsetDateTime) -> T {
        let now = now.format(&Rfc3339).unwrap();
        let values: Vec<&str> =
            ["b", "p", &self.stack].into_iter().chain(more.iter().copied()).chain([now.as_str()]).collect();
        let typed: Vec<_> =
            values.iter().map(|value| (value as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT)).collect();
        let row = self.client.query_typed_one(&format!("select stackproof.{function}::text"), &typed).await.unwrap();
        serde_json::from_str(row.get::<_, Option<&str>>(0).unwrap_or("null")).unwrap()
    }
}

async fn same(database: Database<'_>, steps: Vec<(u32, Step)>) -> Result<(), TestCaseError> {
    let mut machine = Stack::default();
    let mut now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
    for (pause, step) in steps {
        now += Duration::milliseconds(i64::from(pause)) + Duration::microseconds(7);
        let status = machine.clone().status(now);
        let number = |fence: Fence| match fence {
            Fence::Running => status.run.as_ref().map_or(0, |run| run.fence),
            Fence::Holding => status.hold.as_ref().map_or(0, |hold| hold.fence),
            Fence::Any(number) => number,
        };
        match step.clone() {
            Step::Acquire { who, hold, under, ttl, wait, patience } => {
                let owner = Owner {
                    who: format!("\"{who}\" \u{e9}\u{1f600}"),
                    host: "h".to_owned(),
                    pid: u32::from(who),
                    command: "up\n".to_owned(),
                    ci: under.map(|_| "https://ci".to_owned()),
                };
                let request = Request {
                    holder: id(who),
                    kind: if hold { Kind::Hold } else { Kind::Run },
                    owner,
                    reason: hold.then(|| "because".to_owned()),
                    under: under.map(id),
                    ttl_ms: ttl,
                    wait_ms: wait,
                    patience_ms: patience,
                };
                let json = serde_json::to_string(&request).unwrap();
                let there: Answer =
                    database.ask("lock_acquire_at($1,$2,$3,$4::jsonb,$5::timestamptz)", &[&json], now).await;
                prop_assert_eq!(machine.acquire(&request, now), there, "{:?}", step);
            }
            Step::Renew { who, fence } => {
                let fence = number(fence);
                let function = "lock_renew_at($1,$2,$3,$4::uuid,$5::bigint,$6::timestamptz)";
                let there: Held = database.ask(function, &[&id(who).to_string(), &fence.to_string()], now).await;
                prop_assert_eq!(machine.renew(id(who), fence, now), there, "{:?}", step);
            }
            Step::Note { who, fence } => {
                let (fence, file) = (number(fence), Uuid::from_u128(99));
                let function = "lock_note_at($1,$2,$3,$4::uuid,$5::bigint,$6::uuid,$7::timestamptz)";
                let values = [id(who).to_string(), fence.to_string(), file.to_string()];
                let there: Held = database.ask(function, &values.each_ref().map(String::as_str), now).await;
                prop_assert_eq!(machine.note(id(who), fence, file, now), there, "{:?}", step);
            }
            Step::Release { who, fence } => {
                let fence = number(fence);
                let function = "lock_release_at($1,$2,$3,$4::uuid,$5::bigint,$6::timestamptz)";
                let there: Released = database.ask(function, &[&id(who).to_string(), &fence.to_string()], now).await;
                prop_assert_eq!(machine.release(id(who), fence, now), there, "{:?}", step);
            }
            Step::GiveUp { who } => {
                let function = "lock_give_up_at($1,$2,$3,$4::uuid,$5::timestamptz)";
                let () = database.ask(function, &[&id(who).to_string()], now).await;
                machine.give_up(id(who), now);
            }
            Step::Break { who } => {
                let function = "lock_break_at($1,$2,$3,$4::uuid,$5,$6,$7::timestamptz)";
                let there: Break = database.ask(function, &[&id(who).to_string(), "eve", "so"], now).await;
                let broken = Broken { by: "eve".to_owned(), reason: "so".to_owned() };
                prop_assert_eq!(machine.break_lease(id(who), broken, now), there, "{:?}", step);
            }
            Step::Clean { who, fence, left } => {
                let fence = number(fence);
                let function = "lock_clean_at($1,$2,$3,$4::uuid,$5::bigint,$6::bigint,$7::timestamptz)";
                let values = [id(who).to_string(), fence.to_string(), left.to_string()];
                let there: Cleaned = database.ask(function, &values.each_ref().map(String::as_str), now).await;
                prop_assert_eq!(machine.clean(id(who), fence, left, now), there, "{:?}", step);
            }
            Step::Status => {}
        }
        let there: Status = database.ask("lock_status_at($1,$2,$3,$4::timestamptz)", &[], now).await;
        prop_assert_eq!(machine.status(now), there, "after {:?}", step);
    }
    Ok(())
}

#[test]
fn the_machine_and_the_database_answer_the_same() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, client) = runtime.block_on(async {
        let server = Server::start().await;
        let client = server.owners_client().await;
        (server, client)
    });
    let mut runner = TestRunner::new(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() });
    let number = std::cell::Cell::new(0);
    runner
        .run(&steps(), |steps| {
            number.set(number.get() + 1);
            let database = Database { client: &client, stack: number.get().to_string() };
            runtime.block_on(same(database, steps))
        })
        .unwrap();
    runtime.block_on(server.stop());
}
