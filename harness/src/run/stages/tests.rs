//! Chains of stages against consoles and timelines that the tests write themselves.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::*;
use crate::board::Limits;
use crate::console::Console;
use crate::testing;
use crate::timeline::{Power, RequestEvent, ServiceId};

/// A run whose board is the test.
struct Scene {
    uart: UnixStream,
    timeline: Timeline,
    sequencer: Sequencer,
    watchdog: Watchdog,
    _console: Console,
    _folder: tempfile::TempDir,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let timeline = Timeline::start();
    let (ours, uart) = UnixStream::pair().unwrap();
    let (console, expectations) = Console::start(vec![ours], folder.path(), &timeline).unwrap();
    let limits = Limits {
        first_activity: Duration::from_secs(60),
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(60),
    };
    let bounds = Bounds::new(&limits, 1.0);
    let facts = Facts {
        nonce: "c0ffee".into(),
        layers: vec!["sha256:11".into()],
        ..Facts::default()
    };
    Scene {
        uart,
        watchdog: Watchdog::new(Arc::new(|| 0), &bounds),
        sequencer: Sequencer::new(timeline.clone(), expectations, bounds, facts),
        timeline,
        _console: console,
        _folder: folder,
    }
}

impl Scene {
    async fn go(&mut self, stages: &[Stage]) -> (Vec<String>, Result<(), NotReached>) {
        let (reached, outcome) = self.go_timed(stages).await;
        (reached.into_iter().map(|s| s.name).collect(), outcome)
    }

    async fn go_timed(&mut self, stages: &[Stage]) -> (Vec<StageTime>, Result<(), NotReached>) {
        let never = std::future::pending();
        self.sequencer
            .go(stages, &mut self.watchdog, never, std::future::pending())
            .await
    }

    async fn say(&mut self, text: &str) {
        self.uart.write_all(text.as_bytes()).await.unwrap();
    }

    fn answer(&self, target: &str, status: u16, complete: bool) {
        self.timeline.emit(Event::Request(RequestEvent {
            complete,
            ..testing::request(ServiceId::Registry, target, status)
        }));
    }
}

/// Stages as a chain file has them; the budget is a second, or what the text says.
fn stages(toml: &str) -> Vec<Stage> {
    #[derive(serde::Deserialize)]
    struct Chain {
        stage: Vec<Stage>,
    }
    toml::from_str::<Chain>(toml).unwrap().stage
}

fn serial(name: &str, pattern: &str, budget: &str) -> String {
    format!("[[stage]]\nname = \"{name}\"\nevidence.serial = '{pattern}'\nbudget = \"{budget}\"\n")
}

#[tokio::test]
async fn stages_follow_each_other_whatever_their_evidence() {
    let mut scene = scene();
    let layer = "[[stage]]\nname = \"pulled\"\nevidence.request = { service = \"registry\", target = '/blobs/', layer = true }\n\
                 budget = \"20s\"\n[[stage]]\nname = \"nonce\"\nevidence = \"nonce\"\nbudget = \"20s\"\n\
                 [[stage]]\nname = \"off\"\nevidence.power = \"guest-shutdown\"\nbudget = \"20s\"\n";
    scene.say("U-Boot 2025.01\r\n").await;
    scene.answer("/v2/a/blobs/sha256:22", 200, true);
    scene.answer("/v2/a/blobs/sha256:11", 200, true);
    scene.say("nonce is c0ffee\r\n").await;
    scene.timeline.emit(Event::Power {
        action: Power::GuestShutdown,
    });
    let chain = serial("U-Boot", "^U-Boot", "20s") + layer;
    let (reached, outcome) = scene.go(&stages(&chain)).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(reached, ["U-Boot", "pulled", "nonce", "off"]);
    let on_timeline = scene.timeline.snapshot();
    let marks = on_timeline
        .iter()
        .filter(|r| matches!(r.event, Event::Stage { .. }));
    assert_eq!(marks.count(), 4);
}

#[tokio::test]
async fn only_a_whole_and_successful_answer_is_evidence() {
    let mut scene = scene();
    scene.answer("/v2/a/blobs/sha256:11", 404, true);
    scene.answer("/v2/a/blobs/sha256:11", 200, false);
    let chain = "[[stage]]\nname = \"pulled\"\nevidence.request = { service = \"registry\", target = '/blobs/' }\nbudget = \"100ms\"\n";
    let (reached, outcome) = scene.go(&stages(chain)).await;
    assert!(reached.is_empty());
    assert!(outcome.unwrap_err().why.cause.contains("budget"));
}

#[tokio::test]
async fn a_budget_ends_the_wait_and_names_the_stage() {
    let mut scene = scene();
    scene.say("U-Boot 2025.01\r\n").await;
    let chain = serial("U-Boot", "^U-Boot", "20s") + &serial("iPXE", "^iPXE", "100ms");
    let (reached, outcome) = scene.go(&stages(&chain)).await;
    let not_reached = outcome.unwrap_err();
    assert_eq!(reached, ["U-Boot"]);
    assert_eq!(not_reached.stage.name, "iPXE");
    assert_eq!(not_reached.why.class, Class::Board);
}

#[tokio::test]
async fn an_alarm_ends_the_wait_at_once() {
    let mut scene = scene();
    scene.say("Kernel panic - not syncing: no init\r\n").await;
    let (_, outcome) = scene.go(&stages(&serial("login", "login:", "20s"))).await;
    let cause = outcome.unwrap_err().why.cause;
    assert!(
        cause.contains("kernel panic") && cause.contains("no init"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_board_that_powers_off_early_has_failed() {
    let mut scene = scene();
    scene.timeline.emit(Event::Power {
        action: Power::GuestShutdown,
    });
    let (_, outcome) = scene.go(&stages(&serial("login", "login:", "50s"))).await;
    assert!(
        outcome
            .unwrap_err()
            .why
            .cause
            .contains("powered itself off")
    );
}

#[tokio::test]
async fn what_another_run_has_seen_proves_no_stage_of_this_one() {
    let lease = || Event::Lease {
        mac: "b8:27:eb:00:00:01".into(),
        address: std::net::Ipv4Addr::new(10, 42, 1, 0),
        vendor_class: None,
    };
    let other = Timeline::start();
    other.emit(Event::Power { action: Power::On });
    other.emit(lease());
    let restored = StageTime {
        name: "DHCP".into(),
        reached: 2.5,
        took: 2.5,
        cpu: None,
        restored: true,
    };
    let chain = stages(
        "[[stage]]\nname = \"DHCP\"\nevidence = \"lease\"\nbudget = \"20s\"\n\
         [[stage]]\nname = \"network\"\nevidence = \"lease\"\nbudget = \"500ms\"\n",
    );
    for is_leased in [false, true] {
        let mut scene = scene();
        let at = Duration::from_millis(2600);
        scene.timeline.go_on_from(other.snapshot(), at);
        scene.sequencer = scene.sequencer.going_on_from(vec![restored.clone()]);
        if is_leased {
            scene.timeline.emit(lease());
        }
        let (reached, outcome) = scene.go_timed(&chain).await;
        assert_eq!(outcome.is_ok(), is_leased);
        assert_eq!(reached[0], restored);
        assert_eq!(reached.len(), 1 + usize::from(is_leased));
        if let Some(network) = reached.get(1) {
            assert!(!network.restored && network.reached > 2.5, "{network:?}");
        }
    }
}
