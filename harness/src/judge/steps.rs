//! The steps of a scenario: which one is under way, what it waits for, and whether it came. A pure function of the records, as the boots are.
//!
//! A step waits for its trigger, then for the record of what it does, which a live run brings about ([`Due`]), then for
//! what must come of it.

use std::time::Duration;

use super::boot::BootProgress;
use super::evidence::proves;
use super::identity::Identities;
use super::progress::Deadline;
use crate::input::{DeploymentName, Pattern};
use crate::scenario::{Await, Bracketed, PowerStep, Step, TriggerWatch, bracketed};
use crate::timeline::{BoardId, Bound, Event, LinkState, Power, Record};

/// What a live run must do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The step's number, counted from 0.
    pub number: usize,
    /// The board; `None` where a run has one.
    pub board: Option<BoardId>,
    /// What the boot server hands out from then on, which is switched first.
    pub deploy: Option<DeploymentName>,
    /// What is done with its power.
    pub power: Option<PowerStep>,
    /// How long its power is away in a brown cycle.
    pub off: Duration,
    /// How it is connected to its network from then on.
    pub link: Option<LinkState>,
    /// What is typed.
    pub keys: Option<Keys>,
}

/// What is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The text, without Enter.
    pub text: String,
    /// Enter is pressed behind it.
    pub enter: bool,
    /// The board must repeat it.
    pub echo: bool,
    /// The UART's index.
    pub uart: u8,
}

/// The steps so far.
#[derive(Debug, Clone)]
pub(super) struct StepsProgress {
    steps: Vec<Planned>,
    /// The step that is under way.
    current: usize,
    phase: Phase,
    /// What must not be said, with the step that says so.
    never: Vec<(usize, Pattern)>,
    /// The UART that spoke last, of each board.
    speaking: Vec<(Option<BoardId>, u8)>,
    /// What was typed last, whose echo is no answer.
    typed: Option<String>,
    /// The board that has reset itself as a step expected.
    reset: Option<Option<BoardId>>,
    identities: Identities,
}

#[derive(Debug, Clone)]
struct Planned {
    step: Step,
    trigger: Option<TriggerWatch>,
    /// The command that the step types, if it is one.
    command: Option<Bracketed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For its trigger, or for the end of the boot before.
    Waiting,
    /// For what it does to be done: what the boot server hands out is switched first.
    Acting { is_deployed: bool },
    /// For what must come of it, since then.
    Awaiting { since: Duration },
}

impl StepsProgress {
    pub(super) fn new(steps: &[Step]) -> Self {
        let planned = |(number, step): (usize, &Step)| {
            let command = match (&step.wait, &step.send) {
                (Some(Await::Status(_)), Some(send)) => Some(bracketed(&send.text, number)),
                _ => None,
            };
            Planned {
                trigger: step.after.clone().map(TriggerWatch::new),
                step: step.clone(),
                command,
            }
        };
        let mut this = Self {
            steps: steps.iter().enumerate().map(planned).collect(),
            current: 0,
            phase: Phase::Waiting,
            never: Vec::new(),
            speaking: Vec::new(),
            typed: None,
            reset: None,
            identities: Identities::default(),
        };
        // The first step waits for nothing: what it does may be the first record of all.
        if this.current().is_some_and(|first| first.trigger.is_none()) {
            this.begin(Duration::ZERO);
        }
        this
    }

    /// The step has waited long enough.
    fn begin(&mut self, at: Duration) {
        let Some(Planned { step, .. }) = self.steps.get(self.current) else {
            return;
        };
        let never = step.never.iter().map(|p| (self.current, p.clone()));
        self.never.extend(never);
        let is_deployed = step.deploy.is_none();
        self.phase = match !is_deployed || step.acts_on_board() {
            true => Phase::Acting { is_deployed },
            false => Phase::Awaiting { since: at },
        };
    }

    /// Every step has been done.
    pub(super) fn are_done(&self) -> bool {
        self.current >= self.steps.len()
    }

    /// The number of the step that is under way, counted from 1.
    pub(super) fn under_way(&self) -> Option<usize> {
        (!self.are_done()).then_some(self.current + 1)
    }

    fn current(&self) -> Option<&Planned> {
        self.steps.get(self.current)
    }

