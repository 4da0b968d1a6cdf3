//! `[board.NAME]`: the boards of a scenario that has several.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::board::Board;
use crate::input::{BoardName, Document, InputError, Span};
use crate::timeline::BoardId;

/// The most boards of one scenario: each is an emulator of its own.
const MOST: usize = 8;

/// One of several boards, on one LAN or behind one that is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedBoardTable {
    /// What kind of board it is; by default the one that the scenario is run on.
    #[schemars(with = "Option<BoardName>")]
    r#type: Option<Span<BoardName>>,
    /// The board that stands between it and the LAN, by its name in `[board.NAME]`: a second network card of that board and this one's are a
    /// segment of their own. Nothing that the run plays is on it. By default it is on the LAN.
    #[schemars(with = "Option<BoardId>")]
    behind: Option<Span<BoardId>>,
    /// Which network card of that board the segment is plugged into, as guests find them.
    #[schemars(with = "Option<NicPlace>")]
    nic: Option<Span<NicPlace>>,
    /// The board whose card this one boots from in turn, by its name in `[board.NAME]`: somebody moves the card while both are off. By default it has
    /// a card of its own.
    #[schemars(with = "Option<BoardId>")]
    card: Option<Span<BoardId>>,
}

/// Which of a board's two network cards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicPlace {
    /// The one that guests find first. The LAN is at the other one.
    First,
    /// The one behind that of the LAN.
    #[default]
    Second,
}

/// One of a scenario's several boards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBoard {
    /// Its name within the scenario.
    pub id: BoardId,
    /// What kind of board it is; `None` for the one that the scenario is run on.
    pub kind: Option<BoardName>,
    /// The board that it is behind; `None` if it is on the LAN.
    pub behind: Option<BoardId>,
    /// Which network card of that board it is plugged into.
    pub nic: NicPlace,
    /// The board whose card it boots from; `None` if it has one of its own.
    pub card: Option<BoardId>,
}

impl NamedBoard {
    /// Reads the boards of a scenario that is run on each of `own`, sorted by name. `known` are all kinds that there are, where somebody knows
    /// them.
    pub(super) fn read_all(
        tables: BTreeMap<BoardId, Span<NamedBoardTable>>,
        own: &[&Board],
        known: Option<&[Board]>,
        document: &Document,
    ) -> Result<Vec<Self>, InputError> {
        let mut all: Vec<Self> = Vec::new();
        let (mut places, mut nics, mut cards) = (Vec::new(), Vec::new(), Vec::new());
        for (id, table) in tables {
            let place = table.span();
            let NamedBoardTable {
                r#type: kind,
                behind,
                nic,
                card,
            } = table.into_inner();
            if let (Some(kind), Some(known)) = (&kind, known)
                && !known.iter().any(|board| &board.name == kind.get_ref())
            {
                let names: Vec<_> = known.iter().map(|b| b.name.as_str()).collect();
                let message = format!(
                    "there is no board \"{}\"; there is: {}",
                    kind.get_ref(),
                    names.join(", ")
                );
                return Err(document.error_at(kind.span(), &message));
            }
            if all.len() == MOST {
                let message = format!("a scenario has at most {MOST} boards: leave some out");
                return Err(document.error_at(place, &message));
            }
            let kind = kind.map(Span::into_inner);
            places.extend(behind.as_ref().map(|behind| (all.len(), behind.span())));
            nics.extend(nic.as_ref().map(|nic| (all.len(), nic.span())));
            cards.extend(card.as_ref().map(|card| (all.len(), card.span())));
            let [behind, card] = [behind, card].map(|other| other.map(Span::into_inner));
            all.push(Self {
                id,
                kind,
                behind,
                nic: nic.map(Span::into_inner).unwrap_or_default(),
                card,
            });
        }
        let check = |named: Vec<(usize, Range<usize>)>, wrong: &dyn Fn(&Self) -> Option<String>| {
            let mut named = named.into_iter();
            let found = named.find_map(|(place, span)| Some((span, wrong(all.get(place)?)?)));
            found.map_or(Ok(()), |(span, message)| {
                Err(document.error_at(span, &message))
            })
        };
        check(cards, &|board| board.no_card(&all))?;
        check(places, &|board| board.no_place(&all, own, known))?;
        check(nics, &|board| board.no_nic(&all))?;
        Ok(all)
    }

    /// Why it cannot boot from the card of the board that it says, and what to do.
    fn no_card(&self, all: &[Self]) -> Option<String> {
        let owner = self.card.as_ref()?;
        let other = match Self::other(owner, all) {
            Ok(other) => other,
            Err(message) => return Some(message),
        };
        if other.id == self.id {
            return Some("its own card is what a board has by default: leave `card` out".into());
        }
        if let Some(third) = &other.card {
            return Some(format!(
                "board {owner} itself boots from the card of {third}: name that one"
            ));
        }
        (other.behind != self.behind).then(|| {
            format!("board {owner} is not on the same segment, where a card means another boot: give each a card of its own")
        })
    }

