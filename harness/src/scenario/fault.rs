//! `[[fault]]`: what goes wrong on purpose, where, from when on and how often.

use schemars::JsonSchema;
use serde::Deserialize;

use super::NamedBoard;
use super::card_fault::{CardDamage, CardFault, CardFaultTable};
use super::journal::{BootsOfBoard, no_such_boot};
use super::steps::Candidates;
use super::trigger::{Trigger, TriggerTable};
use crate::board::{Board, Stage};
use crate::fault::{
    CableDefect, CardTrouble, Defect, DhcpDefect, DnsDefect, Fault, HttpDefect, NtpDefect,
    TcpDefect, TftpDefect,
};
use crate::input::{Document, InputError, Span};
use crate::timeline::BoardId;

/// A fault of a scenario.
#[derive(Debug, Clone)]
pub enum PlannedFault {
    /// A defect of the network, of a server or of the card, while boards run.
    Running {
        /// The defect, and how often it shows.
        fault: Fault,
        /// It shows from here on; from the start of the run if `None`.
        after: Option<Trigger>,
        /// It shows no more from here on.
        until: Option<Trigger>,
    },
    /// The card is damaged before the board is switched on.
    Card {
        /// What people call it.
        name: String,
        /// Only of this board, where there are several.
        board: Option<BoardId>,
        /// What is done to the card.
        damage: CardDamage,
    },
}

impl PlannedFault {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Running { fault, .. } => &fault.name,
            Self::Card { name, .. } => name,
        }
    }

    /// It shows to this board; `None` is the board of a run that has one.
    pub(crate) fn is_of(&self, board: Option<&BoardId>) -> bool {
        match self {
            Self::Running { fault, .. } => fault.is_of(board),
            Self::Card { board: of, .. } => of.is_none() || of.as_ref() == board,
        }
    }

    /// When it begins and ends, with the boot that it is of; in each boot if `None`.
    pub(crate) fn triggers(&self) -> impl Iterator<Item = (Option<u32>, &Trigger)> {
        let (boot, triggers) = match self {
            Self::Running {
                fault,
                after,
                until,
            } => (fault.boot, [after.as_ref(), until.as_ref()]),
            Self::Card { .. } => (None, [None; 2]),
        };
        triggers
            .into_iter()
            .flatten()
            .map(move |trigger| (boot, trigger))
    }

    /// It is of the card, before a run or during it.
    #[must_use]
    pub fn is_of_card(&self) -> bool {
        match self {
            Self::Running { fault, .. } => matches!(fault.defect, Defect::Card(_)),
            Self::Card { .. } => true,
        }
    }
}

/// A fault: one of `cable`, `dhcp`, `dns`, `ntp`, `tftp`, `tcp`, `http` and `card`, and when it shows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultTable {
    /// What people call it.
    #[schemars(with = "String")]
    name: Span<String>,
    /// What the board's cable does to frames.
    cable: Option<CableDefect>,
    /// What is wrong with the DHCP server's answers.
    dhcp: Option<DhcpDefect>,
    /// What is wrong with the DNS server's answers over UDP.
    dns: Option<DnsDefect>,
    /// What is wrong with the clock of the NTP servers.
    ntp: Option<NtpDefect>,
    /// What is wrong with the TFTP server's answers.
    tftp: Option<TftpDefect>,
    /// What is wrong with the connections to a TCP port.
    tcp: Option<TcpDefect>,
    /// What is wrong with a server's answers over HTTP.
    http: Option<HttpDefect>,
    /// What is wrong with the card, or disk.
    #[schemars(with = "Option<CardFaultTable>")]
    card: Option<Span<CardFaultTable>>,
    /// Only of this board's cable and card, and of what servers answer it, by its name in `[board.NAME]`; of every board by default. Only where there are
    /// several.
    #[schemars(with = "Option<BoardId>")]
    board: Option<Span<BoardId>>,
    /// Only in this boot of the board, counted from 1; in every boot by default.
    #[schemars(range(min = 1))]
    boot: Option<u32>,
    /// Frames, answers, requests, or reads and writes of the card, that are left alone first.
    #[serde(default)]
    skip: u64,
    /// How often it shows; without end by default. A cable's fault of both directions counts each by itself, as it does for `skip`.
    times: Option<u64>,
    /// It shows from here on; from the start of the run by default.
    #[schemars(with = "Option<TriggerTable>")]
    after: Option<Span<TriggerTable>>,
    /// It shows no more from here on.
    #[schemars(with = "Option<TriggerTable>")]
    until: Option<Span<TriggerTable>>,
}

