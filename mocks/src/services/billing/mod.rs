//! Billing. API reference: Billing API v2beta1 (consumptions, taxes, invoices, discounts, charges) and v2 (budgets).
//!
//! The local cloud costs nothing and says so: nothing is consumed, invoiced, taxed or discounted, so every list
//! of money is empty. Budgets, their alerts and whom they notify are kept; as nothing is consumed, no alert is
//! ever triggered. Not emulated: redeeming coupons, exporting and downloading invoices.

mod account;
mod budget;
mod budget_alert;
mod notification;

use crate::kernel::Product;

/// Documented in IAM's list of permission sets.
const READ: &[&str] = &["BillingReadOnly"];
const WRITE: &[&str] = &["BillingManager", "OrganizationManager"];

const BUDGET: &str = "billing.budget";
const ALERT: &str = "billing.budget_alert";
const NOTIFICATION: &str = "billing.budget_alert_notification";

pub(super) fn product() -> Product {
    Product {
        name: "billing",
        title: "Billing",
        resources: vec![
            account::account(),
            budget::budget(),
            budget_alert::budget_alert(),
            notification::budget_alert_notification(),
        ],
    }
}
