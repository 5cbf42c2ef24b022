//! The versions of a stack's state.
