//! The page for people: `docs/conformance.md`.

use std::fmt::Write;

use super::Expected;
use super::result::{Conformance, Status};

/// The page, in Markdown.
pub fn page(conformance: &Conformance, expected: &Expected) -> String {
    let (passed, failed, not_applicable) = conformance.totals();
    let terraform = &conformance.terraform;
    let newer = conformance
        .cases(Status::NotApplicable)
        .filter(|(product, case)| expected.waits_for_terraform(product, &case.name, terraform))
        .count();
    let able = passed + failed + not_applicable - newer;
    let share = 100.0 * passed as f64 / able.max(1) as f64;
    let mut page = format!(
        "# Conformance of the local cloud\n\n\
         The acceptance tests of the Scaleway Terraform provider {}, driven by Terraform {}, each against a fresh local \
         cloud: {passed} passed, {failed} failed, {not_applicable} not applicable. {newer} of these need a newer \
         Terraform; of the other {able}, {share:.1} % passed. Made by `stackproof conformance --update`; do not \
         edit.\n\n\
         | product | passed | failed | not applicable |\n| --- | --- | --- | --- |\n",
        conformance.provider, conformance.terraform
    );
    for product in &conformance.products {
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            product.product, product.passed, product.failed, product.not_applicable
        );
    }
    for (status, title) in [(Status::Failed, "Failed"), (Status::NotApplicable, "Not applicable")] {
        let cases: Vec<_> = conformance.cases(status).collect();
        if cases.is_empty() {
            continue;
        }
        let _ = writeln!(page, "\n## {title}\n\n| product | test | reason |\n| --- | --- | --- |");
        for (product, case) in cases {
            let _ = writeln!(page, "| {product} | {} | {} |", case.name, case.reason.replace('|', "\\|"));
        }
    }
    page
}
