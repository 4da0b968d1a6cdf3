//! How a boot ends: well, by what the scenario expects, or by what is in its way.

use std::time::Duration;

use super::super::evidence::{is_of_container, is_serial, proves};
use super::super::plan::{EndPlan, PATIENCE, Source};
use super::super::progress::Deadline;
use super::super::verdict::Finding;
use super::{BootProgress, Decision, Stop};
use crate::board::{Evidence, Stage};
use crate::report::{Class, line};
use crate::timeline::{Bound, Event, Power, Record, ServiceId};

impl BootProgress {
    /// The last stage has been reached, if there is none to come.
    pub(super) fn finish_stages(&mut self, at: Duration) {
        if self.awaited().is_some() || self.decision.is_some() {
            return;
        }
        self.check_status(at);
        self.check_proofs(at);
    }

    /// Ends a boot whose pipeline has said its status.
    pub(super) fn check_status(&mut self, at: Duration) {
        let EndPlan::Chain { status: wanted } = self.plan.end else {
            return;
        };
        let is_said = self.plan.container.is_some();
        match (wanted, self.status) {
            (Some(wanted), Some(status)) if wanted != status => {
                let why = format!("the pipeline ended with status {status} instead of {wanted}");
                let class = self.traces.class();
                self.stop(at, class, &why);
            }
            _ if self.awaited().is_some() || self.is_log() => {}
            // The line may still be on its way.
            (Some(wanted), None) if is_said => {
                let at = self.stopped.as_ref().map_or(at, |stop| stop.at);
                let why =
                    format!("the console did not say that the pipeline ended with status {wanted}");
                let class = Class::Board;
                self.stopped = Some(Stop { at, class, why });
            }
            _ => self.decision = Some(Decision::Passed),
        }
    }

    /// Looks whether an event is a proof that the scenario expects.
    pub(super) fn take_proof(&mut self, at: Duration, event: &Event, in_container: bool) {
        let EndPlan::Expected { expect, .. } = &self.plan.end else {
            return;
        };
        let context = self.context(in_container);
        let proven: Vec<_> = expect
            .proofs
            .iter()
            .map(|proof| proves(proof, event, context).then(|| shown(proof, at, event)))
            .collect();
        for (proof, proven) in self.proofs.iter_mut().zip(proven) {
            if proof.is_none() && proven.is_some() {
                *proof = proven;
                self.proved = Some(at);
            }
        }
        if self.awaited().is_none() {
            self.check_proofs(at);
        }
    }

    /// Ends a boot that has come where it should, if every proof is there and there is nothing that it must hold out for.
    pub(super) fn check_proofs(&mut self, at: Duration) {
        let EndPlan::Expected { forbidden, .. } = &self.plan.end else {
            return;
        };
        // What else a log says may still be an alarm.
        if self.is_proof_missing() || self.is_log() {
            return;
        }
        // A board that is off tries no more.
        let must_hold = forbidden.is_some() && self.stopped.is_none();
        if !must_hold {
            self.stopped = None;
            self.decision = Some(Decision::Passed);
        } else if self.proved.is_none() {
            self.proved = Some(at);
        }
    }

    /// The event is what must not come after the last stage.
    pub(super) fn trespasses(&self, event: &Event, in_container: bool) -> bool {
        let EndPlan::Expected {
            forbidden: Some(stage),
            ..
        } = &self.plan.end
        else {
            return false;
        };
        self.awaited().is_none() && proves(&stage.evidence, event, self.context(in_container))
    }

    /// When what must not come after the last stage came, if it has overtaken the line that proves that stage.
    pub(super) fn trespassed(&self) -> Option<Duration> {
        let mut recent = self.recent.iter();
        let found = recent.find(|(_, event)| self.trespasses(event, false));
        found.map(|(at, _)| *at)
    }

