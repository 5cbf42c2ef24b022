//! Pages that are made of the sources say what the sources say.

use std::fs;

use stackproof::{Workspace, conformance};

#[test]
fn the_page_of_limits_is_current() {
    let workspace = Workspace::find().expect("the scenarios lie in the workspace");
    let page = conformance::limits(&workspace).expect("limits and operations can be read");
    let there = fs::read_to_string(workspace.root.join("docs/limits.md")).unwrap_or_default();
    assert!(there == page, "docs/limits.md is out of date: stackproof conformance --limits");
}
