//! The cryptography behind TLS, chosen once for the process.
//!
//! A library that asks rustls for "the" provider panics if none was chosen and more than one could
//! be meant; which are compiled in depends on the features of everybody's dependencies.

use rustls::crypto::CryptoProvider;

/// Makes aws-lc the process' provider. Does nothing the second time.
pub fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, with the same choice.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
}
