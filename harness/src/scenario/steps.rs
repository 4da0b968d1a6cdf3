//! Reading `[[step]]` tables, and checking that they make a story: a board is switched on before it is typed at, and off before it is
//! switched on again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::awaited::{Await, AwaitTable};
use super::boot_end::{BootEnd, end_of};
use super::named::NamedBoard;
use super::step::{BROWN, LEAST_OFF, PowerStep, Step};
use super::trigger::TriggerTable;
use super::typing::Typing;
use crate::board::{Board, Stage};
use crate::input::{DeploymentName, Document, InputError, Pattern, Span, duration};
use crate::timeline::{BoardId, LinkState, Power};

/// The most steps of a scenario, those that `times` makes included.
const MOST: usize = 1000;

/// A step: it waits for `after`, then switches or types, then waits for what must come of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepTable {
    /// The board, by its name in `[board.NAME]`; only where there are several.
    #[schemars(with = "Option<BoardId>")]
    board: Option<Span<BoardId>>,
    /// What is waited for before anything is done, in the boot that is under way.
    #[schemars(with = "Option<TriggerTable>")]
    after: Option<Span<TriggerTable>>,
    /// What the boot server hands out from then on, by its name in `[deployment.NAME]`, or `default`: what `[boot]` says. It is switched before
    /// the power is.
    #[schemars(with = "Option<DeploymentName>")]
    pub(super) deploy: Option<Span<DeploymentName>>,
    /// What is done with the board's power. Without `after` the boot that is under way first comes to its end: to the stage that its last
    /// step awaits, or through the whole chain.
    #[schemars(with = "Option<PowerStep>")]
    power: Option<Span<PowerStep>>,
    /// How long the power is away in a brown cycle, less than the 5 s for which the power distribution unit leaves a board off; 10 ms by default.
    #[schemars(with = "Option<duration::Text>")]
    off: Option<Span<OffTime>>,
    /// How the board is connected to its network from then on, over power cycles too: the cable is out (`down`) or in (`up`), the USB adapter is out
    /// of the board's port (`unplugged`) or in it (`plugged`).
    #[schemars(with = "Option<LinkState>")]
    link: Option<Span<LinkState>>,
    /// What is typed.
    #[schemars(with = "Option<Typing>")]
    send: Option<Span<Typing>>,
    /// What is waited for. The last boot goes through the whole chain besides, or as far as `[expect]` says.
    #[schemars(with = "Option<AwaitTable>")]
    r#await: Option<Span<AwaitTable>>,
    /// What a UART must say, as a line or as a prompt. The echo of what has been typed does not count.
    #[schemars(with = "Option<Pattern>")]
    expect: Option<Span<Pattern>>,
    /// The status with which the command must end that `send` types at a shell.
    #[schemars(with = "Option<i32>")]
    status: Option<Span<i32>>,
    /// The longest wait for `await`, `expect` or `status`, on the reference host; 60 s by default, for a stage its own budget.
    #[serde(default, deserialize_with = "StepTable::optional")]
    #[schemars(with = "Option<duration::Text>")]
    within: Option<Duration>,
    /// What no UART may say from the beginning of the step to the end of its boot.
    never: Option<Pattern>,
    /// How often the step is done, one time after the other; once by default.
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    times: Option<Span<u32>>,
}

/// How long the power is away.
#[derive(Debug, Clone, Copy, Deserialize)]
struct OffTime(#[serde(deserialize_with = "duration::deserialize")] Duration);

impl StepTable {
    fn optional<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(deserializer).map(Some)
    }
}

/// A board of a scenario: its name, if there are several, and what it may be.
pub(super) struct Candidates<'a> {
    pub(super) id: Option<BoardId>,
    pub(super) boards: Vec<&'a Board>,
    pub(super) stages: Vec<Vec<Stage>>,
    /// The board that it is behind, if it is not on the LAN.
    pub(super) behind: Option<BoardId>,
    /// The board whose card it boots from, if it has none of its own.
    pub(super) card: Option<BoardId>,
}

impl Candidates<'_> {
    /// The board whose card it boots from, itself by default.
    fn card_owner(&self) -> Option<&BoardId> {
        self.card.as_ref().or(self.id.as_ref())
    }
}

/// How a board stands before a step.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    is_on: bool,
    /// It has been switched on, so many times.
    boots: u32,
    /// The number of the step that did, for people.
    since: usize,
}

impl Standing {
    fn boot(self) -> u32 {
        self.boots.saturating_sub(1)
    }
}

