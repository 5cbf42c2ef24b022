//! What came of the acceptance tests.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It cannot run here, for the reason given.
    NotApplicable,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotApplicable => "not applicable",
        })
    }
}

/// One acceptance test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The test function's name.
    pub name: String,
    /// What became of it.
    pub status: Status,
    /// The first line of the error, or why it cannot run; empty where it passed.
    pub reason: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Case {
    /// A test that cannot run here.
    pub fn not_applicable(name: String, reason: &str) -> Self {
        Self { name, status: Status::NotApplicable, reason: reason.to_owned(), seconds: 0.0 }
    }
}

/// The tests of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// The product, by the name of the provider's package.
    pub product: String,
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many cannot run here.
    pub not_applicable: usize,
    /// The tests.
    pub cases: Vec<Case>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conformance {
    /// The version of this form.
    pub schema: u32,
    /// The provider's version.
    pub provider: String,
    /// Terraform's version.
    pub terraform: String,
    /// The products, in the order of their names.
    pub products: Vec<Product>,
}

impl Conformance {
    pub(super) fn new(provider: &str, terraform: &str) -> Self {
        Self { schema: 1, provider: provider.to_owned(), terraform: terraform.to_owned(), products: Vec::new() }
    }

    pub(super) fn add(&mut self, product: &str, case: Case) {
        let known = self.products.iter_mut().position(|known| known.product == product);
        let index = known.unwrap_or_else(|| {
            self.products.push(Product {
                product: product.to_owned(),
                passed: 0,
                failed: 0,
                not_applicable: 0,
                cases: Vec::new(),
            });
            self.products.len() - 1
        });
        let product = &mut self.products[index];
        match case.status {
            Status::Passed => product.passed += 1,
            Status::Failed => product.failed += 1,
            Status::NotApplicable => product.not_applicable += 1,
        }
        product.cases.push(case);
    }

    pub(super) fn sort(&mut self) {
        self.products.sort_by(|one, other| one.product.cmp(&other.product));
        for product in &mut self.products {
            product.cases.sort_by(|one, other| one.name.cmp(&other.name));
        }
    }

    /// Whether nothing was found at all.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// Passed, failed, not applicable: of all products together.
    pub fn totals(&self) -> (usize, usize, usize) {
        self.products.iter().fold((0, 0, 0), |(passed, failed, not), product| {
            (passed + product.passed, failed + product.failed, not + product.not_applicable)
        })
    }

    /// Product and case of every test of this status.
    pub fn cases(&self, status: Status) -> impl Iterator<Item = (&str, &Case)> {
        self.products.iter().flat_map(move |product| {
            let of_status = product.cases.iter().filter(move |case| case.status == status);
            of_status.map(move |case| (product.product.as_str(), case))
        })
    }
}
