//! One boot of one board: its stages in order, and what ends it before.
//!
//! Stages are reached in order. Serial evidence must come after the serial evidence before it; an event of ours may have been recorded up
//! to [`OVERTAKING`] before the serial line that it followed, and counts once. Within the container's section the order of what the
//! container says is its own affair.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::class::Traces;
use super::evidence::{Context, is_layer, is_of_container, is_serial, proves};
use super::plan::{BootPlan, EndPlan, OVERTAKING, Source};
use super::section::Section;
use super::verdict::Finding;
use crate::alarm::{self, AlarmKind, AlarmWatch, Raised};
use crate::board::Stage;
use crate::report::Class;
use crate::timeline::{
    BoardId, Event, HostTrouble, Power, Record, RequestEvent, ServiceId, StoppedBy,
};

mod ending;
mod past;
mod view;

use past::Past;

/// The most events that are remembered because a serial line may still come that was before them.
const MOST_RECENT: usize = 256;

/// How long after others had the host's cores a board may still show it.
const STARVING: Duration = Duration::from_secs(60);

/// The judgement of one boot so far.
#[derive(Debug, Clone)]
pub(super) struct BootProgress {
    plan: BootPlan,
    source: Source,
    power_on: Option<Duration>,
    /// What is known of each stage that has been gone by; the next one is awaited.
    gone_by: Vec<GoneBy>,
    /// When the last stage was reached.
    last: Duration,
    /// When something last came on.
    progress: Duration,
    /// When the container first said what a stage awaits, for each stage.
    said: Vec<Option<Duration>>,
    /// Events of ours that a serial line may still have preceded.
    recent: VecDeque<(Duration, Event)>,
    section: Section,
    layer_served: bool,
    /// The status of the pipeline that the initramfs has said.
    status: Option<i32>,
    watch: AlarmWatch,
    /// Alarms that the timeline does not have yet, and the names of all that have been raised.
    alarms: Vec<Event>,
    heard: BTreeSet<String>,
    /// What the console has said to be wrong.
    reason: Option<Raised>,
    /// When others last took the host's cores away.
    starved: Option<Duration>,
    /// The board has stopped, and what it said last may still be on its way.
    stopped: Option<Stop>,
    /// What the scenario expects besides.
    proofs: Vec<Option<String>>,
    /// When the last proof came.
    proved: Option<Duration>,
    traces: Traces,
    past: Past,
    decision: Option<Decision>,
    /// Somebody types at the board.
    is_talked_to: bool,
}

/// A stage that is not awaited any more.
#[derive(Debug, Clone, Copy)]
enum GoneBy {
    Reached { at: Duration, restored: bool },
    NotJudged,
}

/// Why the boot ends, once its last output has come.
#[derive(Debug, Clone)]
struct Stop {
    at: Duration,
    class: Class,
    why: String,
}

/// What came of a boot.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    Passed,
    Failed(Finding),
}

impl BootProgress {
    pub(super) fn new(plan: BootPlan, source: Source) -> Self {
        let watch = AlarmWatch::new(&plan.alarms);
        let proofs = match &plan.end {
            EndPlan::Expected { expect, .. } => vec![None; expect.proofs.len()],
            EndPlan::Chain { .. } | EndPlan::Open => Vec::new(),
        };
        let traces = Traces::of(plan.behind.is_some());
        let mut this = Self {
            said: vec![None; plan.stages.len()],
            watch: if source.has_times() {
                watch
            } else {
                watch.without_times()
            },
            plan,
            source,
            power_on: None,
            gone_by: Vec::new(),
            last: Duration::ZERO,
            progress: Duration::ZERO,
            recent: VecDeque::new(),
            section: Section::default(),
            layer_served: false,
            status: None,
            alarms: Vec::new(),
            heard: BTreeSet::new(),
            reason: None,
            starved: None,
            stopped: None,
            proofs,
            proved: None,
            traces,
            past: Past::default(),
            decision: None,
            is_talked_to: false,
        };
        this.go_by_unknown();
        this
    }

    /// It is this boot of this board.
    pub(super) fn is(&self, board: Option<&BoardId>, boot: u32) -> bool {
        self.plan.board.as_ref() == board && self.plan.boot == boot
    }

    /// The record is of this boot.
    pub(super) fn is_of(&self, record: &Record) -> bool {
        record.boot == self.plan.boot && record.board == self.plan.board
    }