    /// What must be done now, once.
    pub(super) fn due(&self) -> Option<Due> {
        let Planned { step, command, .. } = self.current()?;
        if !matches!(self.phase, Phase::Acting { .. }) {
            return None;
        }
        let keys = step.send.as_ref().map(|send| Keys {
            text: command.as_ref().map_or(&send.text, |c| &c.text).clone(),
            enter: send.enter,
            echo: send.echo,
            uart: send
                .uart
                .unwrap_or_else(|| self.speaking(step.board.as_ref())),
        });
        Some(Due {
            number: self.current,
            board: step.board.clone(),
            deploy: step.deploy.clone(),
            power: step.power,
            off: step.off,
            link: step.link,
            keys,
        })
    }

    fn speaking(&self, board: Option<&BoardId>) -> u8 {
        let of_board = |(b, _): &&(Option<BoardId>, u8)| b.as_ref() == board;
        self.speaking.iter().find(of_board).map_or(0, |s| s.1)
    }

    /// What a UART must say next, with the board, for the live run's wait.
    pub(super) fn awaited(&self) -> Option<(Option<&BoardId>, regex::Regex)> {
        let planned = self.current()?;
        if !matches!(self.phase, Phase::Awaiting { .. }) {
            return None;
        }
        let pattern = match (&planned.step.wait, &planned.command) {
            (Some(Await::Prompt(pattern) | Await::Expect(pattern)), _) => pattern.regex().clone(),
            (Some(Await::Status(_)), Some(command)) => {
                regex::Regex::new(&regex::escape(&command.ends)).ok()?
            }
            _ => return None,
        };
        Some((planned.step.board.as_ref(), pattern))
    }

    /// The boot in which somebody types at the board now: its prompts are expected, and its stages wait.
    pub(super) fn conversation(&self) -> Option<(Option<&BoardId>, u32)> {
        let step = &self.current()?.step;
        let is_over = matches!(self.phase, Phase::Awaiting { .. }) && !step.awaits_answer();
        let talks = !is_over && (step.send.is_some() || step.awaits_answer());
        talks.then_some((step.board.as_ref(), step.boot))
    }

    /// The board of the step that is under way; the inner one is `None` where a run has one.
    pub(super) fn board(&self) -> Option<Option<&BoardId>> {
        Some(self.current()?.step.board.as_ref())
    }

    /// How long the step that is under way may wait for something of this board.
    pub(super) fn deadline(&self, board: Option<&BoardId>, scale: f64) -> Option<Deadline> {
        let planned = self.current()?;
        let Phase::Awaiting { since } = self.phase else {
            return None;
        };
        if planned.step.board.as_ref() != board {
            return None;
        }
        let bound = planned.step.bound()?.mul_f64(scale);
        Some(Deadline::after(Bound::Step(self.current + 1), since, bound))
    }

    /// When the step that is under way begins by the timeline's clock alone.
    pub(super) fn elapses(&self) -> Option<Duration> {
        let planned = self.current()?;
        (self.phase == Phase::Waiting)
            .then(|| planned.trigger.as_ref()?.due())
            .flatten()
    }

    /// The board that has reset itself as a step expected, once.
    pub(super) fn take_reset(&mut self) -> Option<Option<BoardId>> {
        self.reset.take()
    }

    /// Takes a record, which its boot has taken before.
    pub(super) fn take(&mut self, record: &Record, boots: &mut [BootProgress]) {
        for planned in &mut self.steps {
            let Planned { step, trigger, .. } = planned;
            if let Some(trigger) = trigger
                && record.board == step.board
                && record.boot == step.begins_in
            {
                trigger.take(record);
            }
        }
        if let Event::Serial { uart, .. } | Event::Prompt { uart, .. } = record.event {
            let of_board = |(board, _): &&mut (Option<BoardId>, u8)| *board == record.board;
            match self.speaking.iter_mut().find(of_board) {
                Some(speaking) => speaking.1 = uart,
                None => self.speaking.push((record.board.clone(), uart)),
            }
        }
        self.identities.take(record);
        self.look_for_never(record, boots);
        self.fail_of(record, boots);
        // A record serves one step; what is already so may serve several.
        let mut fresh = true;
        while self.go_on(record, fresh, boots) {
            fresh = false;
        }
    }