/// Reads the steps of a scenario. Without tables each board is switched on once.
pub(super) fn read(
    tables: Vec<Span<StepTable>>,
    boards: &[Candidates<'_>],
    document: &Document,
) -> Result<Vec<Step>, InputError> {
    if tables.is_empty() {
        if let Some(board) = boards.iter().find(|board| board.card.is_some()) {
            let (id, owner) = (name_of(board.id.as_ref()), name_of(board.card_owner()));
            let message = format!(
                "boards {owner} and {id} have one card, and without steps all are switched on at once: switch them on in turn by [[step]]"
            );
            return Err(document.error_at(0..0, &message));
        }
        let on = |board: &Candidates<'_>| Step::switch_on(board.id.clone());
        return Ok(boards.iter().map(on).collect());
    }
    let mut steps = Vec::new();
    let mut standing: BTreeMap<Option<BoardId>, Standing> = BTreeMap::new();
    let mut last = 0..0;
    for (number, table) in (1..).zip(tables) {
        let place = table.span();
        let times = table.get_ref().times.clone();
        let (once, power_at) = read_one(table, boards, document)?;
        let count = match &times {
            None => 1,
            Some(times) if (1..=1000).contains(times.get_ref()) => *times.get_ref() as usize,
            Some(times) => {
                let message = "a step is done 1 to 1000 times";
                return Err(document.error_at(times.span(), message));
            }
        };
        if steps.len() + count > MOST {
            let message = format!("a scenario has at most {MOST} steps: leave some out");
            return Err(document.error_at(place, &message));
        }
        for _ in 0..count {
            let is_dark = standing.values().all(|stands| !stands.is_on);
            if is_dark && once.power.is_none() && once.awaits_power(Power::On) {
                let message = "no board is on whose software could switch this one on: let a step before switch one on";
                return Err(document.error_at(place, message));
            }
            if let Some(message) = card_is_away(&once, boards, &standing) {
                return Err(document.error_at(power_at.clone().unwrap_or(place), &message));
            }
            let stands = standing.entry(once.board.clone()).or_default();
            let step = follow(once.clone(), stands, number).map_err(|message| {
                document.error_at(power_at.clone().unwrap_or(place.clone()), &message)
            })?;
            steps.push(step);
        }
        last = place;
    }
    // One that is behind another may stay off: it is there for that one's network card.
    let is_unused =
        |board: &&Candidates<'_>| board.behind.is_none() && !standing.contains_key(&board.id);
    if let Some(unused) = boards.iter().find(is_unused) {
        let name = unused.id.as_ref().map(ToString::to_string);
        let message = format!(
            "no step is of board {}: switch it on, or leave it out",
            name.unwrap_or_default()
        );
        return Err(document.error_at(last, &message));
    }
    let is_on_lan = |step: &Step| {
        let its = boards.iter().find(|board| board.id == step.board);
        its.is_none_or(|board| board.behind.is_none())
    };
    let is_whole = |step: &Step| {
        is_on_lan(step) && end_of(&steps, step.board.as_ref(), step.boot) == BootEnd::Whole
    };
    if !steps.iter().any(is_whole) {
        let message = "steps end each boot before its chain is through, so nothing proves that the container has run: let the last boot end by itself";
        return Err(document.error_at(last, message));
    }
    Ok(steps)
}

fn name_of(board: Option<&BoardId>) -> String {
    board.map(ToString::to_string).unwrap_or_default()
}

/// Why the board of a step cannot be switched on: another one that is on has the card.
fn card_is_away(
    step: &Step,
    boards: &[Candidates<'_>],
    standing: &BTreeMap<Option<BoardId>, Standing>,
) -> Option<String> {
    if step.power != Some(PowerStep::On) {
        return None;
    }
    let its = boards.iter().find(|board| board.id == step.board)?;
    let has_it = |board: &&Candidates<'_>| {
        let is_on = standing.get(&board.id).is_some_and(|stands| stands.is_on);
        is_on && board.id != its.id && board.card_owner() == its.card_owner()
    };
    let holder = boards.iter().find(has_it)?;
    let since = standing.get(&holder.id)?.since;
    Some(format!(
        "board {} has the card and is on since step {since}: switch it off first",
        name_of(holder.id.as_ref())
    ))
}

/// Numbers the boots of a step, and looks whether the board can do what it says.
fn follow(step: Step, stands: &mut Standing, number: usize) -> Result<Step, String> {
    let begins_in = stands.boot();
    match step.power {
        Some(PowerStep::On) if stands.is_on => {
            return Err(format!(
                "the board is on since step {}: say power = \"cycle\"",
                stands.since
            ));
        }
        Some(power) if power != PowerStep::On && !stands.is_on => {
            return Err(if stands.boots == 0 {
                "the board is off before the first step: say power = \"on\"".into()
            } else {
                format!(
                    "the board is off since step {}: say power = \"on\"",
                    stands.since
                )
            });
        }
        None if !stands.is_on && !step.awaits_power(Power::On) => {
            return Err("the board is off: let a step before say power = \"on\"".into());
        }
        // The board is off, and the step switches it on.
        _ if !stands.is_on && step.after.is_some() => {
            return Err("a board that is off does nothing to wait for: leave `after` out".into());
        }
        _ => {}
    }
    // Without `power` software on the LAN switches on what is off.
    let by_software = (!stands.is_on).then_some(PowerStep::On);
    if let Some(power) = step.power.or(by_software) {
        stands.is_on = power.begins_boot();
        stands.boots += u32::from(power.begins_boot());
        stands.since = number;
    }
    let boot = stands.boot();
    if step.awaits_next_boot() {
        stands.boots += 1;
    }
    Ok(Step {
        begins_in,
        boot,
        ..step
    })
}

/// A step as its table says it, and where it switches.
fn read_one(
    table: Span<StepTable>,
    boards: &[Candidates<'_>],
    document: &Document,
) -> Result<(Step, Option<Range<usize>>), InputError> {
    let place = table.span();
    let StepTable {
        board,
        after,
        deploy,
        power,
        off,
        link,
        send,
        r#await,
        expect,
        status,
        within,
        never,
        times: _,
    } = table.into_inner();
    let wrong = |span: Range<usize>, message: &str| Err(document.error_at(span, message));
    let candidates = candidates_of(board.as_ref(), boards, &place, document)?;
    let acts = [
        power.as_ref().map(Span::span),
        link.as_ref().map(Span::span),
        send.as_ref().map(Span::span),
    ];
    at_most_one(
        acts,
        "a step does one thing with the board: switch its power, its link, or type. Make two of it",
        document,
    )?;
    if let Some(off) = &off {
        check_off(off, power.as_ref().map(|power| *power.get_ref()), document)?;
    }
    if let Some(link) = &link {
        check_link(link, candidates, document)?;
    }
    let waits = [
        r#await.as_ref().map(Span::span),
        expect.as_ref().map(Span::span),
        status.as_ref().map(Span::span),
    ];
    at_most_one(
        waits,
        "a step waits for one thing: say one of await, expect and status",
        document,
    )?;
    if let Some(status) = &status
        && !send.as_ref().is_some_and(|send| send.get_ref().enter)
    {
        return wrong(
            status.span(),
            "say in send which command must end with this status",
        );
    }
    let wait = one_wait(r#await, expect, status, candidates, document)?;
    if within.is_some() && wait.is_none() {
        return wrong(
            place,
            "within bounds a wait: say await, expect or status, or leave it out",
        );
    }
    let after = after.map(|after| TriggerTable::check(after, &candidates.stages, document));
    let power_at = power.as_ref().map(Span::span);
    let deploy_at = deploy.as_ref().map(Span::span);
    let step = Step {
        board: board.map(Span::into_inner),
        begins_in: 0,
        boot: 0,
        after: after.transpose()?,
        deploy: deploy.map(Span::into_inner),
        power: power.map(Span::into_inner),
        off: off.map_or(BROWN, |off| off.get_ref().0),
        link: link.map(Span::into_inner),
        send: send.map(Span::into_inner),
        wait,
        within,
        never: never.into_iter().collect(),
    };
    if !step.acts_on_board()
        && step.deploy.is_none()
        && step.wait.is_none()
        && step.never.is_empty()
    {
        return wrong(
            place,
            "this step does nothing: say power, link, deploy, send, await, expect or never",
        );
    }
    if let Some(behind) = &candidates.behind
        && let Some(message) = step.needs_lan(behind)
    {
        return wrong(deploy_at.unwrap_or(place), &message);
    }
    Ok((step, power_at))
}

/// What may be said of the board of a step; only where there are several it has a name.
fn candidates_of<'c, 'b>(
    board: Option<&Span<BoardId>>,
    boards: &'c [Candidates<'b>],
    place: &Range<usize>,
    document: &Document,
) -> Result<&'c Candidates<'b>, InputError> {
    let id = board.map(Span::get_ref);
    if let Some(candidates) = boards.iter().find(|c| c.id.as_ref() == id) {
        return Ok(candidates);
    }
    let Some(board) = board else {
        let message = "say which board this step is of: board = \"…\"";
        return Err(document.error_at(place.clone(), message));
    };
    let ids = boards.iter().filter_map(|b| b.id.as_ref());
    let message = NamedBoard::unknown(board.get_ref(), ids);
    Err(document.error_at(board.span(), &message))
}

/// Of these at most one is said.
fn at_most_one(
    said: [Option<Range<usize>>; 3],
    message: &str,
    document: &Document,
) -> Result<(), InputError> {
    match said.into_iter().flatten().nth(1) {
        Some(second) => Err(document.error_at(second, message)),
        None => Ok(()),
    }
}

/// What a step waits for, if it waits for anything. At most one of them is said.
fn one_wait(
    r#await: Option<Span<AwaitTable>>,
    expect: Option<Span<Pattern>>,
    status: Option<Span<i32>>,
    candidates: &Candidates<'_>,
    document: &Document,
) -> Result<Option<Await>, InputError> {
    if let Some(table) = r#await {
        let span = table.span();
        let checked = table
            .into_inner()
            .check(&candidates.boards, &candidates.stages);
        let checked = checked.map_err(|message| document.error_at(span, &message))?;
        return Ok(Some(checked));
    }
    let expect = expect.map(|pattern| Await::Expect(pattern.into_inner()));
    Ok(expect.or_else(|| status.map(|status| Await::Status(status.into_inner()))))
}

/// Only a brown cycle says how long, and it is shorter than any that the power distribution unit makes.
fn check_off(
    off: &Span<OffTime>,
    power: Option<PowerStep>,
    document: &Document,
) -> Result<(), InputError> {
    let message = match (power, off.get_ref().0) {
        (Some(PowerStep::Brown), Duration::ZERO) => "the power is away for no time: say \"10ms\"",
        (Some(PowerStep::Brown), time) if time < LEAST_OFF => return Ok(()),
        (Some(PowerStep::Brown), _) => {
            "the power distribution unit can do this, it leaves a board off for 5 s: say power = \"cycle\""
        }
        _ => {
            "only a brown cycle says how long the power is away: say power = \"brown\", or leave `off` out"
        }
    };
    Err(document.error_at(off.span(), message))
}

/// An adapter that is soldered to the board stays there.
fn check_link(
    link: &Span<LinkState>,
    candidates: &Candidates<'_>,
    document: &Document,
) -> Result<(), InputError> {
    let wants_usb = matches!(link.get_ref(), LinkState::Unplugged | LinkState::Plugged);
    let is_usb = |board: &&Board| board.nic.model.is_usb();
    match candidates.boards.iter().find(|board| !is_usb(board)) {
        Some(board) if wants_usb => {
            let message = format!(
                "the network interface of {} is no USB adapter, and stays in: say \"down\" or \"up\", or leave the board out",
                board.name
            );
            Err(document.error_at(link.span(), &message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::scenario::testing::{board, extended, extended_on};

    #[test]
    fn a_brown_cycle_says_how_long() {
        let read = |second: &str| {
            let more = format!(
                "[[step]]\npower = \"on\"\nawait = \"Linux\"\n[[step]]\n{second}\n[[step]]\npower = \"cycle\"\n"
            );
            extended("alpine-http", &more).map(|scenario| scenario.steps[1].off)
        };
        assert_eq!(read("power = \"brown\""), Ok(Duration::from_millis(10)));
        assert_eq!(
            read("power = \"brown\"\noff = \"2s\""),
            Ok(Duration::from_secs(2))
        );
        for (wrong, why) in [
            ("power = \"brown\"\noff = \"5s\"", "say power = \"cycle\""),
            ("power = \"brown\"\noff = \"0s\"", "for no time"),
            ("power = \"cycle\"\noff = \"1s\"", "say power = \"brown\""),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(
                error.starts_with("s.toml:7:7: ") && error.contains(why),
                "{error}"
            );
        }
    }

    #[test]
    fn an_interface_that_is_no_usb_adapter_stays_in() {
        let read = |name: &str, link: &str| {
            let more = format!(
                "boards = [\"{name}\"]\n[[step]]\npower = \"on\"\n[[step]]\nlink = \"{link}\"\n"
            );
            extended_on(&board(name), "alpine-http", &more).map(|scenario| scenario.steps.len())
        };
        assert_eq!(read("raspi3b", "unplugged"), Ok(2));
        assert_eq!(read("virt-uefi", "down"), Ok(2));
        insta::assert_snapshot!(read("virt-uefi", "unplugged").unwrap_err(), @r#"
        s.toml:6:8: the network interface of virt-uefi is no USB adapter, and stays in: say "down" or "up", or leave the board out
          | link = "unplugged"
          |        ^^^^^^^^^^^
        "#);
    }
}