    /// The record is of an earlier boot of the same board, or of another one that has the card in turn.
    pub(super) fn comes_after(&self, record: &Record) -> bool {
        let is_earlier = record.boot < self.plan.boot && record.board == self.plan.board;
        let mut others = self.plan.card_with.iter();
        is_earlier || others.any(|other| record.board.as_ref() == Some(other))
    }

    /// The record is of the board that this one is behind.
    pub(super) fn is_behind_that_of(&self, record: &Record) -> bool {
        self.plan.behind.is_some() && self.plan.behind == record.board
    }

    /// Takes a record of an earlier boot from the same card: a layer that the registry served then may be on the card now. Each boot fetches the
    /// image's configuration again, because it holds the boot's nonce.
    pub(super) fn take_of_earlier_boot(&mut self, record: &Record) {
        self.past.take_earlier(record, self.plan.board.as_ref());
        self.take_fetched(&record.event);
    }

    /// Takes a record of what may have been fetched for this boot before it, or by the board that it is behind.
    pub(super) fn take_fetched(&mut self, event: &Event) {
        match event {
            Event::Request(request) if request.has_succeeded() => self.take_layer(request),
            // Of a registry outside of the run nobody sees more.
            Event::Answer(answer) => self.layer_served |= answer.service == ServiceId::Registry,
            _ => {}
        }
    }

    fn take_layer(&mut self, request: &RequestEvent) {
        self.layer_served |= request.complete && is_layer(&request.target, &self.plan.layers);
    }

    pub(super) fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    pub(super) fn nonces(&self) -> &[String] {
        &self.plan.nonces
    }

    pub(super) fn awaited(&self) -> Option<&Stage> {
        self.plan.stages.get(self.gone_by.len())
    }

    /// Takes the next record of this boot.
    pub(super) fn take(&mut self, record: &Record) {
        if self.decision.is_some() {
            return;
        }
        if let Some(stop) = &self.stopped
            && record.at > stop.at + OVERTAKING
        {
            self.end_of_last_output();
            return;
        }
        let at = record.at;
        self.traces.take(&record.event);
        self.past.take(&record.event);
        match &record.event {
            Event::Restored { stage, .. } => self.go_on_from(stage, at),
            Event::Power {
                action: Power::On | Power::Reset,
            } => {
                self.power_on.get_or_insert(at);
                (self.last, self.progress) = (at, at);
            }
            Event::Serial { uart, line } => self.take_text(record, *uart, line, true),
            Event::Prompt { uart, text } => self.take_text(record, *uart, text, false),
            Event::Typed { .. } => self.progress = at,
            Event::Stopped { by } => self.fail(
                at,
                Class::Host,
                match by {
                    StoppedBy::User => "stopped by the user",
                    StoppedBy::Signal => "stopped by a signal",
                },
            ),
            Event::Host { trouble, text } => match trouble {
                HostTrouble::Starved => self.starved = Some(at),
                HostTrouble::DiskFull | HostTrouble::Other => self.fail(at, Class::Host, text),
            },
            Event::Flood { of, bytes } => {
                let why = format!("the guest floods the {of}: {} MiB so far", bytes >> 20);
                self.fail(at, Class::Board, &why);
            }
            Event::EmulatorEnded { words } => {
                let why = if words.trim().is_empty() {
                    "QEMU has ended without a word".into()
                } else {
                    format!("QEMU has ended; its last output: {words:?}")
                };
                self.stop(at, Class::Emulator, &why);
            }
            Event::Silence {
                seconds,
                since_power_on,
            } => {
                let why = if *since_power_on {
                    format!("no sign of life within {seconds:.0} s of power-on")
                } else {
                    format!("nothing on any serial port or on the network for {seconds:.0} s")
                };
                self.fail_of_board(at, &why);
            }
            // At the keyboard somebody wakes it.
            Event::Asleep { .. } if self.is_talked_to => {}
            Event::Asleep { .. } => self.take_sleep(at),
            Event::Budget { of, seconds, .. } => self.take_budget(at, of, *seconds),
            event => self.take_event(at, event),
        }
        if let Event::Power { action } = record.event {
            self.take_power(at, action);
        }
    }

    /// There is nothing more to come.
    pub(super) fn finish(&mut self, end: Duration) {
        let context = self.alarm_context();
        for raised in self.watch.clone().end(end, context.as_progress()) {
            self.take_alarm(raised);
        }
        if self.decision.is_some() {
            return;
        }
        if self.stopped.is_some() {
            self.end_of_last_output();
        } else {
            self.end_of_record(end);
        }
    }

    /// Others had the host's cores a short while ago.
    fn is_starved(&self, at: Duration) -> bool {
        self.starved
            .is_some_and(|starved| at.saturating_sub(starved) <= STARVING)
    }