    /// What must not be said fails its boot.
    fn look_for_never(&mut self, record: &Record, boots: &mut [BootProgress]) {
        let (Event::Serial { line: text, .. } | Event::Prompt { text, .. }) = &record.event else {
            return;
        };
        for (number, pattern) in &self.never {
            let Some(step) = self.steps.get(*number).map(|planned| &planned.step) else {
                continue;
            };
            let is_its = record.board == step.board && record.boot == step.boot;
            if is_its
                && pattern.regex().is_match(text)
                && let Some(boot) = find(boots, step.board.as_ref(), step.boot)
            {
                boot.fail_step(
                    record.at,
                    &format!(
                        "a UART says what must never appear since step {}: {text}",
                        number + 1
                    ),
                );
            }
        }
    }

    /// What was awaited for too long, or was typed and not repeated, fails its boot.
    fn fail_of(&self, record: &Record, boots: &mut [BootProgress]) {
        let Some(Planned { step, .. }) = self.current() else {
            return;
        };
        let why = match &record.event {
            Event::Budget {
                of: Bound::Step(number),
                seconds,
                ..
            } if *number == self.current + 1 => {
                let what = step
                    .wait
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                format!(
                    "step {number} has waited for {seconds:.0} s, and it did not come that {what}"
                )
            }
            Event::NotRepeated { text, .. } if record.board == step.board => format!(
                "step {} typed {text:?}, and the board did not repeat it",
                self.current + 1
            ),
            _ => return,
        };
        if let Some(boot) = find(boots, step.board.as_ref(), step.boot) {
            boot.fail_step(record.at, &why);
        }
    }

    /// Brings the step that is under way further; `true` if it came further. `fresh`: the record has not served a step yet.
    fn go_on(&mut self, record: &Record, fresh: bool, boots: &mut [BootProgress]) -> bool {
        let Some(planned) = self.steps.get(self.current) else {
            return false;
        };
        let step = &planned.step;
        match self.phase {
            Phase::Waiting => {
                let is_ready = match &planned.trigger {
                    Some(trigger) => trigger.has_fired(),
                    None => {
                        !step.power.is_some_and(PowerStep::ends_boot) || {
                            let before = find(boots, step.board.as_ref(), step.begins_in);
                            before.is_none_or(|boot| boot.decision().is_some())
                        }
                    }
                };
                if !is_ready {
                    return false;
                }
                if step.power.is_some_and(PowerStep::ends_boot)
                    && let Some(boot) = find(boots, step.board.as_ref(), step.begins_in)
                {
                    boot.interrupt();
                }
                self.begin(record.at);
            }
            Phase::Acting { is_deployed } => {
                if !fresh {
                    return false;
                }
                if !is_deployed {
                    let is_deployed = deploys(step, record);
                    self.phase = match is_deployed && !step.acts_on_board() {
                        true => Phase::Awaiting { since: record.at },
                        false => Phase::Acting { is_deployed },
                    };
                    return is_deployed;
                }
                if !is_done(planned, record) {
                    return false;
                }
                if let Some(send) = &step.send {
                    let typed = planned.command.as_ref().map_or(&send.text, |c| &c.text);
                    self.typed = Some(typed.clone());
                }
                self.phase = Phase::Awaiting { since: record.at };
            }
            Phase::Awaiting { .. } => {
                let typed = self.typed.as_deref();
                let came = match (&step.wait, find(boots, step.board.as_ref(), step.boot)) {
                    (None, _) => Ok(true),
                    (Some(_), None) => Ok(false),
                    (Some(wait), Some(boot)) => comes(wait, planned, record, fresh, typed, boot),
                };
                // Only what has come says anything of the board.
                let came = match came {
                    Ok(true) => self.identities.agree(step, record).map(|()| true),
                    other => other,
                };
                match came {
                    Ok(true) => {}
                    Ok(false) => return false,
                    Err(why) => {
                        let why = format!("step {}: {why}", self.current + 1);
                        if let Some(boot) = find(boots, step.board.as_ref(), step.boot) {
                            boot.fail_step(record.at, &why);
                        }
                        return false;
                    }
                }
                let (board, boot) = (step.board.clone(), step.boot);
                if step.awaits_power(Power::GuestReset) {
                    self.reset = Some(board.clone());
                }
                self.current += 1;
                self.phase = Phase::Waiting;
                self.release(board.as_ref(), boot, boots);
            }
        }
        true
    }

