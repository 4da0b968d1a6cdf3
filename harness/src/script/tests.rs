//! Runs whose board is the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::watch::{Now, Watch};
use super::*;
use crate::board::{Evidence, Limits, Stage};
use crate::console::Console;
use crate::judge::{BootPlan, EndPlan, JudgePlan, Outcome, Progress, Source, judge};
use crate::report::CpuSeconds;
use crate::scenario::{Await, PowerStep, Step, Trigger};
use crate::testing;
use crate::timeline::{
    Bound, Event, Power, Record, RequestEvent, ServiceId, StoppedBy, TIMELINE_VERSION, Timeline,
};

/// Stages as a chain file has them.
fn stages(toml: &str) -> Vec<Stage> {
    #[derive(serde::Deserialize)]
    struct Chain {
        stage: Vec<Stage>,
    }
    toml::from_str::<Chain>(toml).unwrap().stage
}

fn serial(name: &str, pattern: &str) -> String {
    format!("[[stage]]\nname = \"{name}\"\nevidence.serial = '{pattern}'\nbudget = \"20s\"\n")
}

fn plan(chain: &str) -> JudgePlan {
    JudgePlan {
        source: Source::Run {
            version: TIMELINE_VERSION,
        },
        boots: vec![BootPlan {
            board: None,
            boot: 0,
            behind: None,
            card_with: Vec::new(),
            stages: stages(chain),
            end: EndPlan::Chain { status: None },
            container: None,
            nonces: vec!["c0ffee".into()],
            layers: vec!["sha256:11".into()],
            alarms: crate::alarm::Alarms::default(),
            harmless: Vec::new(),
            expected_alarms: Vec::new(),
            expected_power: Vec::new(),
        }],
        steps: Vec::new(),
        journal: Vec::new(),
        card: None,
        has_one_nonce: false,
    }
}

fn bounds(seconds: u64) -> Bounds {
    let limits = Limits {
        first_activity: Duration::from_secs(seconds),
        silence: Duration::from_secs(seconds),
        whole: Duration::from_secs(10 * seconds),
    };
    Bounds::new(&limits, 1.0)
}

struct Scene {
    uart: UnixStream,
    timeline: Timeline,
    plan: JudgePlan,
    console: Console,
    script: Script,
    _folder: tempfile::TempDir,
}

fn scene(chain: &str) -> Scene {
    scene_of(plan(chain))
}

fn scene_of(plan: JudgePlan) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let timeline = Timeline::start();
    let (ours, uart) = UnixStream::pair().unwrap();
    let (console, expectations) = Console::start(vec![ours], folder.path(), &timeline).unwrap();
    let guest = Guest {
        activity: Box::new(Activity::default),
        starved: Box::new(|| Duration::ZERO),
        meter: Arc::new(CpuSeconds::default),
        ended: std::future::pending().boxed(),
    };
    let mut script = Script::new(&plan, timeline.clone()).with_tick(Duration::from_millis(20));
    script.switched_on(timeline.clone(), expectations, bounds(60), guest);
    Scene {
        uart,
        timeline,
        plan,
        console,
        script,
        _folder: folder,
    }
}

impl Scene {
    /// Follows the run; what the judge says of its record afterwards is the same.
    async fn follow(self) -> Followed {
        let mut script = self.script;
        let next = script.follow(std::future::pending()).await;
        assert_eq!(next, Next::Decided);
        let followed = script.finish();
        assert_eq!(judge(&self.plan, &followed.records), followed.verdict);
        assert_eq!(
            judge(&self.plan, &self.timeline.snapshot()),
            followed.verdict
        );
        drop(self.console);
        followed
    }
}