    /// It must go through its whole chain.
    fn is_of_chain(&self) -> bool {
        matches!(self.plan.end, EndPlan::Chain { .. })
    }

    fn is_log(&self) -> bool {
        self.source.is_log()
    }

    /// Everything before happened to a board of another run, up to this stage.
    fn go_on_from(&mut self, stage: &str, at: Duration) {
        let place = self.plan.stages.iter().position(|s| s.name == stage);
        let kept = place.map_or(0, |place| place + 1);
        self.gone_by.truncate(kept);
        for gone_by in &mut self.gone_by {
            if let GoneBy::Reached { restored, .. } = gone_by {
                *restored = true;
            }
        }
        while self.gone_by.len() < kept {
            self.gone_by.push(GoneBy::Reached { at, restored: true });
        }
        self.recent.clear();
        self.said.fill(None);
        self.proofs.fill(None);
        (self.status, self.reason, self.layer_served) = (None, None, false);
        self.progress = at;
    }

    /// A line or a prompt of a UART.
    fn take_text(&mut self, record: &Record, uart: u8, text: &str, is_whole: bool) {
        let mut of_container = self.section.is_open(uart);
        if is_whole && let Some(marks) = &self.plan.container {
            of_container = self.section.take(marks, uart, text);
            if !of_container && let Some(status) = marks.status_of(text) {
                self.status = Some(status);
            }
        }
        let context = AlarmContext {
            in_container: self.section.is_open(uart),
            ..self.alarm_context()
        };
        let raised = self.watch.observe(record, context.as_progress());
        // Somebody sits at the keyboard, and waits for prompts.
        if is_whole || !self.is_talked_to {
            for raised in raised {
                self.take_alarm(raised);
            }
        }
        // Who prints no marks at all may be another initramfs.
        let in_container = of_container
            || self.plan.container.is_none()
            || self.is_log() && self.section.is_unknown();
        if self.decision.is_some() {
            return;
        }
        self.take_evidence(record.at, &record.event, in_container);
        self.check_status(record.at);
    }

    /// An event of ours.
    fn take_event(&mut self, at: Duration, event: &Event) {
        self.take_fetched(event);
        match event {
            Event::Request(request) if request.has_succeeded() => self.progress = at,
            Event::Answer(_) | Event::Lease { .. } => self.progress = at,
            _ => {}
        }
        self.take_evidence(at, event, false);
    }

