//! The audit trail on a real database: what may be done to it, and what is found when more was done.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{DEPLOYER, Server};
use stackproof_state::audit::{self, Anchor, Change, Entry, Filter, Finding, Outcome, Trail};

const BACKEND: &str = "s3://s3.example.com/state";

fn entry(who: &str, stack: &str) -> Entry {
    Entry {
        who: who.to_owned(),
        host: "laptop".to_owned(),
        command: "up --stack \"prod\", then more\n\u{1f600}".to_owned(),
        commit: Some("1e250af1b4f3".to_owned()),
        dirty: Some(true),
        project: Some("shop".to_owned()),
        stack: Some(stack.to_owned()),
        fence: Some(7),
        before: Some("v1".to_owned()),
        after: None,
        changes: vec![Change { urn: "urn:pulumi:prod::shop::a:b:C::d".to_owned(), operation: "create".to_owned() }],
        result: Outcome::Succeeded,
        took: Duration::from_millis(1234),
        note: None,
    }
}

/// A trail of so many rows, and its end.
async fn trail(server: &Server, rows: usize) -> (Trail, Anchor) {
    let trail = Trail::new(&server.deployer(), BACKEND);
    let mut last = None;
    for row in 0..rows {
        last = Some(trail.append(&entry(["ada", "bob"][row % 2], ["prod", "dev", "test"][row % 3])).await.unwrap());
    }
    (trail, last.unwrap())
}

#[tokio::test]
async fn rows_are_chained_listed_and_exported() {
    let server = Server::start().await;
    let (trail, last) = trail(&server, 6).await;
    assert_eq!(last.number, 6);
    let verified = trail.verify(Some(&last)).await.unwrap();
    assert_eq!((verified.rows, &verified.last, verified.is_whole()), (6, &last, true), "{verified:?}");

    let all = trail.list(&Filter::default()).await.unwrap();
    assert_eq!(all.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert_eq!((all[0].account.as_str(), all[0].who.as_str(), all[0].milliseconds), (DEPLOYER, "ada", 1234));
    let numbers = |filter: Filter| {
        let trail = trail.clone();
        async move { trail.list(&filter).await.unwrap().iter().map(|row| row.number).collect::<Vec<_>>() }
    };
    assert_eq!(numbers(Filter { who: Some("bob".to_owned()), ..Filter::default() }).await, [2, 4, 6]);
    assert_eq!(numbers(Filter { stack: Some("dev".to_owned()), ..Filter::default() }).await, [2, 5]);
    assert_eq!(numbers(Filter { last: Some(2), ..Filter::default() }).await, [5, 6]);
    let (since, until) = (Some(all[2].at), Some(all[4].at));
    assert_eq!(numbers(Filter { since, until, ..Filter::default() }).await, [3, 4]);
    assert!(Trail::new(&server.deployer(), "s3://other").list(&Filter::default()).await.unwrap().is_empty());

    let mut json = Vec::new();
    audit::json(&all, &mut json).unwrap();
    let read: Vec<audit::Row> = serde_json::from_slice(&json).unwrap();
    assert_eq!(read, all);
    assert!(read.iter().all(|row| row.expected() == row.hash), "whoever has the file can compute the hashes");
    let mut csv = Vec::new();
    audit::csv(&all, &mut csv).unwrap();
    let read: Result<Vec<audit::Row>, _> = csv::Reader::from_reader(csv.as_slice()).deserialize().collect();
    assert_eq!(read.unwrap(), all);
}

#[tokio::test]
async fn rows_that_come_at_once_are_chained_one_after_another() {
    let server = Server::start().await;
    let database = server.deployer();
    let many =
        (0..20).map(|_| async { Trail::new(&database, BACKEND).append(&entry("ada", "prod")).await.unwrap().number });
    let mut numbers = futures::future::join_all(many).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<u64>>());
    assert!(Trail::new(&database, BACKEND).verify(None).await.unwrap().is_whole());
}

