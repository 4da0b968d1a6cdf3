//! Waiting for serial text by rexpect, beside everything else that a run waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regex::Regex;
use tokio::task::JoinHandle;

use crate::board::Evidence;
use crate::console::{Expectations, Missed, Seen};

/// Waits for one text after the other. rexpect blocks, so it has a thread of its own while it waits.
#[derive(Debug)]
pub(super) struct SerialWait {
    expectations: Option<Expectations>,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    pattern: String,
    give_up: Arc<AtomicBool>,
    matcher: JoinHandle<(Expectations, Result<Seen, Missed>)>,
}

impl SerialWait {
    pub(super) fn new(expectations: Expectations) -> Self {
        Self {
            expectations: Some(expectations),
            waiting: None,
        }
    }

    /// What rexpect must look for to see such evidence; `None` for what is not serial.
    pub(super) fn pattern_of(evidence: &Evidence, nonces: &[String]) -> Option<Regex> {
        match evidence {
            Evidence::Serial(pattern) | Evidence::Container(pattern) => {
                Some(pattern.regex().clone())
            }
            Evidence::Nonce => {
                let nonces: Vec<_> = nonces.iter().map(|n| regex::escape(n)).collect();
                Regex::new(&nonces.join("|")).ok()
            }
            _ => None,
        }
    }

    /// Completes when text has come that matches, or the wait for another text has been given up; never without a pattern, nor once the
    /// serial ports have ended. May be dropped and called again: the wait goes on meanwhile.
    pub(super) async fn wait(&mut self, pattern: Option<&Regex>) {
        let wanted = pattern.map(Regex::as_str);
        if let Some(waiting) = &self.waiting
            && Some(waiting.pattern.as_str()) != wanted
        {
            waiting.give_up.store(true, Ordering::Relaxed);
        }
        if self.waiting.is_none()
            && let (Some(pattern), Some(mut expectations)) = (pattern, self.expectations.take())
        {
            let flag = Arc::new(AtomicBool::new(false));
            let (give_up, regex) = (Arc::clone(&flag), pattern.clone());
            let matcher = tokio::task::spawn_blocking(move || {
                let seen = expectations.wait(&regex, || flag.load(Ordering::Relaxed));
                (expectations, seen)
            });
            self.waiting = Some(Waiting {
                pattern: pattern.as_str().into(),
                give_up,
                matcher,
            });
        }
        let Some(waiting) = &mut self.waiting else {
            return std::future::pending().await;
        };
        let finished = (&mut waiting.matcher).await;
        self.waiting = None;
        match finished {
            // What ended the ports has its own error.
            Ok((_, Err(Missed::Ended))) | Err(_) => std::future::pending().await,
            Ok((expectations, _)) => self.expectations = Some(expectations),
        }
    }
}

impl Drop for SerialWait {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.give_up.store(true, Ordering::Relaxed);
        }
    }
}