    fn context(&self, in_container: bool) -> Context<'_> {
        Context {
            nonces: &self.plan.nonces,
            layers: &self.plan.layers,
            in_container,
            layer_served: self.layer_served,
        }
    }

    fn take_evidence(&mut self, at: Duration, event: &Event, in_container: bool) {
        self.take_proof(at, event, in_container);
        if self.trespasses(event, in_container) {
            self.fail_of_refusal(at);
            return;
        }
        if in_container {
            for (index, stage) in self.plan.stages.iter().enumerate() {
                let context = self.context(true);
                if is_of_container(&stage.evidence) && proves(&stage.evidence, event, context) {
                    self.said.get_mut(index).map(|said| said.get_or_insert(at));
                }
            }
        }
        let is_ours = !matches!(event, Event::Serial { .. } | Event::Prompt { .. });
        if is_ours && is_evidence(event) {
            self.recent.push_back((at, event.clone()));
            if self.recent.len() > MOST_RECENT {
                self.recent.pop_front();
            }
        }
        self.forget(at);
        let Some(index) = self.proven(event, in_container) else {
            return;
        };
        if is_ours {
            // It has been used, and so has everything before it.
            self.recent.clear();
        }
        self.reach(index, at);
        self.go_further(at);
        if let Some(when) = self.trespassed() {
            self.fail_of_refusal(when);
            return;
        }
        self.finish_stages(at);
    }

    /// The stage that an event proves: the awaited one; of a log, which may be of one port of several, any later one too.
    fn proven(&self, event: &Event, in_container: bool) -> Option<usize> {
        let context = self.context(in_container);
        let awaited = self.gone_by.len();
        let mut stages = self.plan.stages.iter().enumerate().skip(awaited);
        if self.is_log() {
            return stages
                .find(|(_, s)| {
                    self.source.knows(&s.evidence) && proves(&s.evidence, event, context)
                })
                .map(|(index, _)| index);
        }
        let (index, stage) = stages.next()?;
        proves(&stage.evidence, event, context).then_some(index)
    }

    /// Takes the stages up to this one for gone by, this one for reached.
    fn reach(&mut self, index: usize, at: Duration) {
        while self.gone_by.len() < index {
            self.gone_by.push(GoneBy::NotJudged);
        }
        // Of a log, in which nobody sees the network, this is all that tells of it.
        let mut before = self.plan.stages.iter().take(index);
        if before.any(|stage| stage.evidence.is_of_lan()) {
            self.traces.was_on_network();
        }
        let at = at.max(self.last);
        self.gone_by.push(GoneBy::Reached {
            at,
            restored: false,
        });
        (self.last, self.progress) = (at, at);
        // What the console said to be wrong was not in the way.
        self.reason = None;
        self.go_by_unknown();
    }

    /// After a stage: the next ones, whose evidence has overtaken the line, or has been said by the container before.
    fn go_further(&mut self, at: Duration) {
        while let Some(stage) = self.awaited().cloned() {
            let index = self.gone_by.len();
            if is_of_container(&stage.evidence)
                && let Some(said) = self.said.get(index).copied().flatten()
            {
                self.reach(index, said);
                continue;
            }
            if is_serial(&stage.evidence) {
                return;
            }
            let context = self.context(false);
            let used = self
                .recent
                .iter()
                .position(|(_, event)| proves(&stage.evidence, event, context));
            let Some(used) = used else { return };
            let when = self.recent.get(used).map_or(at, |(when, _)| *when);
            self.recent.drain(..=used);
            self.reach(index, when);
        }
    }

    /// Stages that these records cannot prove are gone by.
    fn go_by_unknown(&mut self) {
        while let Some(stage) = self.plan.stages.get(self.gone_by.len())
            && !self.source.knows(&stage.evidence)
        {
            self.gone_by.push(GoneBy::NotJudged);
        }
    }

    /// Forgets events that no serial line can have preceded any more.
    fn forget(&mut self, now: Duration) {
        while let Some((at, _)) = self.recent.front()
            && *at + OVERTAKING < now
        {
            self.recent.pop_front();
        }
    }

    fn alarm_context(&self) -> AlarmContext {
        let reached = |g: &GoneBy| matches!(g, GoneBy::Reached { .. });
        let last = self.gone_by.iter().rposition(reached);
        let stage = last.and_then(|index| self.plan.stages.get(index));
        AlarmContext {
            stage: stage.map(|s| s.name.clone()),
            in_container: false,
        }
    }

    /// Remembers an alarm for the timeline, each name once.
    fn hear(&mut self, raised: &Raised) {
        let name = raised.alarm.name.clone();
        if self.heard.insert(name.clone()) {
            let line = raised.line.clone();
            self.alarms.push(Event::Alarm { name, line });
        }
    }

    /// The alarms that have been raised since the last time.
    pub(super) fn take_alarms(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.alarms)
    }

    fn take_alarm(&mut self, raised: Raised) {
        let harmless = |p: &crate::input::Pattern| p.regex().is_match(&raised.line);
        if self.plan.harmless.iter().any(harmless) || self.decision.is_some() {
            return;
        }
        self.hear(&raised);
        if self.plan.expected_alarms.contains(&raised.alarm.name) {
            return;
        }
        let class = match raised.alarm.kind {
            AlarmKind::Harmless => return,
            // After the last stage the scenario's proofs decide; the line may be one of them.
            AlarmKind::Fatal(class) if self.awaited().is_some() || self.is_of_chain() => class,
            AlarmKind::Fatal(_) | AlarmKind::Note(_) => {
                self.reason = Some(raised);
                return;
            }
        };
        let starved = raised.alarm.starved && self.is_starved(raised.at);
        let why = format!("{} on the console: {}", raised.alarm.name, raised.line);
        let class = match class {
            _ if starved => Class::Host,
            // A log knows nothing of network and servers.
            Class::Board if !self.is_log() => self.traces.class(),
            class => class,
        };
        let at = raised.at;
        self.reason = Some(raised);
        self.fail(at, class, &why);
    }
}

/// What may be evidence and does not come from a UART.
fn is_evidence(event: &Event) -> bool {
    matches!(
        event,
        Event::Firmware { .. }
            | Event::Lease { .. }
            | Event::Tls(_)
            | Event::Request(_)
            | Event::Answer(_)
            | Event::Power { .. }
    )
}

/// How far the boot has come, for the alarms.
struct AlarmContext {
    stage: Option<String>,
    in_container: bool,
}

impl AlarmContext {
    fn as_progress(&self) -> alarm::Progress<'_> {
        alarm::Progress {
            stage: self.stage.as_deref(),
            in_container: self.in_container,
        }
    }
}
