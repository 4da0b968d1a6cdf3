//! `cargo xtask report`: pages for people, made again from the folders of runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use shakedown_harness::report::html::{write_index, write_page};

use crate::project::Project;

/// Arguments of `report`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders of runs whose page is to be made again; without one only the index of all runs is made.
    folders: Vec<PathBuf>,
}

/// Runs the command and says where the pages are.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    for folder in &args.folders {
        println!("{}", write_page(folder)?.display());
    }
    println!(
        "{}",
        write_index(&Project::read()?.runs_folder())?.display()
    );
    Ok(ExitCode::SUCCESS)
}
