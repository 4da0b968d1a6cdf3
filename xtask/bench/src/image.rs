//! `cargo xtask bench image`: what is done with disk images, beside a plain copy of the same image.
//!
//! A plain copy writes every block, and what we make and read of images leaves the holes out: that is why most ratios are far below 1.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::image::config_txt::BoardModel;
use shakedown_harness::image::prebuilt::Cache;
use shakedown_harness::image::script::{BootSource, Identity};
use shakedown_harness::image::{provision, source};
use shakedown_harness::services::Authority;
use shakedown_harness::survey::{VerifyOptions, inspect, verify};

use super::cost::{Args, Cost, Costs};
use super::host::Observation;
use shakedown_harness::project::Project;

/// Effort of packing, as `zstd` and `xz` have it by default: what unpacking needs of memory depends on it.
const ZSTD_LEVEL: i32 = 3;
const XZ_PRESET: u32 = 6;

/// Runs the command.
pub(super) fn run(args: &Args, project: &Project) -> Result<ExitCode> {
    let board = project.board(&args.board)?;
    let kit = Kit::open(KitOptions {
        offline: true,
        ..KitOptions::default()
    })?;
    let folder = project.scratch_folder()?;
    let path = |name: &str| folder.path().join(name);
    let (image, output) = (path("prebuilt.img"), path("output.img"));
    let (zst, xz) = (path("prebuilt.img.zst"), path("prebuilt.img.xz"));
    let build = |to: &Path| kit.build_prebuilt(board, board.image.table, Cache::Ext4, to);
    build(&image)?;
    pack(&image, &zst, &xz)?;
    let boot = boot_source()?;
    let options = VerifyOptions {
        models: BoardModel::ALL,
        rom_reads_mbr_only: board.image.rom_reads_mbr_only,
        now: SystemTime::now(),
    };
    let open = |packed: &Path| {
        source::open(packed)?;
        Ok(())
    };
    let work: [(&str, &dyn Fn() -> Result<()>); 7] = [
        ("copy", &|| {
            fs::copy(&image, &output)?;
            Ok(())
        }),
        ("build", &|| Ok(build(&output)?)),
        ("provision", &|| {
            let image = source::open(&image)?;
            Ok(provision::provision(&image, &boot, None, &output)?)
        }),
        ("inspect", &|| {
            inspect::inspect(&source::open(&image)?)?;
            Ok(())
        }),
        ("verify", &|| {
            let found = verify(&source::open(&image)?, &options)?;
            ensure!(
                found.conforms(),
                "the image breaks rules: {:?}",
                found.violations
            );
            Ok(())
        }),
        ("open .zst", &|| open(&zst)),
        ("open .xz", &|| open(&xz)),
    ];
    let observation = Observation::begin()?;
    let mut costs: Vec<_> = work.iter().map(|(name, _)| Costs::new(*name)).collect();
    for _ in 0..args.runs {
        for ((name, work), costs) in work.iter().zip(&mut costs) {
            let ((), cost) = Cost::of(work).with_context(|| format!("{name} has failed"))?;
            costs.each.push(cost);
            // What one has written is not to be replaced at the cost of the next.
            remove(&output)?;
        }
    }
    let host = observation.end()?;
    let (copy, others) = costs.split_first().context("nothing was measured")?;
    let subject = format!("a prebuilt image for {}", board.name);
    args.report("image", subject, copy, others, host)?;
    Ok(ExitCode::SUCCESS)
}

/// Packs an image with zstd and with xz.
fn pack(image: &Path, zst: &Path, xz: &Path) -> Result<()> {
    let from = || File::open(image).context("cannot read the image");
    zstd::stream::copy_encode(from()?, File::create(zst)?, ZSTD_LEVEL)?;
    let mut packer = liblzma::write::XzEncoder::new(File::create(xz)?, XZ_PRESET);
    io::copy(&mut from()?, &mut packer)?;
    packer.finish()?;
    Ok(())
}

/// An identity to provision with.
fn boot_source() -> Result<BootSource> {
    let authority = Authority::generate("bench")?;
    let client = authority.issue_client("bench")?;
    Ok(BootSource::Https {
        server: "https://boot.example".parse()?,
        identity: Some(Identity {
            certificate: client.certificate_der().to_vec(),
            private_key: client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
        }),
        trusted_ca: authority.certificate_der().to_vec(),
    })
}

/// Removes a file that may be there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