    pub(super) fn fail_of_refusal(&mut self, at: Duration) {
        if let EndPlan::Expected {
            forbidden: Some(stage),
            ..
        } = &self.plan.end
        {
            let why = format!(
                "stage \"{}\" was reached, and the board should have been refused before it",
                stage.name
            );
            self.fail(at, Class::Board, &why);
        }
    }

    /// The board's power has changed, and no stage awaits that.
    pub(super) fn take_power(&mut self, at: Duration, action: Power) {
        if self.decision.is_some() {
            return;
        }
        let why = match action {
            Power::GuestReset => "the board has reset itself",
            Power::GuestShutdown => "the board has powered itself off",
            Power::On | Power::Off | Power::Reset | Power::Exited => return,
        };
        if self.plan.expected_power.contains(&action) {
            return;
        }
        match (&self.plan.end, self.awaited()) {
            // The chain is at its end, and its last output is awaited already.
            (EndPlan::Chain { .. } | EndPlan::Open, None) => {}
            // A refused board may try again.
            (EndPlan::Expected { .. }, None) if action == Power::GuestReset => {}
            (EndPlan::Expected { .. }, None) => {
                let why = self.missing(None);
                self.stop(at, Class::Board, &why);
                self.check_proofs(at);
            }
            (_, Some(_)) => {
                let class = self.class_of_reason();
                let more = match action {
                    Power::GuestShutdown => self.why_off(),
                    _ => "",
                };
                self.stop(at, class, &format!("{why}{more}"));
            }
        }
    }

