//! The page of what the local cloud answers, made of the declarations themselves.
//!
//! `UPDATE_DOCS=1 cargo test -p stackproof-cloud --test documentation` writes it anew.

use std::{fmt::Write, fs, path::Path};

use stackproof_cloud::{kernel::Catalogue, services};

#[test]
fn the_page_of_the_api_says_what_is_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/local-cloud-api.md");
    let page =
        page(&Catalogue::new(services::products()).expect("the declarations agree")).expect("text can be written");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("the page can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/local-cloud-api.md is out of date: UPDATE_DOCS=1 cargo test -p stackproof-cloud --test documentation"
    );
}

fn page(catalogue: &Catalogue) -> Result<String, std::fmt::Error> {
    let mut page =
        String::from("# The local cloud's JSON API\n\nGenerated from the declared resource types; do not edit.\n");
    for product in catalogue.products() {
        write!(page, "\n## {}\n", product.title)?;
        for resource in &product.resources {
            write!(page, "\n### {}\n\n", resource.kind)?;
            let mut groups: Vec<(String, Vec<String>)> = Vec::new();
            for route in resource.all_routes() {
                let sets = catalogue.allowed_by(resource, &route).names().collect::<Vec<_>>().join(", ");
                let place = groups.iter().position(|(known, _)| *known == sets).unwrap_or(groups.len());
                if place == groups.len() {
                    groups.push((sets, Vec::new()));
                }
                groups[place].1.push(format!("- `{} {}`", route.method, route.path));
            }
            for (sets, routes) in groups {
                writeln!(page, "With {sets}:\n\n{}\n", routes.join("\n"))?;
            }
            if !resource.declared_fields().is_empty() {
                page.push_str("| field | form |\n| --- | --- |\n");
            }
            for field in resource.declared_fields() {
                writeln!(page, "| `{}` | {} |", field.name(), field.describe())?;
            }
        }
    }
    Ok(page)
}