#[tokio::test]
async fn a_deployer_can_only_add_and_read() {
    let server = Server::start().await;
    trail(&server, 2).await;
    let client = server.client(DEPLOYER).await;
    let refused = [
        "update stackproof.audit set who = 'nobody'",
        "delete from stackproof.audit",
        "truncate stackproof.audit",
        "insert into stackproof.audit select * from stackproof.audit",
        "update stackproof.audit_head set number = 1",
        "delete from stackproof.audit_head",
        "alter table stackproof.audit disable trigger all",
        "drop table stackproof.audit",
        "create table stackproof.mine (a int)",
        "create function stackproof.mine() returns int language sql as 'select 1'",
        "update stackproof.lease set expires = now()",
        "insert into stackproof.stack (backend, project, stack) values ('a', 'b', 'c')",
        "delete from stackproof.waiter",
        "delete from stackproof.abandoned",
        "update stackproof.migration set name = 'x'",
        "select stackproof.lock_status_at('b', 'p', 's', now() + interval '1 year')",
        "select stackproof.lock_break_at('b', 'p', 's', gen_random_uuid(), 'x', 'y', now())",
        "select * from stackproof.enter('b', 'p', 's', now())",
        "set role owner",
    ];
    for statement in refused {
        let error = client.batch_execute(statement).await.expect_err(statement);
        let code = error.code().expect("the server says so").clone();
        assert_eq!(code, tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE, "{statement}: {error:?}");
    }
    // Nor does a function of its own stand in for one that the others call.
    client.batch_execute("create temp table audit (a int); select stackproof.lock_status('b', 'p', 's')").await.ok();
    let verified = Trail::new(&server.deployer(), BACKEND).verify(None).await.unwrap();
    assert!(verified.is_whole() && verified.rows == 2);
    // The owner is kept from slips.
    let owner = server.owners_client().await;
    for statement in
        ["update stackproof.audit set who = 'x'", "delete from stackproof.audit", "truncate stackproof.audit"]
    {
        assert!(owner.batch_execute(statement).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn whatever_the_owner_does_to_a_row_is_found() {
    let server = Server::start().await;
    let (trail, last) = trail(&server, 8).await;
    let owner = server.owners_client().await;
    owner.batch_execute("alter table stackproof.audit disable trigger all; alter table stackproof.audit_head disable trigger all; create table before as table stackproof.audit; create table head as table stackproof.audit_head").await.unwrap();
    let rehash = "update stackproof.audit a set hash = stackproof.audit_hash(a) where number = 4";
    let cases: &[(&str, &[Finding])] = &[
        ("update stackproof.audit set who = 'nobody' where number = 4", &[Finding::Tampered { number: 4 }]),
        ("update stackproof.audit set note = '' where number = 1", &[Finding::Tampered { number: 1 }]),
        (
            "update stackproof.audit set at = at + interval '1 microsecond' where number = 8",
            &[Finding::Tampered { number: 8 }],
        ),
        ("update stackproof.audit set account = 'x' where number = 2", &[Finding::Tampered { number: 2 }]),
        ("update stackproof.audit set hash = repeat('0', 64) where number = 3", &[Finding::Tampered { number: 3 }]),
        ("delete from stackproof.audit where number = 4", &[Finding::Missing { from: 4, to: 4 }]),
        ("delete from stackproof.audit where number < 3", &[Finding::Missing { from: 1, to: 2 }]),
        ("delete from stackproof.audit where number > 6", &[Finding::Missing { from: 7, to: 8 }]),
        ("delete from stackproof.audit", &[Finding::Missing { from: 1, to: 8 }]),
        (
            "update stackproof.audit set number = 100 where number = 4; \
             update stackproof.audit set number = 4 where number = 5; \
             update stackproof.audit set number = 5 where number = 100",
            &[Finding::Moved { number: 4, was: 5 }, Finding::Moved { number: 5, was: 4 }],
        ),
        // With a hash that fits what it says now: the next one no longer follows it.
        (
            &format!("update stackproof.audit set who = 'nobody' where number = 4; {rehash}"),
            &[Finding::Unchained { number: 5 }],
        ),
        (
            "delete from stackproof.audit where number = 8; update stackproof.audit_head set number = 7",
            &[Finding::Head { number: 7 }, Finding::Anchor { number: 8 }],
        ),
        // The end cut off without a trace: only who noted it elsewhere finds it.
        (
            "delete from stackproof.audit where number = 8; update stackproof.audit_head set number = 7, \
             hash = (select hash from stackproof.audit where number = 7)",
            &[Finding::Anchor { number: 8 }],
        ),
        ("delete from stackproof.audit_head", &[Finding::Head { number: 8 }]),
    ];
    for (tampering, findings) in cases {
        owner.batch_execute(tampering).await.unwrap();
        let verified = trail.verify(Some(&last)).await.unwrap();
        // What was noted elsewhere is told besides, where it is gone.
        let told: Vec<_> = verified.findings.iter().filter(|finding| findings.contains(finding)).collect();
        assert_eq!(told, findings.iter().collect::<Vec<_>>(), "{tampering}: {verified:?}");
        let others = verified.findings.iter().filter(|finding| !findings.contains(finding));
        assert!(
            others.clone().all(|finding| matches!(finding, Finding::Anchor { number: 8 })),
            "{tampering}: {verified:?}"
        );
        println!("{}", verified.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        let back = "delete from stackproof.audit; insert into stackproof.audit select * from before; \
            delete from stackproof.audit_head; insert into stackproof.audit_head select * from head";
        owner.batch_execute(back).await.unwrap();
        assert!(trail.verify(Some(&last)).await.unwrap().is_whole());
    }

    // All rewritten from some row on: right in itself, and found by the anchor.
    let rewrite = "do $$ declare r stackproof.audit; p text; begin \
        update stackproof.audit set who = 'nobody' where number = 3; \
        select hash into p from stackproof.audit where number = 2; \
        for r in select * from stackproof.audit where number >= 3 order by number loop \
            r.previous := p; p := stackproof.audit_hash(r); \
            update stackproof.audit set previous = r.previous, hash = p where number = r.number; \
        end loop; update stackproof.audit_head set hash = p; end $$";
    owner.batch_execute(rewrite).await.unwrap();
    assert!(trail.verify(None).await.unwrap().is_whole());
    assert_eq!(trail.verify(Some(&last)).await.unwrap().findings, [Finding::Anchor { number: 8 }]);
}