    /// A boot whose steps have all been done, and that nothing else has to end, has done what it should.
    fn release(&self, board: Option<&BoardId>, boot: u32, boots: &mut [BootProgress]) {
        let rest = self.steps.get(self.current..).unwrap_or_default();
        let is_its = |step: &Step| step.board.as_ref() == board;
        let is_done = |p: &Planned| !is_its(&p.step) || p.step.boot != boot;
        let ends = rest.iter().map(|p| &p.step).find(|step| {
            is_its(step) && step.begins_in == boot && step.power.is_some_and(PowerStep::ends_boot)
        });
        if rest.iter().all(is_done)
            && ends.is_none_or(|step| step.after.is_none())
            && let Some(boot) = find(boots, board, boot)
        {
            boot.interrupt();
        }
    }
}

/// The record shows that the boot server hands out what the step deploys.
fn deploys(step: &Step, record: &Record) -> bool {
    let Event::Deployed { name } = &record.event else {
        return false;
    };
    record.board == step.board && step.deploy.as_ref().is_some_and(|wanted| *wanted == *name)
}

/// The record shows that the step has done what it does.
fn is_done(planned: &Planned, record: &Record) -> bool {
    let Planned { step, command, .. } = planned;
    if record.board != step.board {
        return false;
    }
    match (step.power, &record.event) {
        (Some(PowerStep::On | PowerStep::Cycle), Event::Power { action: Power::On })
        | (
            Some(PowerStep::Reset | PowerStep::Brown),
            Event::Power {
                action: Power::Reset,
            },
        ) => record.boot == step.boot,
        (Some(PowerStep::Off | PowerStep::Cut), Event::Power { action: Power::Off }) => true,
        (None, Event::Link { state }) => step.link == Some(*state),
        (None, Event::Typed { text, .. }) => {
            let wanted = step.send.as_ref().map(|send| &send.text);
            let wanted = command.as_ref().map(|c| &c.text).or(wanted);
            wanted
                .is_some_and(|wanted| text.trim_end_matches('\r') == wanted.trim_end_matches('\r'))
        }
        _ => false,
    }
}

/// What the step waits for has come, with this record or before; an error says what came instead.
fn comes(
    wait: &Await,
    planned: &Planned,
    record: &Record,
    fresh: bool,
    typed: Option<&str>,
    boot: &BootProgress,
) -> Result<bool, String> {
    let Planned { step, command, .. } = planned;
    let is_its = fresh && record.board == step.board && record.boot == step.boot;
    let text = match &record.event {
        Event::Serial { line: text, .. } | Event::Prompt { text, .. } if is_its => Some(text),
        _ => None,
    };
    Ok(match wait {
        Await::Stage(name) => boot.has_reached(name),
        Await::Alarm(name) => boot.has_heard(name),
        Await::Evidence(evidence) => {
            is_its && proves(evidence, &record.event, boot.context_of(&record.event))
        }
        Await::Prompt(pattern) => text.is_some_and(|text| pattern.regex().is_match(text)),
        Await::Expect(pattern) => text.is_some_and(|text| {
            let is_echo =
                typed.is_some_and(|t| !t.trim().is_empty() && text.contains(t.trim_end()));
            !is_echo && pattern.regex().is_match(text)
        }),
        Await::Status(wanted) => {
            let status = text.zip(command.as_ref()).and_then(|(t, c)| c.status(t));
            match status {
                Some(status) if status != *wanted => {
                    let command = step.send.as_ref().map_or("", |send| &send.text);
                    return Err(format!(
                        "the command {command:?} ended with status {status} instead of {wanted}"
                    ));
                }
                status => status.is_some(),
            }
        }
    })
}

fn find<'b>(
    boots: &'b mut [BootProgress],
    board: Option<&BoardId>,
    boot: u32,
) -> Option<&'b mut BootProgress> {
    boots.iter_mut().find(|b| b.is(board, boot))
}
