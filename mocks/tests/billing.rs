//! Billing: money and budgets, beyond the generic life.

mod support;

use serde_json::{Value, json};
use support::{Fixture, faulty};

const BUDGETS: &str = "/billing/v2/budgets";
const ALERTS: &str = "/billing/v2/budget-alerts";
const NOTIFICATIONS: &str = "/billing/v2/budget-alert-notifications";

#[tokio::test]
async fn nothing_is_consumed_invoiced_taxed_or_discounted() {
    let cloud = Fixture::new();
    cloud.make("/registry/v1/regions/fr-par/namespaces", json!({"name": "n"})).await;
    for list in ["consumptions", "taxes", "invoices", "discounts", "charges"] {
        let answer = cloud.get(&format!("/billing/v2beta1/{list}?organization_id={}", cloud.organization.id)).await;
        assert_eq!((answer.status, &answer.body[list]), (200, &json!([])), "{list}");
    }
    assert_eq!(cloud.get("/billing/v2beta1/invoices/x").await.status, 404);
    assert_eq!(cloud.get("/billing/v2beta1/invoices/x/download").await.status, 501);
}

#[tokio::test]
async fn another_organisations_money_is_not_told() {
    let cloud = Fixture::new();
    let other = "00000000-0000-4000-8000-000000000000";
    for query in [format!("organization_id={other}"), format!("project_id={other}")] {
        assert_eq!(cloud.get(&format!("/billing/v2beta1/consumptions?{query}")).await.status, 403);
    }
    for month in ["2026-13", "2026-5", "05-2026", "x"] {
        let refused = cloud.get(&format!("/billing/v2beta1/consumptions?billing_period={month}")).await;
        assert_eq!(faulty(&refused), ["billing_period"], "{month}");
    }
    assert_eq!(cloud.get("/billing/v2beta1/taxes?billing_period=2026-05").await.status, 200);
}

#[tokio::test]
async fn a_budget_shows_its_alerts_and_whom_they_notify() {
    let cloud = Fixture::new();
    let budget = cloud.post(BUDGETS, json!({"consumption_limit": 100, "enabled": true})).await.body;
    assert_eq!(budget["consumption_limit"], json!({"currency_code": "", "units": 100, "nanos": 0}));
    let at = format!("{BUDGETS}/{}", budget["id"].as_str().unwrap_or_default());
    let alert = cloud.make(ALERTS, json!({"budget_id": budget["id"], "threshold": 80})).await;
    let told = json!({"budget_alert_id": alert, "email_addresses": ["a@example.com"]});
    let notification = cloud.make(NOTIFICATIONS, told).await;
    let shown = cloud.get(&at).await.body;
    assert_eq!(shown["alerts"][0]["notifications"][0]["recipients"], json!(["a@example.com"]));
    assert_eq!(
        (&shown["alerts"][0]["notifications"][0]["type"], &shown["updated_at"]),
        (&json!("email"), &budget["updated_at"])
    );

    let changed = json!({"webhook_urls": ["https://example.com/hook"]});
    cloud.send("PATCH", &format!("{NOTIFICATIONS}/{notification}"), changed).await;
    cloud.send("PATCH", &format!("{ALERTS}/{alert}"), json!({"threshold": 90})).await;
    cloud.send("PATCH", &at, json!({"consumption_limit": 200})).await;
    let shown = cloud.get(&at).await.body;
    assert_eq!((&shown["consumption_limit"]["units"], &shown["enabled"]), (&json!(200), &json!(true)));
    assert_eq!(shown["alerts"][0]["threshold"], 90);
    assert_eq!(shown["alerts"][0]["notifications"][0]["type"], "webhook");
    assert_eq!(cloud.get(BUDGETS).await.body["budgets"][0], shown);

    cloud.send("DELETE", &format!("{NOTIFICATIONS}/{notification}"), Value::Null).await;
    assert_eq!(cloud.get(&at).await.body["alerts"][0]["notifications"], json!([]));
    cloud.send("DELETE", &format!("{ALERTS}/{alert}"), Value::Null).await;
    assert_eq!(cloud.get(&at).await.body["alerts"], json!([]));
}

#[tokio::test]
async fn what_belongs_to_a_budget_goes_with_it() {
    let cloud = Fixture::new();
    let budget = cloud.make(BUDGETS, json!({"consumption_limit": 100})).await;
    let alert = cloud.make(ALERTS, json!({"budget_id": budget, "threshold": 80})).await;
    let notification =
        cloud.make(NOTIFICATIONS, json!({"budget_alert_id": alert, "sms_phone_numbers": ["+33600000000"]})).await;
    assert_eq!(cloud.send("DELETE", &format!("{BUDGETS}/{budget}"), Value::Null).await.status, 204);
    for gone in [format!("{ALERTS}/{alert}"), format!("{NOTIFICATIONS}/{notification}")] {
        assert_eq!(cloud.send("PATCH", &gone, json!({})).await.status, 404, "{gone}");
    }
}

#[tokio::test]
async fn a_notification_goes_precisely_one_way() {
    let cloud = Fixture::new();
    let budget = cloud.make(BUDGETS, json!({"consumption_limit": 100})).await;
    let alert = cloud.make(ALERTS, json!({"budget_id": budget, "threshold": 80})).await;
    let none = json!({ "budget_alert_id": alert });
    let two =
        json!({"budget_alert_id": alert, "email_addresses": ["a@example.com"], "webhook_urls": ["https://x.example"]});
    for body in [none, two] {
        assert_eq!(cloud.post(NOTIFICATIONS, body).await.status, 400);
    }
    let unknown = json!({"budget_id": alert, "threshold": 1});
    assert_eq!(cloud.post(ALERTS, unknown).await.status, 404);
}
