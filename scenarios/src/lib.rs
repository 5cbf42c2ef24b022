//! The cast of the acceptance scenarios: what a given, a when or a then needs.
