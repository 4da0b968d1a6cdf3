//! A run on a board on a desk: the same network, script and judge as on an emulated board, with a serial port, a plug and a cable in place of the emulator.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use regex::Regex;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use super::begin_folder::begin_folder;
use super::console_meter::bytes_said;
use super::execution::conclude;
use super::outcome::identity;
use crate::cable::impaired;
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::evidence::{CAPTURE_FILE, Capture, keep_bucket};
use crate::folder::RunFolder;
use crate::host::{cpu_seconds, host_scale};
use crate::input::DeploymentName;
use crate::judge::{JudgePlan, Source};
use crate::lab::{OpenPort, Tap};
use crate::lan::Direction;
use crate::plan::{Job, Lab};
use crate::report::{CpuSeconds, Report};
use crate::scratch::Scratch;
use crate::script::{Activity, Bounds, Guest, Next, Script, type_keys};
use crate::timeline::{Event, Power, Record, StoppedBy, TIMELINE_VERSION, Timeline};
use crate::world::{Network, SCRATCH, ServedBoard, Trust};

/// Makes a run on the board of a desk, from its parts to its report. Whatever happens there is a report.
///
/// The card is not touched. `stop` completes when the run must end.
pub async fn run_on_desk(
    job: &Job<'_>,
    lab: &Lab,
    timeline: &Timeline,
    stop: impl Future<Output = StoppedBy>,
) -> Report {
    let mut report = identity(job);
    report.on_desk = true;
    let own_cpu = cpu_seconds(std::process::id());
    let outcome = go(job, lab, timeline, stop, &mut report).await;
    report.harness_cpu_seconds = cpu_seconds(std::process::id()) - own_cpu;
    conclude(job, timeline, outcome, &mut report);
    report
}

async fn go(
    job: &Job<'_>,
    lab: &Lab,
    timeline: &Timeline,
    stop: impl Future<Output = StoppedBy>,
    report: &mut Report,
) -> Result<(), RunError> {
    if let Some(reason) = Lab::cannot(job.scenario) {
        return Err(RunError::NotOnDesk {
            scenario: job.scenario.name.to_string(),
            reason,
        });
    }
    let in_folder = |source| RunError::Folder {
        path: job.folder.clone(),
        source,
    };
    begin_folder(job)?;
    let work = job.folder.join(RunFolder::WORK);
    let work = Scratch::create(work, job.keep).map_err(in_folder)?;

    if !job.scenario.several.is_empty() {
        return Err(job.several_boards("on the desk"));
    }
    let trust = Trust::generate(job.scenario, &[])?;
    let (scenario, mac) = (job.scenario, lab.mac);
    let board = ServedBoard::new(None, job.board, mac, job.parts);
    timeline.has_machine(mac);
    let image = job.parts.provisioned.as_ref();
    let network = Network::start(scenario, vec![board], image, &trust, work.path(), timeline)?;
    let faults = network.faults().of(timeline.clone());
    let wire = impaired(network.lan.attach_as(&job.board.name), faults, None);
    let tap = Tap::plug_in(&lab.tap, wire)?;
    let secrets = network.secrets.clone();
    let capture_file = job.folder.join(CAPTURE_FILE);
    let capture = Capture::start(&network.lan, secrets, &capture_file, timeline);
    let capture = capture.map_err(in_folder)?;
    report.nonce = Some(network.nonce.clone());
    report.layers = network.layers.clone();
    report.mac = Some(mac);
    let plan = plan(job, &network);
    report.chain = plan.labels();

    let mut script = Script::new(&plan, timeline.clone());
    let ended = follow(job, lab, timeline, &network, &mut script, stop).await;
    let ended = ended.inspect(|_| report.tell(&script.finish()));
    // A board that is left on would ask for its lease again in the next run.
    let off = lab.power.off().await;
    let ended = match ended {
        Ok(desk) => {
            desk.cut().await;
            off.map_err(RunError::from)
        }
        Err(error) => Err(error),
    };
    drop(tap);
    drop(network);
    if let Err(e) = keep_bucket(&work.path().join(SCRATCH), &job.folder) {
        report
            .lost
            .push(format!("the guest's files could not be kept: {e}"));
    }
    if let Err(e) = capture.finish().await {
        timeline.note("run", format!("the capture is not whole: {e}"));
    }
    if ended.is_ok() && report.failure.is_none() && !job.keep {
        // It is large and tells nothing new.
        let _ = fs::remove_file(capture_file);
    }
    ended
}

