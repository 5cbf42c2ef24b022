//! Who may do what, found out by trying: every principal of a deployed stack on every class of action of every product.

mod class;
mod matrix;
mod principal;

pub use class::{CLASSES, Class};
pub use matrix::{Caught, Difference, Rights};
pub use principal::Subject;
