//! `cargo xtask e2e repro`: the run of a bundle once more, on this machine, by its own definitions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use shakedown_harness::report::bundle::{Bundle, Item, Manifest};
use shakedown_harness::report::comparison;
use shakedown_harness::run::{Parts, Recording, replay};
use shakedown_harness::shell;

use crate::e2e::{self, Planned, RunArgs};
use crate::globals::Globals;
use crate::replay::definitions;
use shakedown_common::PartsArgs;

/// Arguments of `e2e repro`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The bundle that a failed run has left in its folder.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command; the exit status is that of `e2e`.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let bundle = Bundle::read(&args.bundle)?;
    let manifest = &bundle.manifest;
    let (scenario, board) = definitions(&bundle)?;
    let folder = tempfile::tempdir()?;
    let mut parts = args.parts.clone();
    if parts.image.is_none() && manifest.image_included {
        let image = folder.path().join("image.img");
        bundle.write_image(&image)?;
        parts.image = Some(image);
    }
    let project = globals.project()?;
    let kit = parts.kit(project.defaults())?;
    let planned = Planned {
        scenario: &scenario,
        board: &board,
        parts: kit.parts(&board)?.into(),
        checkpoints: None,
        mac: manifest.mac,
        is_given: parts.image.is_some(),
        reproduce: format!(
            "{} {}{}",
            shell::OurCommand("e2e repro"),
            shell::word(&args.bundle.to_string_lossy()),
            args.parts.words()
        ),
    };
    eprint!("{}", differences(manifest, &planned.parts)?);
    let reports = e2e::carry_out(&project, &[planned], &args.run, 1)?;
    if let Some(report) = reports.first() {
        // Judged by today's rules, as this run was.
        let then = replay(&Recording::of_bundle(&bundle)?, &scenario, &board);
        let told = comparison(then.failure.as_ref(), report.failure.as_ref());
        args.run.say(&told);
    }
    Ok(e2e::exit_code(&reports))
}

/// What this run is made of that the bundle's was not, a line each.
fn differences(then: &Manifest, now: &Parts) -> Result<String> {
    let mut out = String::new();
    let mut differs = |what: &str, then: &str, now: &str| {
        if then != now {
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