/// What there is for faults to be of.
#[derive(Clone, Copy)]
pub(super) struct Boards<'a> {
    /// All kinds of boards that a run may have.
    pub(super) kinds: &'a [&'a Board],
    /// Those of a run, if it has several.
    pub(super) several: &'a [NamedBoard],
    /// Each board of a run, with what may be said of it.
    pub(super) candidates: &'a [Candidates<'a>],
    /// How many boots each of them has.
    pub(super) boots: &'a [BootsOfBoard],
    /// The stages of each board that the scenario is run on.
    pub(super) stages: &'a [Vec<Stage>],
}

impl<'a> Boards<'a> {
    /// The stages that triggers of a fault of this board may name.
    fn stages_of(&self, board: Option<&BoardId>) -> &'a [Vec<Stage>] {
        let mut candidates = self.candidates.iter();
        let its = candidates.find(|c| board.is_some() && c.id.as_ref() == board);
        its.map_or(self.stages, |candidates| &candidates.stages)
    }

    /// How many boots this board has; without a name the most that one has.
    fn boots_of(&self, board: Option<&BoardId>) -> u32 {
        let its = |(id, _): &&BootsOfBoard| board.is_none() || id.as_ref() == board;
        let boots = self.boots.iter().filter(its).map(|(_, boots)| *boots);
        boots.max().unwrap_or(0)
    }
}

impl FaultTable {
    /// Checks the faults against the boards of a scenario.
    pub(super) fn read_all(
        tables: Vec<Self>,
        boards: Boards<'_>,
        document: &Document,
    ) -> Result<Vec<PlannedFault>, InputError> {
        let checked = tables
            .into_iter()
            .map(|table| table.check(boards, document));
        checked.collect()
    }

    /// Looks whether there is the board, the boot of it, and a card of its own.
    fn check_board(&self, boards: Boards<'_>, document: &Document) -> Result<(), InputError> {
        if let Some(board) = &self.board {
            let found = NamedBoard::other(board.get_ref(), boards.several);
            let found = found.map_err(|message| document.error_at(board.span(), &message))?;
            if let (Some(owner), Some(_)) = (&found.card, &self.card) {
                let message = format!(
                    "{} boots from the card of {owner}, and a card has one owner: say board = \"{owner}\"",
                    found.id
                );
                return Err(document.error_at(board.span(), &message));
            }
        }
        let boots = boards.boots_of(self.board.as_ref().map(Span::get_ref));
        match self.boot {
            Some(boot) if boot > boots => {
                Err(document.error_at(self.name.span(), &no_such_boot(boots)))
            }
            _ => Ok(()),
        }
    }

