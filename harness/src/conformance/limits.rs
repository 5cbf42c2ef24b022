//! The page of limits: what each part says of itself in its `limits.md`, and the operations that answer 501.

use std::collections::BTreeSet;
use std::fmt::Write;

use stackproof_cloud::kernel::Product;
use stackproof_cloud::services;

use super::build::Provider;
use super::operations::{self, Operation};
use crate::{Failure, Workspace};

const HEAD: &str = "\
# Limits

What the local cloud does differently from Scaleway, or not at all. A difference found and not listed here is a bug.

Made by `stackproof conformance --limits` of the `limits.md` beside each part's sources and of the official SDK's \
operations; do not edit.
";

/// The page, in Markdown, as it should be.
///
/// # Errors
/// When a part's limits or the SDK's sources cannot be read.
pub fn limits(workspace: &Workspace) -> Result<String, Failure> {
    let sdk = operations::operations(&Provider::find(workspace)?.sdk()?)?;
    let mut page = HEAD.to_owned();
    let mut section = |title: &str, said: &str| {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n{title}\n\n{}\n", said.trim_end());
    };
    section("## Gateway", &part(workspace, "mocks/src/gateway")?);
    section("## JSON API", &part(workspace, "mocks/src/services")?);
    for product in services::products() {
        let folder = format!("mocks/src/services/{}", product.name);
        let own = if workspace.root.join(&folder).join("limits.md").exists() {
            part(workspace, &folder)?
        } else {
            String::new()
        };
        section(&format!("### {}", product.title), &format!("{}\n{own}", answered(&product, &sdk)));
    }
    section("## Object Storage", &part(workspace, "mocks/src/object")?);
    section("## State", &part(workspace, "state/src")?);
    section("## stackproof", &part(workspace, "harness/src")?);
    Ok(page)
}

fn part(workspace: &Workspace, folder: &str) -> Result<String, Failure> {
    let path = workspace.root.join(folder).join("limits.md");
    std::fs::read_to_string(&path)
        .map_err(|error| Failure::environment(format!("{} cannot be read", path.display())).because(error))
}

/// How many of a product's operations are answered, and which ones are not.
fn answered(product: &Product, sdk: &BTreeSet<Operation>) -> String {
    let routes = product.resources.iter().flat_map(|resource| resource.all_routes());
    let ours: BTreeSet<Operation> = routes.map(|route| Operation::of(route.method, route.path).shape()).collect();
    let families: BTreeSet<&str> = ours.iter().filter_map(|operation| family(&operation.path)).collect();
    let of_product = |operation: &&Operation| family(&operation.path).is_some_and(|family| families.contains(family));
    let all: Vec<&Operation> = sdk.iter().filter(of_product).collect();
    let missing: Vec<&&Operation> = all.iter().filter(|operation| !ours.contains(&operation.shape())).collect();
    let mut text = format!("{} of {} operations are answered", all.len() - missing.len(), all.len());
    text.push_str(if missing.is_empty() { ".\n" } else { "; these answer 501:\n\n" });
    for operation in missing {
        let _ = writeln!(text, "- `{operation}`");
    }
    text
}

/// `/rdb/v1/` of a path: a product and a version of its API.
fn family(path: &str) -> Option<&str> {
    let (end, _) = path.match_indices('/').nth(2)?;
    path.get(..=end)
}