#[tokio::test]
async fn a_line_that_comes_in_pieces_is_one() {
    let mut scene = scene(&(serial("U-Boot", r"^U-Boot \d+\.\d+$") + &serial("iPXE", "^iPXE")));
    for piece in ["U-Bo", "ot 2025", ".0", "1\r\niPXE ", "initialising\r\n"] {
        scene.uart.write_all(piece.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    let followed = scene.follow().await;
    assert_eq!(followed.verdict.outcome, Outcome::Passed);
    assert_eq!(followed.cpu.len(), 2);
}

#[tokio::test]
async fn stages_of_all_kinds_are_announced_in_order() {
    let chain = serial("U-Boot", "^U-Boot")
        + "[[stage]]\nname = \"pulled\"\nevidence.request = { service = \"registry\", target = '/blobs/', layer = true }\n\
           budget = \"20s\"\n[[stage]]\nname = \"nonce\"\nevidence = \"nonce\"\nbudget = \"20s\"\n\
           [[stage]]\nname = \"off\"\nevidence.power = \"guest-shutdown\"\nbudget = \"20s\"\n";
    let mut scene = scene(&chain);
    let timeline = scene.timeline.clone();
    let answer = |target: &str| {
        timeline.emit(Event::Request(RequestEvent {
            ..testing::request(ServiceId::Registry, target, 200)
        }));
    };
    let reached = async |name: &str| {
        let is_it = |r: &Record| matches!(&r.event, Event::Stage { name: n, .. } if n == name);
        timeline
            .wait_for(&mut crate::timeline::Cursor::default(), is_it)
            .await;
    };
    let (mut uart, _) = UnixStream::pair().unwrap();
    std::mem::swap(&mut uart, &mut scene.uart);
    let board = async {
        uart.write_all(b"U-Boot 2025.01\r\n").await.unwrap();
        reached("U-Boot").await;
        answer("/v2/a/blobs/sha256:22");
        answer("/v2/a/blobs/sha256:11");
        reached("pulled").await;
        uart.write_all(b"nonce is c0ffee\r\n").await.unwrap();
        reached("nonce").await;
        let action = Power::GuestShutdown;
        timeline.emit(Event::Power { action });
    };
    let (followed, ()) = tokio::join!(scene.follow(), board);
    assert_eq!(followed.verdict.outcome, Outcome::Passed);
    let times: Vec<_> = followed
        .verdict
        .stages
        .iter()
        .map(|s| s.outcome.reached().unwrap().0)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn the_end_of_the_emulator_and_a_stop_are_events() {
    let chain = serial("login", "login:");
    let Scene {
        uart: _uart,
        mut script,
        timeline,
        _folder: folder,
        ..
    } = scene(&chain);
    let guest = Guest {
        activity: Box::new(Activity::default),
        starved: Box::new(|| Duration::ZERO),
        meter: Arc::new(CpuSeconds::default),
        ended: std::future::ready("Bus error".to_owned()).boxed(),
    };
    let (ours, _board) = UnixStream::pair().unwrap();
    let (_console, expectations) = Console::start(vec![ours], folder.path(), &timeline).unwrap();
    script.switched_on(timeline.clone(), expectations, bounds(60), guest);
    timeline.emit(Event::Power { action: Power::On });
    let stop = async {
        let has_ended = |r: &Record| matches!(r.event, Event::EmulatorEnded { .. });
        timeline
            .wait_for(&mut crate::timeline::Cursor::default(), has_ended)
            .await;
        StoppedBy::Signal
    };
    assert_eq!(script.follow(stop).await, Next::Decided);
    let finding = script.finish().verdict.finding.unwrap();
    assert!(
        finding.cause.ends_with("stopped by a signal"),
        "{}",
        finding.cause
    );
    let events = timeline.snapshot();
    let is_stop = |r: &Record| {
        matches!(
            r.event,
            Event::Stopped {
                by: StoppedBy::Signal
            }
        )
    };
    assert!(events.iter().any(is_stop));
}

/// What a watch says at each second, with what the guest has done by then and for how long it had been starved.
fn watched(chain: &str, seconds: &[(u64, u64, u64)]) -> Vec<String> {
    let progress = Progress::new(&plan(chain));
    let now = |wall: u64, starved: u64| Now {
        wall: Duration::from_secs(wall),
        starved: Duration::from_secs(starved),
    };
    let activity = |console| Activity {
        console,
        ..Activity::default()
    };
    let mut watch = Watch::new(bounds(30), now(0, 0), activity(0));
    seconds
        .iter()
        .filter_map(|(wall, console, starved)| {
            let event = watch.look(
                now(*wall, *starved),
                activity(*console),
                progress.of(None),
                true,
            )?;
            Some(match event {
                Event::Silence {
                    since_power_on: true,
                    ..
                } => format!("{wall}: never a sign of life"),
                Event::Silence { .. } => format!("{wall}: silence"),
                Event::Budget {
                    of: Bound::Stage(name),
                    ..
                } => format!("{wall}: budget of {name}"),
                Event::Host { .. } => format!("{wall}: starved"),
                Event::Flood { of, .. } => format!("{wall}: flood of the {of}"),
                other => format!("{wall}: {other:?}"),
            })
        })
        .collect()
}

#[test]
fn silence_counts_from_the_guests_last_sign_of_life() {
    let chain = serial("login", "login:").replace("20s", "500s");
    assert_eq!(
        watched(&chain, &[(29, 0, 0), (30, 0, 0)]),
        ["30: never a sign of life"]
    );
    assert_eq!(
        watched(&chain, &[(29, 1, 0), (58, 1, 0), (59, 1, 0)]),
        ["59: silence"]
    );
}

#[test]
fn budgets_are_of_the_time_that_the_emulator_had() {
    let chain = serial("login", "login:");
    // Half of it was taken away: others are told of it, and the budget is not used up.
    let taken = [(19, 1, 9), (21, 2, 11), (38, 3, 19), (40, 4, 20)];
    assert_eq!(
        watched(&chain, &taken),
        ["21: starved", "40: budget of login"]
    );
    // But not for ever.
    assert_eq!(
        watched(&chain, &[(10, 1, 10), (79, 2, 79), (80, 3, 80)]),
        ["79: starved", "80: budget of login"]
    );
}

#[test]
fn a_flood_ends_the_run() {
    let chain = serial("login", "login:");
    assert_eq!(
        watched(&chain, &[(1, 16 << 20, 0), (2, (16 << 20) + 1, 0)]),
        ["2: flood of the console"]
    );
}

#[tokio::test]
async fn a_prompt_that_stands_still_does_not_feed_the_watch() {
    // Only the guest does: notes of ours are none of its signs of life.
    let looks = Arc::new(AtomicU64::new(0));
    let chain = serial("login", "login:");
    let mut scene = scene(&chain);
    let counter = Arc::clone(&looks);
    scene.script = {
        let guest = Guest {
            activity: Box::new(move || {
                counter.fetch_add(1, Ordering::Relaxed);
                Activity::default()
            }),
            starved: Box::new(|| Duration::ZERO),
            meter: Arc::new(CpuSeconds::default),
            ended: std::future::pending().boxed(),
        };
        let folder = tempfile::tempdir().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (_console, expectations) =
            Console::start(vec![ours], folder.path(), &scene.timeline).unwrap();
        let limits = Limits {
            first_activity: Duration::from_millis(200),
            silence: Duration::from_secs(60),
            whole: Duration::from_secs(60),
        };
        let mut script =
            Script::new(&scene.plan, scene.timeline.clone()).with_tick(Duration::from_millis(20));
        let bounds = Bounds::new(&limits, 1.0);
        script.switched_on(scene.timeline.clone(), expectations, bounds, guest);
        script
    };
    let timeline = scene.timeline.clone();
    let notes = async {
        loop {
            timeline.note("test", "ours");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    let followed = tokio::select! {
        followed = scene.follow() => followed,
        () = notes => unreachable!("notes go on for ever"),
    };
    let cause = followed.verdict.finding.unwrap().cause;
    assert!(cause.contains("no sign of life"), "{cause}");
    assert!(looks.load(Ordering::Relaxed) > 3);
}

/// A run whose first boot is over as soon as the board is on, which it is, and whose second step waits for another boot.
fn scene_of_two(chain: &str, other: impl FnOnce(BootPlan) -> BootPlan, second: Step) -> Scene {
    let mut plan = plan(chain);
    let whole = plan.boots.remove(0);
    let over = BootPlan {
        stages: Vec::new(),
        end: EndPlan::Open,
        ..whole.clone()
    };
    plan.boots = vec![over, other(whole)];
    plan.steps = vec![Step::switch_on(None), second];
    let mut scene = scene_of(plan);
    scene.script.begin_first_step();
    let action = Power::On;
    scene.timeline.emit(Event::Power { action });
    scene
}

#[tokio::test]
async fn a_board_whose_boot_is_over_owes_nothing_until_it_is_switched() {
    let chain = serial("login", "login:").replace("20s", "50ms");
    let after = Some(Trigger::Elapsed(Duration::from_millis(100)));
    let cycle = Step {
        boot: 1,
        after,
        power: Some(PowerStep::Cycle),
        ..Step::switch_on(None)
    };
    let mut scene = scene_of_two(&chain, |first| BootPlan { boot: 1, ..first }, cycle);
    let Next::Do(due) = scene.script.follow(std::future::pending()).await else {
        panic!("the step begins by the clock");
    };
    assert_eq!((due.number, due.power), (1, Some(PowerStep::Cycle)));
    // Until the board is switched, the next boot's stage is awaited for longer than its budget, and nobody says anything of it.
    let before = scene.timeline.len();
    let more = scene.script.follow(std::future::pending());
    let waited = tokio::time::timeout(Duration::from_millis(300), more).await;
    assert!(waited.is_err());
    assert_eq!(scene.timeline.len(), before);
}

#[tokio::test]
async fn a_step_waits_for_a_board_that_is_off_no_longer_than_its_bound() {
    let chain = serial("login", "login:");
    let dut = Some("dut".parse().unwrap());
    let switched_on = Step {
        board: dut.clone(),
        power: None,
        wait: Some(Await::Evidence(Evidence::Power(Power::On))),
        within: Some(Duration::from_millis(50)),
        ..Step::switch_on(None)
    };
    let scene = scene_of_two(
        &chain,
        |first| BootPlan {
            board: dut.clone(),
            ..first
        },
        switched_on,
    );
    let cause = scene.follow().await.verdict.finding.unwrap().cause;
    assert!(cause.contains("step 2 has waited"), "{cause}");
}
