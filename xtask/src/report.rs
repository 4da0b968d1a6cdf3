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
    /// Make the index of the runs in this folder, by default `target/shakedown`.
    #[arg(long, value_name = "FOLDER")]
    index: Option<PathBuf>,
}

/// Runs the command and says where the pages are.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    for folder in &args.folders {
        println!("{}", write_page(folder)?.display());
    }
    let index = match &args.index {
        Some(folder) => folder.clone(),
        None => Project::read()?.runs_folder(),
    };
    println!("{}", write_index(&index)?.display());
    Ok(ExitCode::SUCCESS)
}
