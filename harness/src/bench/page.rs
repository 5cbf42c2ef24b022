//! The page for people: `docs/benchmark.md`.

use std::fmt::Write;

use super::Benchmarks;

/// The page, in Markdown.
pub fn page(measured: &Benchmarks) -> String {
    let mut page = format!(
        "# How fast the local cloud is\n\n\
         Made by `stackproof bench --update`; do not edit. How each is measured stands beside its function in \
         `harness/src/bench`; what it is compared with is measured in the same run.\n\n\
         Measured on {}.\n\n\
         | id | what | measured | compared with | yardstick |\n| --- | --- | --- | --- | --- |\n",
        measured.machine.shown()
    );
    for one in &measured.results {
        let (shown, compared, judged) = (one.shown(), one.compared().replace('|', "\\|"), one.judged());
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {} | {} | {shown} | {compared} | {judged} |", one.id, one.title);
    }
    page
}
