//! One-time secrets: a token in a URL stands for what a client's `secrets` template said when its boot script was fetched, once and for a short
//! time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How long a secret can be fetched after its URL was handed out.
pub(super) const LIFETIME: Duration = Duration::from_secs(60);

/// The secrets that have been announced and not fetched.
pub(super) struct Secrets {
    clock: Clock,
    lifetime: Duration,
    waiting: Mutex<HashMap<String, Waiting>>,
}

struct Waiting {
    text: String,
    expires: Instant,
}

impl Secrets {
    pub(super) fn new(clock: Clock, lifetime: Duration) -> Self {
        Self {
            clock,
            lifetime,
            waiting: Mutex::default(),
        }
    }

    /// A new token for this text: 43 characters, as the real server's. Those that have expired are forgotten on the way.
    pub(super) fn announce(&self, text: String) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let now = (self.clock)();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, secret| secret.expires > now);
        let expires = now + self.lifetime;
        waiting.insert(token.clone(), Waiting { text, expires });
        token
    }

    /// The secret; `None` for a token that is unknown, used or expired. It is used from now on.
    pub(super) fn take(&self, token: &str) -> Option<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = waiting.remove(token)?;
        (secret.expires > (self.clock)()).then_some(secret.text)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_there_once_and_not_for_long() {
        let now = Arc::new(Mutex::new(Instant::now()));
        let clock = Arc::clone(&now);
        let secrets = Secrets::new(Arc::new(move || *clock.lock().unwrap()), LIFETIME);
        let secret = || "swordfish".to_owned();
        let wait = |seconds| *now.lock().unwrap() += Duration::from_secs(seconds);

        let (token, other) = (secrets.announce(secret()), secrets.announce(secret()));
        assert_ne!(token, other);
        assert_eq!(token.len(), 43);
        wait(59);
        assert_eq!(secrets.take(&token), Some(secret()));
        assert_eq!(secrets.take(&token), None, "used");
        wait(1);
        assert_eq!(secrets.take(&other), None, "expired");
        assert_eq!(secrets.take("unknown"), None);

        secrets.announce(secret());
        wait(60);
        secrets.announce(secret());
        assert_eq!(
            secrets.waiting.lock().unwrap().len(),
            1,
            "the expired one is forgotten"
        );
    }
}
