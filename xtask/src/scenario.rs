//! `cargo xtask scenario`: make, check and list scenarios; write the schemas that editors check them with.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use shakedown_common::{out, outln};
use shakedown_harness::project::Project;
use shakedown_harness::scenario::draft;
use shakedown_harness::schema;
use shakedown_harness::shell::OurCommand;

use crate::globals::Globals;

/// Arguments of `scenario`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a new scenario that boots Alpine over mutual TLS, to be changed from there.
    New(NewArgs),
    /// Read every board and scenario, and point at what is wrong.
    Check,
    /// List every scenario with its tier and its boards.
    List,
    /// Write the JSON Schemas of boards, chains, scenarios, reports and timelines.
    Schema,
}

#[derive(clap::Args)]
struct NewArgs {
    /// Its name: lower case, with dashes.
    name: String,
    /// The scenario to start from.
    #[arg(long, value_name = "SCENARIO", default_value = "alpine-https")]
    from: String,
}

#[cfg(test)]
impl Args {
    /// The command changes files of the project.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.command, Command::New(_) | Command::Schema)
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.command {
        Command::New(args) => new(args, globals)?,
        Command::Check => check(globals)?,
        Command::List => out!("{}", list(&globals.project()?)),
        Command::Schema => write_schemas(globals.project()?.root())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn new(args: &NewArgs, globals: &Globals) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if args.name.is_empty() || !args.name.chars().all(fits) {
        bail!(
            "`{}` is no name for a scenario: use lower-case letters, digits and dashes",
            args.name
        );
    }
    let project = globals.project()?;
    let (from, _) = project.one(&args.from, None)?;
    let folder = project.scenarios_folder();
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join(format!("{}.toml", args.name));
    let mut file =
        fs::File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(draft(from, &args.name).as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    outln!("made {}, which is {} so far", path.display(), from.name);
    outln!("next: say in it what it shows, then");
    outln!("  {}", OurCommand("scenario check"));
    outln!("  {} {}", OurCommand("e2e"), args.name);
    Ok(())
}

fn check(globals: &Globals) -> Result<()> {
    let project = globals.project()?;
    outln!(
        "all are right; boards: {}, scenarios: {}",
        project.boards().len(),
        project.scenarios().len()
    );
    Ok(())
}

fn list(project: &Project) -> String {
    let rows: Vec<[String; 4]> = project
        .scenarios()
        .iter()
        .map(|s| {
            let tier = format!("{:?}", s.tier).to_lowercase();
            [
                s.name.to_string(),
                tier,
                s.boards.join(", "),
                s.title.clone(),
            ]
        })
        .collect();
    let width = |column: usize| {
        rows.iter()
            .map(|r| r[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, tier, boards) = (width(0), width(1), width(2));
    rows.iter()
        .map(|[a, b, c, d]| format!("{a:name$}  {b:tier$}  {c:boards$}  {d}\n"))
        .collect()
}

fn write_schemas(root: &Path) -> Result<()> {
    let folder = root.join(schema::FOLDER);
    fs::create_dir_all(&folder)?;
    for (file, text) in schema::all() {
        let path = folder.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        outln!("wrote {}/{file}", schema::FOLDER);
    }
    Ok(())
}
