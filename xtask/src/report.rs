//! `cargo xtask report`: pages for people, made again from the folders of runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use shakedown_harness::report::html::{write_index, write_page};

use crate::globals::Globals;

/// Arguments of `report`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folders of runs whose page is to be made again; without one only the index of all runs is made.
    folders: Vec<PathBuf>,
    /// Make the index of the runs in this folder, by default `target/shakedown`.
    #[arg(long, value_name = "FOLDER")]
    index: Option<PathBuf>,
}

/// Runs the command and says where the pages are; the exit status is 1 when one could not be made.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let mut failed = false;
    for folder in &args.folders {
        match write_page(folder) {
            Ok(page) => println!("{}", page.display()),
            Err(e) => {
                failed = true;
                eprintln!("error: {e}");
            }
        }
    }
    let index = match &args.index {
        Some(folder) => folder.clone(),
        None => globals.project()?.runs_folder().to_path_buf(),
    };
    println!("{}", write_index(&index)?.display());
    Ok(match failed {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    })
}
