//! One trial per scenario and board: `scenario::board`. `cargo test` and `cargo nextest run` find and run them.
//!
//! The smoke tier runs by default; `SHAKEDOWN_TIER=full` adds the rest. `SHAKEDOWN_IMAGE` names a prebuilt disk image to boot instead
//! of the generated one. A trial whose parts cannot be had fails.

mod boot_script_image;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use shakedown_fixtures::{Digest, Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::host::{runs_at_a_time, when_there_is_room};
use shakedown_harness::image::partitions::Scheme;
use shakedown_harness::image::prebuilt::Cache;
use shakedown_harness::image::script::{BootSource, Identity};
use shakedown_harness::image::{provision, source};
use shakedown_harness::plan::{Extras, Job, Start};
use shakedown_harness::report::html::PAGE_FILE;
use shakedown_harness::report::{
    Report, Verdict, ending_text, failure_text, journal_text, limitations_text,
};
use shakedown_harness::run::run;
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::services::Authority;
use shakedown_harness::shell;
use shakedown_harness::timeline::{Event, Record, ServiceId, Timeline};

/// The scenario that is run twice, the second time from the checkpoint of the first.
const CHECKPOINT_SCENARIO: &str = "layer-zstd";
/// The scenario that an image with an identity of its own is booted in, in the full tier.
const PROVISIONED_SCENARIO: &str = "alpine-https";

/// The scenario that an image is booted in that has a boot script of U-Boot and no EFI system partition, in the full tier.
const BOOT_SCRIPT_SCENARIO: &str = "tftp";

/// What a trial does.
type Run = fn(&Scenario, &Board) -> Result<()>;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert_with(runs_at_a_time);
    let root = shakedown_tests::project_root();
    let boards = Board::read_all(&root.join("boards"))?;
    let scenarios = Scenario::read_all(&root.join("scenarios"), &boards)?;
    let tier = match std::env::var("SHAKEDOWN_TIER").as_deref() {
        Ok("full") => Tier::Full,
        Ok("smoke") | Err(_) => Tier::Smoke,
        Ok(other) => bail!("SHAKEDOWN_TIER is `{other}`; it may be `smoke` or `full`"),
    };
    let mut trials = Vec::new();
    for scenario in scenarios {
        for board in boards.iter().filter(|b| scenario.boards.contains(&b.name)) {
            let mut add = |name: &str, run: Run, tier_of_trial| {
                let name = format!("{name}::{}", board.name);
                let (scenario, board) = (scenario.clone(), board.clone());
                let trial = Trial::test(name, move || run(&scenario, &board).map_err(failed));
                trials.push(trial.with_ignored_flag(tier_of_trial > tier));
            };
            if scenario.name == PROVISIONED_SCENARIO {
                add("provisioned-image", provisioned_trial, Tier::Full);
            }
            if scenario.name == BOOT_SCRIPT_SCENARIO {
                add("boot-script-image", boot_script_trial, Tier::Full);
            }
            if scenario.name == CHECKPOINT_SCENARIO {
                add("checkpoint", checkpoint_trial, Tier::Smoke);
            }
            add(&scenario.name, trial, scenario.tier.max(board.tier));
        }
        for lacking in &scenario.lacking {
            let name = format!("{}::{}", scenario.name, lacking.board);
            let why = lacking.to_string();
            // What a board cannot do is not passed, even by those who run what is ignored.
            let trial = Trial::test(name, move || Err(Failed::from(why)));
            let kind = format!("lacks {}: {}", lacking.capability, lacking.because);
            trials.push(trial.with_kind(kind).with_ignored_flag(true));
        }
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

fn trial(scenario: &Scenario, board: &Board) -> Result<()> {
    let image = std::env::var_os("SHAKEDOWN_IMAGE").map(PathBuf::from);
    let given = image.as_ref().map(|image| {
        let image = shell::word(&image.to_string_lossy());
        format!(" --image {image}")
    });
    let again = format!(
        "cargo xtask e2e {} --board {}{}",
        scenario.name,
        board.name,
        given.unwrap_or_default()
    );
    let kit = Kit::open(KitOptions {
        image,
        ..KitOptions::default()
    })?;
    boot(scenario, board, &kit, &scenario.name, again)
}

/// An image that is provisioned already: the run takes server, identity and script from it, and leaves the file as it is.
fn provisioned_trial(scenario: &Scenario, board: &Board) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("netboot.img");
    let prebuilt =
        Kit::open(KitOptions::default())?.prebuilt(board, Scheme::Hybrid, Cache::Ext4)?;
    let authority = Authority::generate("A farm's CA")?;
    let client = authority.issue_client("gateway 7")?;
    let source = BootSource::Https {
        server: "https://gateway.farm.example:8443".parse()?,
        identity: Some(Identity {
            certificate: client.certificate_der().to_vec(),
            private_key: client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
        }),
        trusted_ca: authority.certificate_der().to_vec(),
    };
    provision::provision(&source::open(&prebuilt)?, &source, None, &image)?;
    let digest = || Digest::of_reader(File::open(&image)?);
    let before = digest()?;
    let kit = Kit::open(KitOptions {
        image: Some(image.clone()),
        ..KitOptions::default()
    })?;
    let name = "provisioned-image";
    // The image is made for the trial alone.
    let again = format!("SHAKEDOWN_TIER=full cargo test -p shakedown-tests --test e2e {name}");
    boot(scenario, board, &kit, name, again)?;
    if digest()? != before {
        bail!("the run has changed the image that it was given");
    }
    Ok(())
}

/// An image that boots by `boot.scr` and asks DHCP for everything.
fn boot_script_trial(scenario: &Scenario, board: &Board) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = folder.path().join("port.img");
    let prebuilt = Kit::open(KitOptions::default())?.prebuilt(board, Scheme::Mbr, Cache::Empty)?;
    boot_script_image::write(&prebuilt, &image)?;
    let kit = Kit::open(KitOptions {
        image: Some(image),
        ..KitOptions::default()
    })?;
    let name = "boot-script-image";
    let again = format!("SHAKEDOWN_TIER=full cargo test -p shakedown-tests --test e2e {name}");
    let root = records_folder().join("checkpoints");
    let (report, _) = make_run(scenario, board, &kit, name, root, again)?;
    match &report.failure {
        None => Ok(()),
        Some(failure) => bail!("{}", failure_text(&report, failure)),
    }
}

