//! Reading `scenarios/NAME.toml`, and checking what it says of its boards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Tls;
use super::boards::BoardsKey;
use super::boot::{Boot, Transport};
use super::card::CardTable;
use super::definition::{Firmware, Scenario, Tier, boots_of, stages_of};
use super::deployment::{self, DeploymentTable};
use super::dhcp::DhcpTable;
use super::expect::ExpectFile;
use super::fault::{self, FaultTable};
use super::ipxe_words;
use super::journal::{Assertion, AssertionTable};
use super::named::{NamedBoard, NamedBoardTable};
use super::registry::RegistryTable;
use super::services::Services;
use super::stages;
use super::steps::{self, Candidates, StepTable};
use crate::board::{Board, Capability, Evidence, Stage};
use crate::input::{DeploymentName, Document, InputError, Library, Pattern, Span};
use crate::timeline::BoardId;

/// `scenarios/NAME.toml`: what a run does with a board and what must come of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Scenario")]
pub(crate) struct ScenarioFile {
    /// The scenario that this one is like, by name: what is not said here is as there.
    #[expect(dead_code, reason = "read with the file, and part of its schema")]
    extends: Option<String>,
    /// Parts that it is made of, by name: what is not said here is as in the last of them that says it, and only then as in what it extends.
    #[serde(default)]
    #[expect(dead_code, reason = "read with the file, and part of its schema")]
    include: Vec<String>,
    /// Several scenarios in one file: each is the file with what the variant says instead.
    #[serde(default)]
    #[expect(dead_code, reason = "read before the file, and part of its schema")]
    variant: Vec<Variant>,
    /// What it shows, in a few words.
    title: String,
    tier: Tier,
    /// Words that filters find it by: `e2e tag:WORD`.
    #[serde(default)]
    tags: Vec<String>,
    /// Names of the boards that it is run on; or `"all"`: every board that can do what it needs.
    boards: BoardsKey,
    /// Several boards on one LAN, or behind one that is, by name. Steps say then which board they are of; without steps all are switched on at once.
    #[serde(default)]
    #[schemars(with = "BTreeMap<BoardId, NamedBoardTable>")]
    board: BTreeMap<BoardId, Span<NamedBoardTable>>,
    /// What a board must be able to do. A scenario over HTTPS needs `mutual-tls`, one without `[expect]` needs `container`, unsaid.
    #[serde(default)]
    needs: BTreeSet<Capability>,
    boot: Boot,
    #[schemars(with = "Option<DhcpTable>")]
    dhcp: Option<Span<DhcpTable>>,
    #[schemars(with = "Option<Tls>")]
    tls: Option<Span<Tls>>,
    #[serde(default)]
    firmware: Firmware,
    #[schemars(with = "Option<ExpectFile>")]
    expect: Option<Span<ExpectFile>>,
    /// What is done with the board, and what must come of it, in order. Without steps the board is switched on once.
    #[serde(default)]
    #[schemars(with = "Vec<StepTable>")]
    step: Vec<Span<StepTable>>,
    #[schemars(with = "Option<CardTable>")]
    card: Option<Span<CardTable>>,
    /// What the boot server hands out once a step deploys it; `default` is what `boot` says.
    #[serde(default)]
    #[schemars(with = "BTreeMap<DeploymentName, DeploymentTable>")]
    deployment: BTreeMap<DeploymentName, Span<DeploymentTable>>,
    #[serde(default)]
    registry: RegistryTable,
    #[schemars(with = "Option<Services>")]
    services: Option<Span<Services>>,
    /// What goes wrong on purpose.
    #[serde(default)]
    fault: Vec<FaultTable>,
    /// What chance is made of where a fault has a share, 1 by default. The same seed does the same again.
    #[serde(default = "first_seed")]
    seed: u64,
    #[serde(default)]
    journal: Vec<AssertionTable>,
    /// Lines on the console that look like an alarm and belong to this scenario.
    #[serde(default)]
    harmless: Vec<Pattern>,
    /// The status with which the pipeline of containers must end, 0 by default, for a scenario without `[expect]`.
    #[schemars(with = "Option<i32>")]
    pipeline_status: Option<Span<i32>>,
    /// The stage up to which runs may share one boot: they go on from where a run has brought a board that was given the same until
    /// then. For what is about later stages alone.
    #[schemars(with = "Option<String>")]
    checkpoint: Option<Span<String>>,
    /// Names of the chain's stages that this scenario does not go through.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    without: Vec<Span<String>>,
}