    fn check(self, boards: Boards<'_>, document: &Document) -> Result<PlannedFault, InputError> {
        self.check_board(boards, document)?;
        let place = self.name.span();
        let wrong = |text: &str| Err(document.error_at(place.clone(), text));
        let mut defects: Vec<Defect> = Vec::new();
        let does_nothing = self.cable.as_ref().is_some_and(|c| !c.does_something());
        defects.extend(self.cable.map(Defect::Cable));
        defects.extend(self.dhcp.map(Defect::Dhcp));
        defects.extend(self.dns.map(Defect::Dns));
        defects.extend(self.ntp.map(Defect::Ntp));
        defects.extend(self.tftp.map(Defect::Tftp));
        defects.extend(self.tcp.map(Defect::Tcp));
        defects.extend(self.http.map(Defect::Http));
        if does_nothing {
            return wrong("this cable does nothing to frames: give it a loss, a delay, …");
        }
        let name = self.name.into_inner();
        let has_when = self.boot.is_some()
            || self.skip > 0
            || self.times.is_some()
            || self.after.is_some()
            || self.until.is_some();
        let defect = match (defects.pop(), self.card) {
            (Some(defect), None) if defects.is_empty() => defect,
            (None, Some(card)) => {
                let at = card.span();
                let checked = card.into_inner().check(boards.kinds);
                match checked.map_err(|message| document.error_at(at.clone(), &message))? {
                    CardFault::Before(_) if has_when => {
                        return wrong(
                            "this is done to the card once, before the board is switched on: leave boot, skip, times, after and until out",
                        );
                    }
                    CardFault::Before(damage) => {
                        let board = self.board.map(Span::into_inner);
                        return Ok(PlannedFault::Card {
                            name,
                            board,
                            damage,
                        });
                    }
                    CardFault::Running(defect)
                        if defect.does == CardTrouble::ReadOnly
                            && (self.skip > 0
                                || self.times.is_some()
                                || self.after.is_some()
                                || self.until.is_some()) =>
                    {
                        return wrong(
                            "a disk is read-only from power-on to power-off: leave skip, times, after and until out, and say in which boot",
                        );
                    }
                    CardFault::Running(defect) => Defect::Card(defect),
                }
            }
            _ => {
                return wrong(
                    "a fault is one thing: cable, dhcp, dns, ntp, tftp, tcp, http or card",
                );
            }
        };
        if self.times == Some(0) || self.boot == Some(0) {
            return wrong("`times` and `boot` begin at 1");
        }
        let stages = boards.stages_of(self.board.as_ref().map(Span::get_ref));
        let trigger = |table: Option<Span<TriggerTable>>| {
            table
                .map(|table| TriggerTable::check(table, stages, document))
                .transpose()
        };
        let after = trigger(self.after)?;
        Ok(PlannedFault::Running {
            fault: Fault {
                name,
                defect,
                board: self.board.map(Span::into_inner),
                boot: self.boot.map(|boot| boot - 1),
                skip: self.skip,
                times: self.times,
                at_once: after.is_none(),
            },
            after,
            until: trigger(self.until)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::testing::{project, raspi3b};

    #[derive(Deserialize)]
    struct File {
        fault: Vec<FaultTable>,
    }

    /// The faults of a board that boots once.
    fn read_on(
        board: &Board,
        file: File,
        document: &Document,
    ) -> Result<Vec<PlannedFault>, InputError> {
        let boards = Boards {
            kinds: &[board],
            several: &[],
            candidates: &[],
            boots: &[(None, 1)],
            stages: &[Vec::new()],
        };
        FaultTable::read_all(file.fault, boards, document)
    }

    fn read(fault: &str) -> String {
        let document = Document::of(
            "s.toml",
            format!("[[fault]]\nname = \"a fault\"\n{fault}\n"),
        );
        let faults = document
            .parse::<File>()
            .and_then(|file| read_on(&raspi3b(), file, &document));
        match faults {
            Ok(faults) => format!("{:?}\n", faults[0]),
            Err(error) => format!("{error}\n"),
        }
    }

    #[test]
    fn each_kind_is_read() {
        let all = [
            "cable = { way = \"to-board\", of = \"dhcp\", loss = 1.0 }\ntimes = 3",
            "cable = { delay = \"30ms\", jitter = \"5ms\", rate = \"1MiB\" }\nafter = { serial = 'Linux' }\nuntil = { elapsed = \"60s\" }",
            "dhcp = \"nak\"\nboot = 1",
            "dns = \"truncated\"\nskip = 2",
            "ntp = { years = -30 }",
            "tftp = \"too-small\"\nskip = 1\ntimes = 1",
            "cable = { way = \"to-board\", hold = true }\ntimes = 40",
            "dhcp = \"short-lease\"",
            "http = { service = \"scratch\", answer = { stall-head = \"20\" } }",
            "tcp = { port = 80, does = \"refuse\" }",
            "http = { service = \"boot\", target = '^/files/kernel$', answer = { status = 404 } }",
            "http = { service = \"registry\", answer = \"redirect-loop\" }",
            "card = { partition = 2, file = \"ubootefi.var\", does = \"halve\" }",
            "card = { partition = 2, does = \"fill\" }",
            "card = { does = { slow = \"1MiB\" } }\nafter = { serial = 'Linux' }\nboot = 1",
            "card = { partition = 2, file = \"ubootefi.var\", does = \"corrupt-reads\" }\ntimes = 4\nskip = 2",
            "card = { does = \"lose-writes\" }\nuntil = { written = \"1MiB\" }",
            "card = { does = \"torn-write\" }\nboot = 1",
        ];
        for fault in all {
            let shown = read(fault);
            assert!(
                shown.contains("a fault") && !shown.contains("s.toml"),
                "{shown}"
            );
        }
    }

    #[test]
    fn errors_point_at_the_place() {
        let wrong = [
            "",
            "dhcp = \"nak\"\ndns = \"failed\"",
            "dhcp = \"silent\"",
            "cable = { loss = 1.5 }",
            "cable = { way = \"to-board\" }",
            "dhcp = \"nak\"\ntimes = 0",
            "dhcp = \"nak\"\nboard = \"dut\"",
            "dhcp = \"nak\"\nboot = 2",
            "cable = { rate = \"0\" }",
            "ntp = { years = 101 }",
            "tcp = { port = 0, does = \"refuse\" }",
            "http = { service = \"boot\", answer = { status = 99 } }",
            "http = { service = \"boot\", answer = { trickle = \"0\" } }",
            "card = { partition = 2, does = \"remove\" }",
            "card = { partition = 2, does = \"erase\" }\ntimes = 2",
            "http = { service = \"boot\", answer = { stall = \"soon\" } }",
            "ntp = { years = 1 }\nafter = { stage = \"iPXE\" }",
            "card = { does = \"erase\" }",
            "card = { file = \"ubootefi.var\", does = \"lose-writes\" }",
            "card = { partition = 2, file = \"x\", does = \"fill\" }",
            "card = { does = { slow = \"0\" } }",
            "card = { does = \"fail-reads\" }",
            "card = { does = \"fail-writes\" }",
            "card = { does = \"read-only\" }",
        ];
        for fault in wrong {
            let shown = read(fault);
            assert!(shown.starts_with("s.toml:"), "{fault}: {shown}");
        }
    }

    #[test]
    fn what_a_boards_disk_cannot_show_is_refused_with_the_reason() {
        insta::assert_snapshot!(read("card = { partition = 2, does = \"fail-reads\" }"), @r#"
        s.toml:3:8: board raspi3b cannot show this: QEMU's SD card tells no guest that reading has failed, the guest gets the sector before once more; say "corrupt-reads", or take a board with another disk
          | card = { partition = 2, does = "fail-reads" }
          |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        "#);
        let boards = Board::read_all(&project().join("boards")).unwrap();
        let virt = boards.iter().find(|b| b.name == "virt-uefi").unwrap();
        let on_virt = |fault: &str| {
            let text = format!("[[fault]]\nname = \"a fault\"\n{fault}\n");
            let document = Document::of("s.toml", text);
            let file: File = document.parse().unwrap();
            read_on(virt, file, &document)
        };
        for does in ["fail-reads", "fail-writes", "read-only"] {
            assert!(on_virt(&format!("card = {{ does = \"{does}\" }}\nboot = 1")).is_ok());
        }
        let error = on_virt("card = { does = \"read-only\" }\ntimes = 1").unwrap_err();
        assert!(error.to_string().contains("from power-on to power-off"));
    }
}
