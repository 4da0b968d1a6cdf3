//! `cargo xtask e2e repro`: the run of a bundle once more, on this machine, by its own definitions.
//!
//! A board's file chooses what QEMU is started with, and a bundle may come from anybody. So the board is the project's own, if it is the
//! same, or one that the user trusts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use shakedown_harness::board::Board;
use shakedown_harness::plan::Parts;
use shakedown_harness::replay::{Recording, replay};
use shakedown_harness::report::bundle::{Bundle, Item, Manifest};
use shakedown_harness::report::{OnFlaky, comparison};
use shakedown_harness::{shell, untrusted};

use crate::e2e::{self, Execution, Planned, RunArgs};
use crate::globals::Globals;
use crate::replay::{Definitions, definitions};
use shakedown_common::{PartsArgs, err};

/// Arguments of `e2e repro`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle that a failed run has left in its folder.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Use the bundle's board though it is not the same as this project's: its file chooses what QEMU is started with.
    #[arg(long)]
    trust_bundle: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command; the exit status is that of `e2e`.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let bundle = Bundle::read(&args.bundle)?;
    let manifest = &bundle.manifest;
    let Definitions {
        scenario,
        board,
        others,
    } = definitions(&bundle)?;
    let project = globals.project()?;
    let board = trusted(project.boards(), board, args.trust_bundle)?;
    let trust = |other| trusted(project.boards(), other, args.trust_bundle);
    let others: Vec<_> = others.into_iter().map(trust).collect::<Result<_>>()?;
    let folder = tempfile::tempdir()?;
    let mut parts = args.parts.clone();
    if parts.image.is_none() && manifest.image_included {
        let image = folder.path().join("image.img");
        bundle.write_image(&image)?;
        parts.image = Some(image);
    }
    let kit = parts.kit(project.defaults())?;
    let planned = Planned {
        scenario: &scenario,
        board: &board,
        parts: kit.parts_for(&scenario, &board)?.into(),
        others: kit.parts_beside(&scenario, &board, &others)?,
        checkpoints: None,
        lab: None,
        mac: manifest.mac,
        is_given: parts.image.is_some(),
        reproduce: format!(
            "{} {}{}{}",
            shell::OurCommand("e2e repro"),
            shell::word(&args.bundle.to_string_lossy()),
            match args.trust_bundle {
                true => " --trust-bundle",
                false => "",
            },
            args.parts.words()
        ),
    };
    err!("{}", differences(manifest, &planned.parts)?);
    let made = e2e::carry_out(&project, &[planned], &args.run, Execution::plain())?;
    if let Some(report) = made.runs.first().map(|run| &run.last) {
        // Judged by today's rules, as this run was.
        let then = replay(&Recording::of_bundle(&bundle)?, &scenario, &board, &others);
        let told = comparison(then.failure.as_ref(), report.failure.as_ref());
        args.run.say(&told);
    }
    Ok(ExitCode::from(made.status(OnFlaky::Pass)))
}

/// The project's own board if it is the same as the bundle's, or the bundle's if the user trusts it.
fn trusted(own: &[Board], board: Board, trust: bool) -> Result<Board> {
    let same = |own: &&Board| own.name == board.name && own.sources == board.sources;
    match own.iter().find(same) {
        Some(own) => Ok(own.clone()),
        None if trust => Ok(board),
        None => bail!(
            "the bundle's board {0} is not the same as this project's, and its file chooses what QEMU is started with: read boards/{0}.toml in \
             the bundle (`tar --zstd -xf`) and say --trust-bundle if you trust it",
            board.name
        ),
    }
}

/// What this run is made of that the bundle's was not, a line each.
fn differences(then: &Manifest, now: &Parts) -> Result<String> {
    let mut out = String::new();
    let mut differs = |what: &str, then: &str, now: &str| {
        if then != now {
            let (then, now) = (untrusted(then), untrusted(now));
            out += &format!("note: {what} differs: {then} then, {now} now\n");
        }
    };
    differs("QEMU", &then.qemu, &now.qemu.version);
    differs(
        "the container image",
        &then.container.source,
        &now.container.source,
    );
    for (what, then, path) in [
        ("the disk image", &then.image, &now.image),
        ("the kernel", &then.kernel, &now.kernel),
        ("the initramfs", &then.initramfs, &now.initramfs),
    ] {
        let then_text = format!("sha256 {} ({})", &short(&then.sha256), then.source);
        let now = Item::of(path, "")?;
        if now.sha256 != then.sha256 {
            differs(what, &then_text, &format!("sha256 {}", short(&now.sha256)));
        }
    }
    Ok(out)
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_board_needs_trust() {
        let boards = concat!(env!("CARGO_MANIFEST_DIR"), "/../boards");
        let own = Board::read_all(std::path::Path::new(boards)).unwrap();
        let own = own.as_slice();
        assert!(trusted(own, own[0].clone(), false).is_ok());
        let mut foreign = own[0].clone();
        foreign.sources.first_mut().unwrap().text += "# changed\n";
        let error = trusted(own, foreign.clone(), false).unwrap_err();
        assert!(error.to_string().contains("--trust-bundle"), "{error}");
        let board = trusted(own, foreign.clone(), true).unwrap();
        assert_eq!(board.sources, foreign.sources);
    }
}