fn first_seed() -> u64 {
    1
}

impl ScenarioFile {
    /// What a board must be able to do, said or not.
    fn all_needs(&self) -> BTreeSet<Capability> {
        let mut needs = self.needs.clone();
        if !self.boot.transport.is_plain() {
            needs.insert(Capability::MutualTls);
        }
        if self.expect.is_none() {
            needs.insert(Capability::Container);
        }
        needs
    }
}

/// A variant of a scenario: any key of the scenario, besides its name.
#[derive(Deserialize, JsonSchema)]
struct Variant {
    /// Lower-case letters, digits and dashes. The variant is called `FILE-NAME`.
    #[expect(dead_code, reason = "read before the file, and part of its schema")]
    name: String,
}
impl Scenario {
    /// Reads every scenario, sorted by name, and checks what they say of `boards`; `library` may be a folder.
    ///
    /// # Errors
    /// A file is wrong; the error names file, line and column.
    pub fn read_all(
        library: impl Into<Library>,
        boards: &[Board],
    ) -> Result<Vec<Self>, InputError> {
        Self::read_each(&library.into(), |document| {
            Self::read_file(document, boards)
        })
    }

    /// Reads every scenario for runs on `board`, whatever other boards they are for. `known` are all boards that they may name.
    ///
    /// # Errors
    /// As for [`read_all`](Self::read_all).
    pub fn read_all_for(
        library: impl Into<Library>,
        board: &Board,
        known: &[Board],
    ) -> Result<Vec<Self>, InputError> {
        Self::read_each(&library.into(), |document| {
            Self::new(document, document.parse()?, &[board], Some(known))
        })
    }

    /// Every variant of every file, sorted by name.
    fn read_each(
        library: &Library,
        read: impl Fn(&Document) -> Result<Self, InputError>,
    ) -> Result<Vec<Self>, InputError> {
        let names = library.names()?;
        let mut scenarios: Vec<Self> = Vec::new();
        for name in &names {
            for document in library.read(&format!("{name}.toml"))?.variants()? {
                let scenario = read(&document)?;
                if let Some(other) = scenarios.iter().find(|s| s.name == scenario.name) {
                    let message = format!(
                        "a variant of {}.toml is called \"{}\", too: give one of them another name",
                        other.files.first().map_or(&*other.name, String::as_str),
                        scenario.name
                    );
                    return Err(document.error_at(0..0, &message));
                }
                scenarios.push(scenario);
            }
        }
        scenarios.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(scenarios)
    }

    /// Reads the scenario of a run on `board`, whatever other boards it is for.
    ///
    /// # Errors
    /// The file is wrong; the error names file, line and column.
    pub fn read_for(path: &Path, board: &Board) -> Result<Self, InputError> {
        Self::read_among(path, board, None)
    }

    /// The same where all boards are known that it may name.
    ///
    /// # Errors
    /// As for [`read_for`](Self::read_for), and there is no board of a name.
    pub fn read_among(
        path: &Path,
        board: &Board,
        known: Option<&[Board]>,
    ) -> Result<Self, InputError> {
        let document = match (path.parent(), path.file_name()) {
            (Some(folder), Some(file)) => Library::folder(folder).read(&file.to_string_lossy())?,
            _ => Document::read(path)?,
        };
        Self::new(&document, document.parse()?, &[board], known)
    }

    /// The same of a file in `library`, which may extend others of it.
    ///
    /// # Errors
    /// As for [`read_for`](Self::read_for).
    pub fn read_from(library: &Library, file: &str, board: &Board) -> Result<Self, InputError> {
        let document = library.read(file)?;
        Self::new(&document, document.parse()?, &[board], None)
    }

