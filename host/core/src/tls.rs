//! Encrypted connections: which implementation of TLS' cryptography the clients of this process use.

use std::sync::Once;

/// Chooses it, before the first client is made: the one that `object_store` brings anyway. Clients that
/// bring none panic where nothing is chosen. An earlier choice is as good.
pub fn choose() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