/// Does with the board what the script says, until it has been decided what came of it. The board may be on then, whatever this returns.
async fn follow(
    job: &Job<'_>,
    lab: &Lab,
    timeline: &Timeline,
    network: &Network,
    script: &mut Script,
    stop: impl Future<Output = StoppedBy>,
) -> Result<Desk, RunError> {
    let stop = stop.shared();
    let deploy = |name: &DeploymentName| {
        let of_board = network.deployments.iter();
        of_board.for_each(|deployments| deployments.deploy(name, timeline));
    };
    let first = script.begin_first_step();
    first.and_then(|due| due.deploy).iter().for_each(deploy);
    let (mut desk, expectations) = tokio::select! {
        biased;
        by = stop.clone() => return Err(RunError::Stopped(by)),
        desk = Desk::switch_on(lab, &job.folder, timeline) => desk?,
    };
    let bounds = Bounds::new(&job.board.limits, host_scale());
    let guest = desk.guest(network);
    script.switched_on(timeline.clone(), expectations, bounds.clone(), guest);
    loop {
        match script.follow(stop.clone()).await {
            // Scenarios that ask for the card are not run here.
            Next::Decided | Next::ReadCards => return Ok(desk),
            Next::Reset(board) => {
                timeline.begin_next_boot();
                let action = Power::Reset;
                timeline.emit(Event::Power { action });
                script.started_again(board.as_ref());
            }
            Next::Do(due) => {
                due.deploy.iter().for_each(deploy);
                if let Some(keys) = &due.keys {
                    type_keys(&desk.console, keys, timeline).await;
                }
                if due.power.is_none() {
                    continue;
                }
                desk.cut().await;
                script.switched_off(None);
                timeline.begin_next_boot();
                let (mut next, expectations) = Desk::switch_on(lab, &job.folder, timeline).await?;
                let guest = next.guest(network);
                script.switched_on(timeline.clone(), expectations, bounds.clone(), guest);
                desk = next;
            }
        }
    }
}

/// What the run is judged by.
fn plan(job: &Job<'_>, network: &Network) -> JudgePlan {
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let stages = Lab::stages(job.stages());
    let plan = JudgePlan::of_scenario(job.scenario, job.board, stages, source);
    plan.knowing(Some(&network.nonce), &network.layers)
}

/// A board that has been switched on.
struct Desk {
    console: Console,
    port: OpenPort,
    _shut_down: AbortOnDropHandle<()>,
    /// Counts the board's frames.
    counting: Option<AbortOnDropHandle<()>>,
}

impl Desk {
    /// Switches the board off, whatever it does, and on.
    async fn switch_on(
        lab: &Lab,
        folder: &Path,
        timeline: &Timeline,
    ) -> Result<(Self, Expectations), RunError> {
        lab.power.off().await?;
        timeline.emit(Event::Power { action: Power::Off });
        let (socket, port) = lab.serial.open(lab.baud).await?;
        let console = Console::start(vec![socket], folder, timeline);
        let (console, expectations) = console.map_err(|source| RunError::Folder {
            path: folder.into(),
            source,
        })?;
        let shut_down = shut_down(timeline.clone(), lab.shut_down.clone());
        let desk = Self {
            console,
            port,
            _shut_down: AbortOnDropHandle::new(tokio::spawn(shut_down)),
            counting: None,
        };
        timeline.emit(Event::Power { action: Power::On });
        lab.power.on().await?;
        Ok((desk, expectations))
    }

    /// The board's signs of life. Nobody knows its CPU time, and nobody keeps it from running.
    fn guest(&mut self, network: &Network) -> Guest {
        let console = bytes_said(&self.console);
        let (frames, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (all, bytes, mut cable) = (
            Arc::clone(&frames),
            Arc::clone(&sent),
            network.lan.observe(),
        );
        let counting = tokio::spawn(async move {
            loop {
                match cable.recv().await {
                    Ok(observed) if observed.direction == Direction::FromGuest => {
                        all.fetch_add(1, Ordering::Relaxed);
                        bytes.fetch_add(observed.frame.len() as u64, Ordering::Relaxed);
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        self.counting = Some(AbortOnDropHandle::new(counting));
        let activity = move || Activity {
            console: console.load(Ordering::Relaxed),
            frames: frames.load(Ordering::Relaxed),
            sent: sent.load(Ordering::Relaxed),
            lines: 0,
            served: 0,
        };
        let meter = || CpuSeconds {
            qemu: 0.0,
            harness: cpu_seconds(std::process::id()),
        };
        Guest {
            activity: Box::new(activity),
            starved: Box::new(|| Duration::ZERO),
            meter: Arc::new(meter),
            ended: std::future::pending().boxed(),
        }
    }

    /// The board is off: what it has said is all.
    async fn cut(self) {
        let Self { console, port, .. } = self;
        // The console ends with its port.
        drop(port);
        console.finish().await;
    }
}

/// Takes the board's word for it that it has shut down: nobody sees it switch itself off.
async fn shut_down(timeline: Timeline, line: Regex) {
    let mut cursor = timeline.end();
    let is_it =
        |r: &Record| matches!(&r.event, Event::Serial { line: said, .. } if line.is_match(said));
    timeline.wait_for(&mut cursor, is_it).await;
    timeline.emit(Event::Power {
        action: Power::GuestShutdown,
    });
}