/// A board boots in whole and leaves a checkpoint; a second run goes on from it, with a registry and a nonce of its own; a third one is
/// refused, since the checkpoint is damaged.
fn checkpoint_trial(scenario: &Scenario, board: &Board) -> Result<()> {
    let kit = Kit::open(KitOptions::default())?;
    std::fs::create_dir_all(records_folder())?;
    let checkpoints = tempfile::tempdir_in(records_folder())?;
    let run = |name: &str| {
        let name = format!("checkpoint-{name}");
        let again = "cargo test -p shakedown-tests --test e2e checkpoint".to_owned();
        let root = checkpoints.path().to_owned();
        make_run(scenario, board, &kit, &name, root, again)
    };
    let made = run("made")?;
    let restored = run("restored")?;
    for (report, _) in [&made, &restored] {
        if let Some(failure) = &report.failure {
            bail!("{}", failure_text(report, failure));
        }
    }
    check_restored(scenario, &made, &restored)?;

    let kept = std::fs::read_dir(checkpoints.path())?.next();
    let kept = kept.context("there is no checkpoint any more")??.path();
    let memory = File::options().write(true).open(kept.join("memory"))?;
    memory.set_len(1 << 20)?;
    let (refused, _) = run("damaged")?;
    let cause = refused.failure.map(|failure| failure.cause);
    let cause = cause.unwrap_or_default();
    ensure!(
        refused.verdict == Verdict::CouldNotRun && cause.contains(&kept.display().to_string()),
        "a damaged checkpoint made the run {:?}: {cause}",
        refused.verdict
    );
    println!("{cause}");
    Ok(())
}

