//! Services that hand out something else at each boot of each board.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use tower::ServiceExt;

use crate::scenario::DEFAULT_DEPLOYMENT;
use crate::services::Peer;
use crate::timeline::{BoardId, Timeline};

/// What a service is at one boot of a board.
pub(crate) struct AtBoot {
    /// The board; `None` where a run has one.
    pub(crate) board: Option<BoardId>,
    /// Which boot of it, counted from 0.
    pub(crate) boot: u32,
    /// What must have been deployed to it.
    pub(crate) deployment: String,
    /// The service.
    pub(crate) router: Router,
}

/// What is deployed to each board. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deployed(Arc<Mutex<BTreeMap<Option<BoardId>, String>>>);

impl Deployed {
    /// From the next request on a board has this deployment.
    pub(super) fn set(&self, board: Option<BoardId>, deployment: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(board, deployment.to_owned());
    }

    fn of(&self, board: &Option<BoardId>) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deployment = all.get(board).map(String::as_str);
        deployment.unwrap_or(DEFAULT_DEPLOYMENT).to_owned()
    }
}

/// A service that is another one at each boot of each board, and perhaps with each deployment: that of its last boot stays, a deployment without a
/// service of its own has the default's, and who is no board has the first of all. The timeline knows which board a client is.
pub(crate) fn by_boot(services: Vec<AtBoot>, deployed: &Deployed, timeline: &Timeline) -> Router {
    if services.len() < 2 {
        let mut routers = services.into_iter().map(|service| service.router);
        return routers.next().unwrap_or_default();
    }
    let services: Arc<[AtBoot]> = services.into();
    let (timeline, deployed) = (timeline.clone(), deployed.clone());
    Router::new().fallback(move |request: Request| {
        let peer = request.extensions().get::<Peer>();
        let client = peer.map(|peer| timeline.of_client(*peer.address.ip()));
        let client = client.unwrap_or_else(|| timeline.clone());
        let (board, boot) = (client.board(), client.boot());
        let now = deployed.of(&board);
        let its = services.iter().filter(|s| s.board == board);
        let its = its.filter(|s| s.boot <= boot);
        let its = its.filter(|s| [&now, DEFAULT_DEPLOYMENT].contains(&s.deployment.as_str()));
        let its = its.max_by_key(|s| (s.boot, s.deployment == now));
        let router = its.or(services.first()).map(|s| s.router.clone());
        router.unwrap_or_default().oneshot(request)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use axum::body::Body;
    use http_body_util::BodyExt;

    use super::*;

    fn constant(text: &'static str) -> Router {
        Router::new().fallback(move || async move { text })
    }

    async fn ask(service: &Router, client: Ipv4Addr) -> String {
        let mut request = Request::new(Body::empty());
        let peer: Peer = SocketAddrV4::new(client, 4000).into();
        request.extensions_mut().insert(peer);
        let answer = service.clone().oneshot(request).await.unwrap();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.into()).unwrap()
    }

    #[tokio::test]
    async fn each_boot_of_each_board_has_its_own() {
        let timeline = Timeline::start();
        let address = |host| Ipv4Addr::new(10, 42, 1, host);
        let board = |name: &str, host: u8| {
            let board = timeline.for_board(name.parse().unwrap());
            let mac = format!("b8:27:eb:00:00:{host:02x}").parse().unwrap();
            board.has_machine(mac);
            timeline.lives_at(mac, address(host));
            board
        };
        let (one, two) = (board("one", 1), board("two", 2));
        let at = |of: &Timeline, boot, text| AtBoot {
            board: of.board(),
            boot,
            deployment: DEFAULT_DEPLOYMENT.into(),
            router: constant(text),
        };
        let services = vec![
            at(&one, 0, "one"),
            at(&one, 1, "one again"),
            at(&two, 0, "two"),
        ];
        let service = by_boot(services, &Deployed::default(), &timeline);
        assert_eq!(ask(&service, address(1)).await, "one");
        one.begin_next_boot();
        two.begin_next_boot();
        assert_eq!(ask(&service, address(1)).await, "one again");
        assert_eq!(ask(&service, address(2)).await, "two");
        assert_eq!(ask(&service, address(3)).await, "one");
    }

    #[tokio::test]
    async fn the_only_board_has_another_service_at_each_boot() {
        let timeline = Timeline::start();
        let at = |boot, deployment: &str, text| AtBoot {
            board: None,
            boot,
            deployment: deployment.into(),
            router: constant(text),
        };
        let services = vec![
            at(0, DEFAULT_DEPLOYMENT, "first"),
            at(0, "new", "first, new"),
            at(1, DEFAULT_DEPLOYMENT, "second"),
            at(1, "new", "second, new"),
        ];
        let deployed = Deployed::default();
        let service = by_boot(services, &deployed, &timeline);
        assert_eq!(ask(&service, Ipv4Addr::LOCALHOST).await, "first");
        for _ in 0..2 {
            timeline.begin_next_boot();
            assert_eq!(ask(&service, Ipv4Addr::LOCALHOST).await, "second");
        }
        for (name, answer) in [
            ("new", "second, new"),
            ("broken", "second"),
            (DEFAULT_DEPLOYMENT, "second"),
        ] {
            deployed.set(None, name);
            assert_eq!(ask(&service, Ipv4Addr::LOCALHOST).await, answer, "{name}");
        }
    }
}
