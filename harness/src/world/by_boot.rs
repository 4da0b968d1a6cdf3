//! Services that hand out something else at each boot of the board.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use tower::ServiceExt;

/// The number of the boot that is under way, counted from 0. Clones are the same number.
#[derive(Debug, Clone, Default)]
pub(crate) struct BootNumber(Arc<AtomicUsize>);

impl BootNumber {
    /// The next boot begins.
    pub(crate) fn next(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A service that is another one at each boot; the last one stays.
pub(crate) fn by_boot(mut services: Vec<Router>, boots: &BootNumber) -> Router {
    let Some(last) = services.pop() else {
        return Router::new();
    };
    if services.is_empty() {
        return last;
    }
    let boots = boots.clone();
    let services: Arc<[Router]> = services.into();
    Router::new().fallback(move |request: Request| {
        let service = services.get(boots.get()).unwrap_or(&last).clone();
        service.oneshot(request)
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn each_boot_has_its_own() {
        let constant = |text: &'static str| Router::new().fallback(move || async move { text });
        let boots = BootNumber::default();
        let service = by_boot(vec![constant("first"), constant("second")], &boots);
        let ask = async || {
            let answer = service.clone().oneshot(Request::new(Body::empty())).await;
            answer
                .unwrap()
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes()
        };
        assert_eq!(ask().await, "first");
        boots.next();
        assert_eq!(ask().await, "second");
        boots.next();
        assert_eq!(ask().await, "second");
    }
}