/// The second run began where the first had left its checkpoint, and did the rest itself.
fn check_restored(
    scenario: &Scenario,
    (made, made_timeline): &(Report, Timeline),
    (restored, timeline): &(Report, Timeline),
) -> Result<()> {
    ensure!(made.restored_from.is_none() && made.last_restored().is_none());
    let stage = restored.last_restored().map(|stage| &stage.name);
    ensure!(
        stage == scenario.checkpoint.as_ref(),
        "went on from {stage:?}; the first run said: {:?}",
        notes(made_timeline)
    );
    ensure!(made.nonce != restored.nonce, "both runs had one nonce");
    let [whole, rest] = [made, restored].map(|report| report.qemu_cpu_seconds);
    ensure!(rest < whole, "first {whole} CPU s, then {rest}");
    let records = timeline.snapshot();
    let is_border = |r: &Record| matches!(r.event, Event::Restored { .. });
    let border = records.iter().position(is_border);
    let own = records.iter().skip(border.context("there is no border")?);
    let booted =
        own.filter(|r| matches!(&r.event, Event::Request(r) if r.service == ServiceId::Boot));
    ensure!(booted.count() == 0, "the boot server was asked again");
    println!("in whole: {whole:.1} CPU s, from the checkpoint: {rest:.1}");
    Ok(())
}

/// What a run said of itself.
fn notes(timeline: &Timeline) -> Vec<String> {
    let records = timeline.snapshot().into_iter();
    let notes = records.filter_map(|r| match r.event {
        Event::Note { room, text } => Some(format!("{room}: {text}")),
        _ => None,
    });
    notes.collect()
}

/// Runs a scenario; `name` is that of the trial and its record, `again` the command that runs it again.
fn boot(scenario: &Scenario, board: &Board, kit: &Kit, name: &str, again: String) -> Result<()> {
    let checkpoints = records_folder().join("checkpoints");
    let (report, timeline) = make_run(scenario, board, kit, name, checkpoints, again)?;
    let name = format!("{name}-{}", board.name);
    match &report.ending {
        Some(ending) => print!("{}", ending_text(&report, ending)),
        None => {
            let system = report.container_system.as_deref().unwrap_or("nothing");
            println!(
                "{}: the container says it is {system}; {}",
                scenario.name, report.container_source
            );
        }
    }
    // GitLab shows it beside the trial.
    println!("[[ATTACHMENT|target/shakedown/trials/{name}/{PAGE_FILE}]]");
    match (&report.failure, report.verdict) {
        (None, Verdict::Passed) => {
            // What a run that ends early still sees depends on the moment of its end, and how often a board asks again when something goes
            // wrong depends on the clock.
            let is_whole =
                report.stages.last().map(|s| &s.name) == board.stages.last().map(|s| &s.name);
            if is_whole && scenario.faults.is_empty() {
                compare_journal(&name, &timeline);
            }
            Ok(())
        }
        (Some(failure), _) => {
            let limitations = limitations_text([&report]);
            bail!("{}{limitations}", failure_text(&report, failure))
        }
        (None, verdict) => bail!("{verdict:?} without a reason"),
    }
}

/// Where runs are recorded.
fn records_folder() -> PathBuf {
    shakedown_tests::project_root().join("target/shakedown")
}

/// Makes a run. Its record takes the place of the last one of that name.
fn make_run(
    scenario: &Scenario,
    board: &Board,
    kit: &Kit,
    name: &str,
    checkpoints: PathBuf,
    again: String,
) -> Result<(Report, Timeline)> {
    let parts = kit.parts_for(scenario, board)?;
    let boards = Board::read_all(&shakedown_tests::project_root().join("boards"))?;
    let others = kit.parts_beside(scenario, board, &boards)?;
    let folder = records_folder()
        .join("trials")
        .join(format!("{name}-{}", board.name));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("cannot remove the record of the last trial")?;
    }
    let job = Job {
        board,
        scenario,
        parts: &parts,
        others: &others,
        start: Start::Card,
        folder,
        keep: false,
        checkpoints: Some(checkpoints),
        extras: Extras::default(),
        reproduce: again,
    };
    let timeline = Timeline::start();
    let never = std::future::pending::<()>();
    let work = async |_| run(&job, &timeline, std::future::pending()).await;
    let waiting = |lack| println!("{name} waits for room on this machine: {lack:?}");
    let report = when_there_is_room(never, waiting, work)?.context("nothing stops a trial")?;
    Ok((report, timeline))
}

/// Compares what the servers saw with what they saw before: `journals/TRIAL-BOARD.snap`. Panics with the difference.
fn compare_journal(name: &str, timeline: &Timeline) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("journals");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, journal_text(&timeline.snapshot())));
}

/// The whole chain of causes, which `Failed` would cut to its first link.
fn failed(error: anyhow::Error) -> Failed {
    Failed::from(format!("{error:#}"))
}
