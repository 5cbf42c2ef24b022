//! One TLS implementation for the whole process.

/// Makes ring the process's TLS provider. Doing so again changes nothing.
pub fn install() {
    // The error only says that a provider is installed already: this one.
    drop(rustls::crypto::ring::default_provider().install_default());
}