    /// What is said of a step or of a statement about a board that is not one of `ids`.
    pub(super) fn unknown<'a>(id: &BoardId, ids: impl Iterator<Item = &'a BoardId>) -> String {
        let names: Vec<_> = ids.map(ToString::to_string).collect();
        match &*names {
            [] => "this scenario has one board: leave `board` out, or name boards in [board.NAME]"
                .into(),
            names => format!("there is no [board.{id}]; there is: {}", names.join(", ")),
        }
    }

    /// The board of a name; the error names the boards that there are.
    pub(super) fn other<'a>(id: &BoardId, all: &'a [Self]) -> Result<&'a Self, String> {
        all.iter().find(|board| board.id == *id).ok_or_else(|| {
            if all.is_empty() {
                return "this scenario has one board: leave `board` out".into();
            }
            Self::unknown(id, all.iter().map(|board| &board.id))
        })
    }

    /// Why it cannot be plugged into the network card that it says, and what to do.
    fn no_nic(&self, all: &[Self]) -> Option<String> {
        let Some(behind) = &self.behind else {
            return Some(
                "`nic` is a card of the board that this one is behind: say `behind`, too".into(),
            );
        };
        let other = all
            .iter()
            .find(|board| board.behind == self.behind && board.nic != self.nic)?;
        Some(format!(
            "board {} is on the same segment behind {behind}, plugged into the other network card: say the same of both",
            other.id
        ))
    }

    /// Why it cannot be behind the board that it says, and what to do.
    fn no_place(&self, all: &[Self], own: &[&Board], known: Option<&[Board]>) -> Option<String> {
        let behind = self.behind.as_ref()?;
        let other = match Self::other(behind, all) {
            Ok(other) => other,
            Err(message) => return Some(message),
        };
        if other.id == self.id {
            return Some("a board cannot be behind itself: name one that is on the LAN".into());
        }
        if let Some(third) = &other.behind {
            return Some(format!(
                "board {behind} is itself behind {third}: name one that is on the LAN"
            ));
        }
        let of_kind = |board: &&Board| Some(&board.name) == other.kind.as_ref();
        let known = known.unwrap_or_default().iter().chain(own.iter().copied());
        let kinds: Vec<_> = match &other.kind {
            None => own.to_vec(),
            Some(_) => known.filter(of_kind).collect(),
        };
        let lack = |board: &&Board| Some((board.name.clone(), board.nic.no_second()?));
        let (name, why) = kinds.iter().find_map(lack)?;
        Some(format!(
            "board {behind} would have two network cards, and {name} cannot: {why}; give {behind} a type with nic.device, such as virt-uefi"
        ))
    }

    /// The kind of this board in a run on `own`; `others` are the other kinds of the run. `None` if the run does not have its kind.
    pub fn kind_among<'b>(
        &self,
        own: &'b Board,
        mut others: impl Iterator<Item = &'b Board>,
    ) -> Option<&'b Board> {
        match &self.kind {
            Some(kind) if *kind != own.name => others.find(|board| board.name == *kind),
            _ => Some(own),
        }
    }

    /// The kinds among `known` that boards of a scenario have by name.
    pub(super) fn kinds<'b>(several: &[Self], known: &'b [Board]) -> Vec<&'b Board> {
        let is_named =
            |board: &&Board| several.iter().any(|n| n.kind.as_ref() == Some(&board.name));
        known.iter().filter(is_named).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::input::Library;
    use crate::scenario::Scenario;
    use crate::scenario::testing::farm_in_small;

    #[test]
    fn errors_of_several_boards_point_at_the_place() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let boards = Board::read_all(&project.join("boards")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let base = fs::read_to_string(project.join("scenarios/alpine-http.toml")).unwrap();
        fs::write(folder.path().join("alpine-http.toml"), base).unwrap();
        let error = |text: &str| {
            let text = format!("extends = \"alpine-http\"\nboards = [\"raspi3b\"]\n{text}");
            fs::write(folder.path().join("s.toml"), text).unwrap();
            let read = Scenario::read_all(folder.path(), &boards);
            let error = read.unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "scenarios")
        };
        let two = "[board.one]\n[board.two]\n";
        let behind = |step: &str| {
            format!(
                "[board.one]\nbehind = \"two\"\n[board.two]\ntype = \"virt-uefi\"\n[[step]]\nboard = \"one\"\n{step}"
            )
        };
        let errors = [
            error("[board.One]\n"),
            error("[board.one]\ntype = \"raspi9\"\n"),
            error(&format!("{two}[[step]]\npower = \"on\"\n")),
            error(&format!(
                "{two}[[step]]\nboard = \"three\"\npower = \"on\"\n"
            )),
            error(&format!("{two}[[step]]\nboard = \"one\"\npower = \"on\"\n")),
            error(&format!("checkpoint = \"/init\"\n{two}")),
            error("[board.one]\ncard = \"three\"\n[board.two]\n"),
            error("[board.one]\ncard = \"one\"\n[board.two]\n"),
            error("[board.one]\ncard = \"two\"\n[board.three]\n[board.two]\ncard = \"three\"\n"),
            error("[board.one]\ncard = \"two\"\n[board.two]\n"),
            error(
                "[board.one]\ncard = \"two\"\n[board.two]\n[[step]]\nboard = \"two\"\npower = \"on\"\n[[step]]\nboard = \"one\"\npower = \"on\"\n",
            ),
            error("[board.one]\nbehind = \"three\"\n[board.two]\n"),
            error("[board.one]\nbehind = \"one\"\n"),
            error(
                "[board.one]\nbehind = \"two\"\n[board.two]\ntype = \"virt-uefi\"\nbehind = \"three\"\n[board.three]\ntype = \"virt-uefi\"\n",
            ),
            error("[board.one]\nbehind = \"two\"\n[board.two]\n"),
            error("[board.one]\nbehind = \"two\"\n[board.two]\ntype = \"bpim2u\"\n"),
            error("[board.one]\nnic = \"first\"\n[board.two]\n"),
            error(
                "[board.one]\nbehind = \"two\"\nnic = \"first\"\n[board.three]\nbehind = \"two\"\n[board.two]\ntype = \"virt-uefi\"\n",
            ),
            error(&behind("power = \"on\"\ndeploy = \"default\"\n")),
            error(&behind("power = \"on\"\nawait = \"DHCP\"\n")),
            error(&behind("power = \"on\"\nawait = { dhcp = {} }\n")),
            error(&behind(
                "power = \"on\"\n[[step]]\nboard = \"one\"\nafter = { request = { service = \"boot\" } }\npower = \"cycle\"\n",
            )),
            error(&behind(
                "power = \"on\"\n[[step]]\nboard = \"two\"\npower = \"on\"\n[[step]]\nboard = \"two\"\nafter = { elapsed = \"1s\" }\npower = \"off\"\n",
            )),
            error(
                &(0..9)
                    .map(|n| format!("[board.b{n}]\n"))
                    .collect::<String>(),
            ),
        ];
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn a_board_behind_another_may_stay_off() {
        let boards = Board::read_all(&crate::scenario::testing::project().join("boards")).unwrap();
        let library = Library::folder(crate::scenario::testing::project().join("scenarios/b2c"));
        let own = boards.iter().find(|b| b.name == "raspi3b").unwrap();
        let all = Scenario::read_all_for(library, own, &boards).unwrap();
        let two = all.iter().find(|s| &*s.name == "two-cards").unwrap();
        let boots = |name: &str| two.boots(Some(&name.parse().unwrap()));
        assert_eq!((boots("gateway"), boots("silent")), (1, 0));
    }

    #[test]
    fn a_run_has_the_boards_that_its_scenario_names() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let boards = Board::read_all(&project.join("boards")).unwrap();
        let all = Scenario::read_all(&project.join("scenarios"), &boards).unwrap();
        let two = all.iter().find(|s| &*s.name == "two-boards").unwrap();
        let ids = two.board_ids();
        let ids: Vec<_> = ids
            .iter()
            .map(|id| id.as_ref().unwrap().to_string())
            .collect();
        assert_eq!(ids, ["one", "two"]);
        let own = boards.iter().find(|b| b.name == "raspi3b").unwrap();
        let beside = two.kinds_beside(own, &boards);
        let beside: Vec<_> = beside.map(|b| b.name.as_str()).collect();
        assert_eq!(beside, ["raspi3b-plus"]);
        assert_eq!(two.steps.len(), 2, "both are switched on");
    }

    #[test]
    fn the_farm_in_small_has_a_board_behind_its_gateway() {
        let scenario = farm_in_small();
        let [dut, gateway] = ["dut", "gateway"].map(|name| name.parse::<BoardId>().unwrap());
        assert_eq!(scenario.behind(Some(&dut)), Some(&gateway));
        assert_eq!(scenario.behind(Some(&gateway)), None);
        // It is switched off once the gateway knows it, and on by its first job.
        assert_eq!(scenario.boots(Some(&dut)), 2);
    }
}