    fn read_file(document: &Document, boards: &[Board]) -> Result<Self, InputError> {
        let file: ScenarioFile = document.parse()?;
        let (on, lacking) = file.boards.choose(&file.all_needs(), boards, document)?;
        Ok(Self {
            boards: on.iter().map(|board| board.name.clone()).collect(),
            lacking,
            ..Self::new(document, file, &on, Some(boards))?
        })
    }

    /// The scenario that a file makes, which must fit each of `boards`. `known` are all boards, where somebody knows them.
    fn new(
        document: &Document,
        mut file: ScenarioFile,
        boards: &[&Board],
        known: Option<&[Board]>,
    ) -> Result<Self, InputError> {
        ipxe_words::check(document)?;
        let tables = std::mem::take(&mut file.board);
        let several = NamedBoard::read_all(tables, boards, known, document)?;
        let kinds = NamedBoard::kinds(&several, known.unwrap_or_default());
        let needs = file.all_needs();
        let services = file.services.as_ref().map(|s| s.get_ref().clone());
        let cast = Cast {
            boards,
            several: &several,
            kinds,
            services: services.unwrap_or_default(),
            without: file.without.iter().map(|w| w.get_ref().clone()).collect(),
        };
        cast.check_without(&file.without, document)?;
        let stages_of_boards: Vec<_> = boards.iter().map(|board| cast.stages(board)).collect();
        match (&file.pipeline_status, &file.expect) {
            (Some(status), Some(_)) => {
                let message = "[expect] says how this run ends: leave pipeline_status out";
                return Err(document.error_at(status.span(), message));
            }
            (_, Some(_)) => {}
            (_, None) => Self::check_proof(document, &file, boards, &stages_of_boards)?,
        }
        if let Some(tls) = &file.tls {
            Tls::check(tls, file.boot.transport, document)?;
        }
        let dhcp = file.dhcp;
        let dhcp = dhcp.map(|dhcp| DhcpTable::check(dhcp, file.boot.transport, document));
        deployment::check_steps(&file.step, &file.deployment, document)?;
        let deployments = deployment::read(file.deployment, &file.boot, document)?;
        let has_checkpoint = file.checkpoint.is_some();
        let card = file.card;
        let card = card.map(|card| CardTable::check(card, has_checkpoint, document));
        let candidates = cast.candidates();
        let steps = steps::read(file.step, &candidates, document)?;
        let boots = |c: &Candidates<'_>| (c.id.clone(), boots_of(&steps, c.id.as_ref()));
        let boots: Vec<_> = candidates.iter().map(boots).collect();
        let boards_of_faults = fault::Boards {
            kinds: &cast.all_boards(),
            several: &several,
            candidates: &candidates,
            boots: &boots,
            stages: &stages_of_boards,
        };
        let faults = FaultTable::read_all(file.fault, boards_of_faults, document)?;
        let expect = file.expect;
        let expect = expect.map(|e| ExpectFile::check(e, &stages_of_boards, document));
        let Cast {
            services, without, ..
        } = cast;
        let scenario = Self {
            name: document.name()?,
            title: match document.variant() {
                Some(variant) => format!("{} ({variant})", file.title),
                None => file.title,
            },
            tier: file.tier,
            tags: file.tags,
            needs,
            boards: boards.iter().map(|board| board.name.clone()).collect(),
            lacking: Vec::new(),
            several,
            boot: file.boot.written_out(),
            dhcp: dhcp.transpose()?.unwrap_or_default(),
            tls: file.tls.map(Span::into_inner).unwrap_or_default(),
            firmware: file.firmware,
            expect: expect.transpose()?,
            registry: file.registry.check(document)?,
            steps,
            deployments,
            card: card.transpose()?,
            services,
            faults,
            seed: file.seed,
            is_chaos: false,
            journal: Assertion::read_all(file.journal, &boots, document)?,
            harmless: file.harmless,
            pipeline_status: file.pipeline_status.map_or(0, Span::into_inner),
            checkpoint: file.checkpoint.as_ref().map(|c| c.get_ref().clone()),
            without,
            files: document.files(),
            source: document.source(),
        };
        if let Some(services) = &file.services {
            let checked = scenario.check_services(boards);
            checked.map_err(|message| document.error_at(services.span(), &message))?;
        }
        if let Some(checkpoint) = &file.checkpoint {
            let checked = scenario.check_checkpoint(checkpoint.get_ref(), boards);
            checked.map_err(|message| document.error_at(checkpoint.span(), &message))?;
        }
        Ok(scenario)
    }