    /// What is known of a board that has powered itself off before it should.
    fn why_off(&self) -> &'static str {
        let is_of_boot_server = |stage: &Stage| matches!(&stage.evidence, Evidence::Request(request) if request.service == ServiceId::Boot);
        let stages = &self.plan.stages;
        let booted = stages.iter().rposition(is_of_boot_server);
        if booted.is_none_or(|last| self.gone_by.len() <= last + 1) {
            return "";
        }
        let mut gone_by = stages.iter().take(self.gone_by.len());
        let has_container = gone_by.any(|stage| is_of_container(&stage.evidence))
            || self.said.iter().any(Option::is_some);
        match self.status {
            Some(0) if !has_container => {
                " after a success without a container: the pipeline says status 0, and nothing of the container has been seen; \
                 compare the kernel's arguments with what the initramfs understands"
            }
            None if self.plan.container.is_some() && !has_container => {
                " without a pipeline line: the initramfs gave up before its containers; its last output says why"
            }
            _ => "",
        }
    }

    /// The board sleeps in its boot loader and will not wake. A board that is refused and has shown why may do so.
    pub(super) fn take_sleep(&mut self, at: Duration) {
        let is_refused =
            self.awaited().is_none() && !matches!(self.plan.end, EndPlan::Chain { .. });
        if is_refused && !self.is_proof_missing() {
            return;
        }
        let why = "asleep at a prompt or a sleep: stock iPXE does not wake on this board, since U-Boot has no interrupt switched on; \
                   let the script wait by a command that waits for the network, for example `ping --count 6 ${dhcp-server}` (R-SCRIPT-2)";
        let why = self.with_reason(why);
        self.fail(at, self.traces.class_of_script(), &why);
    }

    pub(super) fn take_budget(&mut self, at: Duration, of: &Bound, seconds: f64) {
        match of {
            Bound::Stage(name) => {
                if self.awaited().is_some_and(|stage| stage.name == *name) {
                    let why = format!("its budget of {seconds:.0} s is used up");
                    self.fail_of_board(at, &why);
                }
            }
            Bound::Run => self.fail_of_board(at, "the run has used up its time as a whole"),
            Bound::Proofs if self.awaited().is_none() => {
                let why = self.missing(Some(seconds));
                self.fail_of_board(at, &why);
            }
            Bound::Refusal if self.awaited().is_none() && self.proved.is_some() => {
                self.decision = Some(Decision::Passed);
            }
            Bound::Reason if self.reason.is_some() => {
                self.fail_of_board(
                    at,
                    &format!("nothing has come of it since, for {seconds:.0} s"),
                );
            }
            Bound::LastOutput => self.end_of_last_output(),
            // The judgement of the steps takes it.
            Bound::Step(_) => {}
            Bound::Proofs | Bound::Refusal | Bound::Reason => {}
        }
    }

    /// The board has stopped: the run ends once its last output has come, unless they show that it had got further.
    pub(super) fn stop(&mut self, at: Duration, class: Class, why: &str) {
        if self.stopped.is_none() {
            let why = why.into();
            self.stopped = Some(Stop { at, class, why });
        }
    }

    /// A step ends the boot. That is how it should end, where its plan says so.
    pub(in crate::judge) fn interrupt(&mut self) {
        if self.decision.is_none() && matches!(self.plan.end, EndPlan::Open) {
            self.decision = Some(Decision::Passed);
        }
    }

    /// A step of this boot has not come to what it must.
    pub(in crate::judge) fn fail_step(&mut self, at: Duration, why: &str) {
        if matches!(self.decision, Some(Decision::Failed(_))) {
            return;
        }
        let cause = self.with_reason(why);
        self.decision = Some(Decision::Failed(Finding {
            class: Class::Board,
            cause,
            at,
            stage_reached: self.reached().pop().map(|stage| stage.name),
            awaited: None,
            waited: at.saturating_sub(self.last),
            advice: self.reason.as_ref().map(|reason| reason.alarm.advice()),
        }));
    }

    /// There are no more records, and nothing has decided.
    pub(super) fn end_of_record(&mut self, end: Duration) {
        if self.awaited().is_some() {
            self.fail_of_board(end, "the record ends before");
            return;
        }
        // Runs of version 1 ended with the last proof.
        let may_end_here = self.is_log() || matches!(self.source, Source::Run { version: ..2 });
        match &self.plan.end {
            EndPlan::Expected { .. } if self.is_proof_missing() => {
                let why = self.missing(None);
                self.fail_of_board(end, &why);
            }
            _ if may_end_here => self.decision = Some(Decision::Passed),
            _ => self.fail_of_board(end, "the record ends before the run does"),
        }
    }

    /// A proof is missing that the records could have.
    fn is_proof_missing(&self) -> bool {
        let EndPlan::Expected { expect, .. } = &self.plan.end else {
            return false;
        };
        let proofs = expect.proofs.iter().zip(&self.proofs);
        proofs
            .filter(|(proof, _)| self.source.knows(proof))
            .any(|(_, seen)| seen.is_none())
    }

    pub(super) fn end_of_last_output(&mut self) {
        if let Some(stop) = self.stopped.clone() {
            let why = self.with_reason(&stop.why);
            self.fail(stop.at, stop.class, &why);
        }
    }

    /// Fails for something of the board's own doing.
    pub(super) fn fail_of_board(&mut self, at: Duration, why: &str) {
        let class = match &self.reason {
            Some(reason) if reason.alarm.starved && self.is_starved(reason.at) => Class::Host,
            _ => self.class_of_reason(),
        };
        let why = self.with_reason(why);
        self.fail(at, class, &why);
    }

    /// The class of what the console has said to be wrong, or else of what network and servers have shown.
    fn class_of_reason(&self) -> Class {
        match self.reason.as_ref().and_then(|reason| reason.alarm.class()) {
            Some(Class::Board) if self.is_log() => Class::Board,
            Some(Class::Board) | None => self.traces.class(),
            Some(class) => class,
        }
    }

    /// What the console has said to be wrong, before why the run ends.
    fn with_reason(&self, why: &str) -> String {
        match &self.reason {
            Some(reason) => format!(
                "{} on the console: {}; {why}",
                reason.alarm.name, reason.line
            ),
            None => why.into(),
        }
    }

    pub(super) fn fail(&mut self, at: Duration, class: Class, why: &str) {
        if self.decision.is_some() {
            return;
        }
        let awaited = self.awaited();
        let has_run = self.said.iter().any(Option::is_some);
        let hint = match awaited {
            Some(stage) if has_run && !is_of_end(&stage.evidence) => {
                "; the container has run all the same: something keeps the evidence of this stage from the console"
            }
            _ => "",
        };
        // What is silent before the network comes from the card, though its software has gone on.
        let class = match class {
            Class::Board if has_run && self.is_before_network() => Class::Image,
            class => class,
        };
        let cause = match awaited {
            Some(stage) if class != Class::Host || !why.starts_with("stopped") => {
                let past = match class {
                    Class::Host | Class::Emulator => String::new(),
                    _ => self.past.hint(),
                };
                format!(
                    "stage \"{}\" was not reached: {why}{hint}{past}",
                    stage.name
                )
            }
            Some(stage) => format!("stage \"{}\" was not reached: {why}", stage.name),
            None => why.into(),
        };
        self.decision = Some(Decision::Failed(Finding {
            class,
            cause,
            at,
            stage_reached: self.reached().pop().map(|stage| stage.name),
            awaited: awaited.map(|stage| format!("{} ({})", stage.name, stage.evidence)),
            waited: at.saturating_sub(self.last),
            advice: self.reason.as_ref().map(|reason| reason.alarm.advice()),
        }));
    }

    /// Nothing of the stage that is awaited needs the network: it is software of the image.
    fn is_before_network(&self) -> bool {
        let is_network = |stage: &Stage| {
            !is_serial(&stage.evidence) && !matches!(stage.evidence, Evidence::Firmware)
        };
        let first = self.plan.stages.iter().position(is_network);
        first.is_some_and(|first| self.gone_by.len() < first)
    }

    /// What was expected and did not come, within a bound or before the board went off.
    fn missing(&self, within: Option<f64>) -> String {
        let EndPlan::Expected { expect, .. } = &self.plan.end else {
            return String::new();
        };
        let missing = expect.proofs.iter().zip(&self.proofs);
        let missing: Vec<_> = missing
            .filter(|(_, seen)| seen.is_none())
            .map(|(proof, _)| proof.to_string())
            .collect();
        let when = match within {
            Some(seconds) => format!("within {seconds:.0} s"),
            None => "before the board went off".into(),
        };
        format!(
            "the run stopped where it should, and {when} nothing showed that {}",
            missing.join(", nor that ")
        )
    }

    /// The bounds of now.
    pub(in crate::judge) fn deadlines(&self, scale: f64) -> Vec<Deadline> {
        /// A reason that is said late in a long wait still gets this long.
        const AT_LEAST: Duration = Duration::from_secs(5);
        let mut all = Vec::new();
        if let Some(stop) = &self.stopped {
            all.push(Deadline::after(
                Bound::LastOutput,
                stop.at,
                super::OVERTAKING,
            ));
        }
        if let Some(reason) = &self.reason {
            all.push(Deadline {
                of: Bound::Reason,
                since: self.progress,
                until: (self.progress + PATIENCE).max(reason.at + AT_LEAST),
            });
        }
        if let (EndPlan::Expected { expect, .. }, None) = (&self.plan.end, self.awaited()) {
            match self.proved {
                Some(proved) if self.proofs.iter().all(Option::is_some) => {
                    let since = proved.max(self.last);
                    all.push(Deadline::after(Bound::Refusal, since, expect.holds));
                }
                _ => {
                    let within = expect.within.mul_f64(scale);
                    all.push(Deadline::after(Bound::Proofs, self.last, within));
                }
            }
        }
        all
    }
}

/// Stages after which the container has nothing more to say.
fn is_of_end(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Power(_)) || is_of_container(evidence)
}

/// A proof as people read it. Not everything that proves something has a line of its own.
fn shown(proof: &Evidence, at: Duration, event: &Event) -> String {
    let record = Record::new(at, event.clone());
    line(&record).unwrap_or_else(|| format!("[{:8.2}] {proof}", at.as_secs_f64()))
}
