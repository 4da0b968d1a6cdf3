//! The secrets of TLS connections, as the tools that decrypt captures take them.
//!
//! Source: the key log format of NSS, which RFC 9850 writes down: a line of label, client random and secret, the last two in hex.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::KeyLog;

/// Collects secrets until somebody takes them. Clones share the collection.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<String>>);

impl Secrets {
    /// The lines since they were last taken, each with its line end.
    #[must_use]
    pub fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let (random, secret) = (hex::encode(client_random), hex::encode(secret));
        let line = format!("{label} {random} {secret}\n");
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_str(&line);
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}