    /// Without `[expect]` a run passes only by the nonce, which proves that the container of the registry has run.
    fn check_proof(
        document: &Document,
        file: &ScenarioFile,
        boards: &[&Board],
        stages_of_boards: &[Vec<Stage>],
    ) -> Result<(), InputError> {
        let proves = |stage: &Stage| matches!(stage.evidence, Evidence::Nonce);
        for (board, stages) in boards.iter().zip(stages_of_boards) {
            if stages.iter().any(proves) {
                continue;
            }
            let is_proof = |w: &&Span<String>| {
                let stage = board.stages.iter().find(|s| &s.name == w.get_ref());
                stage.is_some_and(proves)
            };
            return Err(match file.without.iter().find(is_proof) {
                Some(without) => document.error_at(
                    without.span(),
                    "nothing would prove that the container has run: say in [expect] where the run ends, or keep this stage",
                ),
                None => document.error_at(
                    0..0,
                    &format!(
                        "the chain of board {} has no stage with the evidence \"nonce\", so nothing proves that the container has run: say in [expect] where the run ends",
                        board.name
                    ),
                ),
            });
        }
        Ok(())
    }
    /// A checkpoint is at a stage that one board goes on from in one boot, and holds nobody's identity and nobody's card.
    fn check_checkpoint(&self, name: &str, boards: &[&Board]) -> Result<(), String> {
        let goes_on = |board: &&Board| {
            let stages = self.stages(board);
            let place = stages.iter().position(|stage| stage.name == name);
            place.is_some_and(|place| place + 1 < stages.len())
        };
        let is_one_boot = matches!(&*self.steps, [only] if only.is_plain());
        let wrong = if !self.several.is_empty() {
            "a run of several boards boots them all: leave checkpoint or [board] out"
        } else if !is_one_boot {
            "a run of several boots goes through all of them itself: leave checkpoint or [[step]] out"
        } else if !self.faults.is_empty() {
            "a run that goes on from a checkpoint has the first half of another's boot, and its card: leave checkpoint or [[fault]] out"
        } else if self.boot.transport == Transport::Https {
            "a board with an identity of its own boots in whole: say transport = \"http\" or leave checkpoint out"
        } else if !boards.iter().all(goes_on) {
            return Err(format!(
                "this scenario does not go on from any stage \"{name}\""
            ));
        } else {
            return Ok(());
        };
        Err(wrong.to_owned())
    }
}

/// The boards of a scenario, and what is the same of all of them.
struct Cast<'a> {
    /// Those that it is run on: in each run, one of them.
    boards: &'a [&'a Board],
    /// Those of a run, if it has several.
    several: &'a [NamedBoard],
    /// Of what kinds those are besides.
    kinds: Vec<&'a Board>,
    services: Services,
    /// Names of the stages that are left out.
    without: Vec<String>,
}

