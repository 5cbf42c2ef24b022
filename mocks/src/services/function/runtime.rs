//! Runtimes: the languages a function can be written in.
//!
//! Their names are the SDK's, their states the documented ones; what is newer than
//! that documentation is `available`. Answers have no code samples and no logos.

use serde_json::{Value, json};

use crate::kernel::{Look, Refusal};

/// A runtime: its name, its language's name and version, and its state.
struct Runtime(&'static str, Language, &'static str, &'static str);

#[derive(Clone, Copy)]
enum Language {
    Node,
    Python,
    Go,
    Php,
    Rust,
}

impl Language {
    /// Its name, the handler of a function that names none, and how its files end.
    fn describe(self) -> [&'static str; 3] {
        match self {
            Self::Node => ["Node", "handler.handle", "js"],
            Self::Python => ["Python", "handler.handle", "py"],
            Self::Go => ["Go", "Handle", "go"],
            Self::Php => ["PHP", "handler", "php"],
            Self::Rust => ["Rust", "handler", "rs"],
        }
    }
}

use Language::{Go, Node, Php, Python, Rust};

const AVAILABLE: &str = "available";
const OLD: &str = "end_of_support";
const DEAD: &str = "end_of_life";

const RUNTIMES: [Runtime; 41] = [
    Runtime("node8", Node, "8", DEAD),
    Runtime("node10", Node, "10", DEAD),
    Runtime("node14", Node, "14", DEAD),
    Runtime("node16", Node, "16", DEAD),
    Runtime("node17", Node, "17", DEAD),
    Runtime("node18", Node, "18", OLD),
    Runtime("node19", Node, "19", DEAD),
    Runtime("node20", Node, "20", AVAILABLE),
    Runtime("node22", Node, "22", AVAILABLE),
    Runtime("node24", Node, "24", AVAILABLE),
    Runtime("node26", Node, "26", AVAILABLE),
    Runtime("python", Python, "2", DEAD),
    Runtime("python3", Python, "3", DEAD),
    Runtime("python37", Python, "3.7", DEAD),
    Runtime("python38", Python, "3.8", OLD),
    Runtime("python39", Python, "3.9", AVAILABLE),
    Runtime("python310", Python, "3.10", AVAILABLE),
    Runtime("python311", Python, "3.11", AVAILABLE),
    Runtime("python312", Python, "3.12", AVAILABLE),
    Runtime("python313", Python, "3.13", AVAILABLE),
    Runtime("python314", Python, "3.14", AVAILABLE),
    Runtime("golang", Go, "", DEAD),
    Runtime("go113", Go, "1.13", DEAD),
    Runtime("go117", Go, "1.17", DEAD),
    Runtime("go118", Go, "1.18", DEAD),
    Runtime("go119", Go, "1.19", DEAD),
    Runtime("go120", Go, "1.20", OLD),
    Runtime("go121", Go, "1.21", OLD),
    Runtime("go122", Go, "1.22", AVAILABLE),
    Runtime("go123", Go, "1.23", AVAILABLE),
    Runtime("go124", Go, "1.24", AVAILABLE),
    Runtime("go125", Go, "1.25", AVAILABLE),
    Runtime("go126", Go, "1.26", AVAILABLE),
    Runtime("php82", Php, "8.2", AVAILABLE),
    Runtime("php83", Php, "8.3", AVAILABLE),
    Runtime("php84", Php, "8.4", AVAILABLE),
    Runtime("php85", Php, "8.5", AVAILABLE),
    Runtime("rust165", Rust, "1.65", DEAD),
    Runtime("rust179", Rust, "1.79", OLD),
    Runtime("rust185", Rust, "1.85", AVAILABLE),
    Runtime("rust196", Rust, "1.96", AVAILABLE),
];

/// The names of those a function can be made with: "It is no longer possible to create a new
/// function with" the others (documented).
pub(super) fn names() -> Vec<&'static str> {
    RUNTIMES.iter().filter(|runtime| runtime.3 == AVAILABLE).map(|runtime| runtime.0).collect()
}

/// The handler of a function that names none.
pub(super) fn default_handler(name: &str) -> &'static str {
    RUNTIMES.iter().find(|runtime| runtime.0 == name).map_or("", |runtime| runtime.1.describe()[1])
}

/// GET runtimes.
pub(super) fn list(look: &Look<'_>) -> Result<Value, Refusal> {
    let told = RUNTIMES.iter().map(|Runtime(name, language, version, status)| {
        let [language, handler, extension] = language.describe();
        json!({
            "name": name, "language": language, "version": version, "default_handler": handler, "code_sample": "",
            "status": status, "status_message": "", "extension": extension, "implementation": "", "logo_url": "",
        })
    });
    look.page("runtimes", told.collect())
}