impl<'a> Cast<'a> {
    fn all_boards(&self) -> Vec<&'a Board> {
        self.boards.iter().chain(&self.kinds).copied().collect()
    }

    /// The stages that a board goes through.
    fn stages(&self, board: &Board) -> Vec<Stage> {
        stages_of(board, &self.without, &self.services)
    }

    /// Whose steps there may be, each board with what its steps may name.
    fn candidates(&self) -> Vec<Candidates<'a>> {
        if self.several.is_empty() {
            return vec![Candidates {
                id: None,
                stages: self.boards.iter().map(|board| self.stages(board)).collect(),
                boards: self.boards.to_vec(),
                behind: None,
                card: None,
            }];
        }
        let candidates = |named: &NamedBoard| {
            let is_its = |board: &&&Board| Some(&board.name) == named.kind.as_ref();
            let of_kind = self.kinds.iter().find(is_its);
            let boards = of_kind.map_or_else(|| self.boards.to_vec(), |kind| vec![*kind]);
            let mut stages: Vec<_> = boards.iter().map(|board| self.stages(board)).collect();
            if named.behind.is_some() {
                let unseen = |stage: &Stage| stage.evidence.is_of_lan();
                stages.iter_mut().for_each(|all| all.retain(|s| !unseen(s)));
            }
            Candidates {
                id: Some(named.id.clone()),
                stages,
                boards,
                behind: named.behind.clone(),
                card: named.card.clone(),
            }
        };
        self.several.iter().map(candidates).collect()
    }

    /// Each of the boards has what is left out.
    fn check_without(
        &self,
        without: &[Span<String>],
        document: &Document,
    ) -> Result<(), InputError> {
        for board in self.all_boards() {
            for stage in without {
                if !board.stages.iter().any(|s| &s.name == stage.get_ref()) {
                    let message = format!(
                        "the chain of board {} has no stage \"{}\" to leave out; it has: {}",
                        board.name,
                        stage.get_ref(),
                        stages::names(&board.stages)
                    );
                    return Err(document.error_at(stage.span(), &message));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scenario::testing::project;

    #[test]
    fn every_scenario_of_the_project_is_right() {
        let boards = Board::read_all(&project().join("boards")).unwrap();
        let all = Scenario::read_all(&project().join("scenarios"), &boards).unwrap();
        let http = all.iter().find(|s| s.name == "alpine-http").unwrap();
        let names: Vec<_> = http
            .stages(&boards[0])
            .into_iter()
            .map(|s| s.name)
            .collect();
        assert!(
            !names.contains(&"TLS".to_owned()) && names.contains(&"DHCP".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn errors_point_at_the_place() {
        let boards = Board::read_all(&project().join("boards")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let good = fs::read_to_string(project().join("scenarios/alpine-http.toml")).unwrap();
        let good = good.replacen("\"all\"\nneeds = [\"ipxe\"]", "[\"raspi3b\"]", 1);
        let error = |from: &str, to: &str| {
            fs::write(folder.path().join("s.toml"), good.replacen(from, to, 1)).unwrap();
            let error = Scenario::read_all(folder.path(), &boards)
                .unwrap_err()
                .to_string();
            error.replace(&folder.path().display().to_string(), "scenarios")
        };
        insta::assert_snapshot!(error("[\"raspi3b\"]", "[\"raspi9\"]"), @r#"
        scenarios/s.toml:5:11: there is no board "raspi9"; there is: bpim2u, orangepi-pc, pc-uefi, raspi3b, raspi3b-plus, virt-riscv64, virt-uboot, virt-uefi
          | boards = ["raspi9"]
          |           ^^^^^^^^
        "#);
        insta::assert_snapshot!(error("[\"raspi3b\"]", "[\"raspi3b\", \"bpim2u\"]"), @r#"
        scenarios/s.toml:5:22: bpim2u lacks container: without iPXE its chain ends at U-Boot's own network boot; leave the board out, or the need
          | boards = ["raspi3b", "bpim2u"]
          |                      ^^^^^^^^
        "#);
        insta::assert_snapshot!(error("[\"raspi3b\"]", "\"raspi3b\""), @r#"
        scenarios/s.toml:5:10: "raspi3b" is neither "all" nor a list; write boards = ["raspi3b"]
          | boards = "raspi3b"
          |          ^^^^^^^^^
        "#);
        insta::assert_snapshot!(error("[\"TLS\"]", "[\"TSL\"]"), @r#"
        scenarios/s.toml:6:12: the chain of board raspi3b has no stage "TSL" to leave out; it has: firmware, U-Boot, iPXE, DHCP, TLS, boot script, kernel fetched, initramfs fetched, Linux, /init, network, image pulled, container started, nonce said, powered off
          | without = ["TSL"]
          |            ^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]", "[tls]\n[boot]"), @r#"
        scenarios/s.toml:8:1: there is no TLS over plain HTTP and TFTP: say transport = "https" or leave [tls] out
          | [tls]
          | ^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]", "checkpoint = \"init\"\n[boot]"), @r#"
        scenarios/s.toml:8:14: this scenario does not go on from any stage "init"
          | checkpoint = "init"
          |              ^^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]\ntransport = \"http\"", "checkpoint = \"/init\"\n[boot]\ntransport = \"https\""), @r#"
        scenarios/s.toml:8:14: a board with an identity of its own boots in whole: say transport = "http" or leave checkpoint out
          | checkpoint = "/init"
          |              ^^^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]", "[expect]\nuntil = \"TSL\"\n[boot]"), @r#"
        scenarios/s.toml:9:9: this scenario goes through no stage "TSL"; it goes through: firmware, U-Boot, iPXE, DHCP, boot script, kernel fetched, initramfs fetched, Linux, /init, network, image pulled, container started, nonce said, powered off
          | until = "TSL"
          |         ^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]", "[expect]\nstops_before = \"firmware\"\n[boot]"), @r#"
        scenarios/s.toml:9:16: no run can stop before its first stage
          | stops_before = "firmware"
          |                ^^^^^^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]", "[expect]\nstops_before = \"Linux\"\n[boot]"), @r"
        scenarios/s.toml:8:1: say in proofs what shows why the board stops there
          | [expect]
          | ^^^^^^^^
        ");
        insta::assert_snapshot!(error("[boot]", "[expect]\nwithin = \"5s\"\n[boot]"), @r"
        scenarios/s.toml:8:1: say where the run ends: either stops_before or until
          | [expect]
          | ^^^^^^^^
        ");
        insta::assert_snapshot!(error("[boot]", "[tls]\nclient = \"lost\"\n[boot]"), @r#"
        scenarios/s.toml:9:10: unknown variant `lost`, expected one of `valid`, `none`, `unknown-ca`, `expired`, `not-yet-valid`, `revoked`, `wrong-key`
          | client = "lost"
          |          ^^^^^^
        "#);
        insta::assert_snapshot!(error("[boot]\ntransport = \"http\"", "[tls]\nmax_fragment = 5\n[boot]\ntransport = \"https\""), @r"
        scenarios/s.toml:9:16: a record may have 64 to 16384 bytes
          | max_fragment = 5
          |                ^
        ");
        let registry =
            |table: &str| error("[[journal]]", &format!("[registry]\n{table}\n[[journal]]"));
        let errors = [
            registry("auth = \"kerberos\""),
            registry("rate_limit = { requests = 1, retry_after = \"500ms\" }"),
            registry("break_off = \"0\""),
            registry("mirror = { host = \"auth.docker.io\" }"),
            registry("mirror = { host = \"http://mirror\" }"),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r#"
        scenarios/s.toml:25:8: unknown variant `kerberos`, expected one of `none`, `token`, `login`, `wrong-login`
          | auth = "kerberos"
          |        ^^^^^^^^^^
        scenarios/s.toml:25:44: Retry-After has whole seconds: write "1s" or more
          | rate_limit = { requests = 1, retry_after = "500ms" }
          |                                            ^^^^^^^
        scenarios/s.toml:25:13: the first byte cannot be the last: write "1" or more
          | break_off = "0"
          |             ^^^
        scenarios/s.toml:25:19: "auth.docker.io" is not the name of another host than docker.io
          | mirror = { host = "auth.docker.io" }
          |                   ^^^^^^^^^^^^^^^^
        scenarios/s.toml:25:19: "http://mirror" is not the name of another host than docker.io
          | mirror = { host = "http://mirror" }
          |                   ^^^^^^^^^^^^^^^
        "#);
        insta::assert_snapshot!(error("tier = \"smoke\"", "tier = \"smoke"), @r#"
        scenarios/s.toml:4:14: invalid basic string, expected `"`
          | tier = "smoke
          |              ^
        "#);
    }
}
