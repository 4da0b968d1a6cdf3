//! `cargo xtask bench`: measures, and compares within one invocation.
//!
//! The machines that this runs on are shared: they lose CPU to neighbours, and the same loop takes ten times as long a minute later. So
//! whatever is compared is measured side by side in one invocation, ratios come first, and no absolute time is ever asserted. What the
//! host did meanwhile is printed with the figures.

// They panic when standard output is closed: see `shakedown_common::outln`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod boot;
mod compare;
mod cost;
mod figures;
mod fixtures;
mod guest;
mod host;
mod image;
mod kernel_line;
mod net;
mod page_cache;
mod rates;
mod serve;
mod target;
mod transfers;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use shakedown_harness::project::Project;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Compare the whole chain with a direct boot of the same kernel and initramfs.
    Boot(boot::Args),
    /// Measure data rates in the guest, and compare with QEMU's own network interface.
    Net(net::Args),
    /// Let many clients at a time fetch a file from our server, and compare with nginx.
    Serve(serve::Args),
    /// Build, provision, inspect, verify and unpack disk images, and compare with a plain copy.
    Image(cost::Args),
    /// Have the parts of a board's runs, from a filled cache and from downloads alone.
    Fixtures(cost::Args),
    /// Compare what two invocations have written by `--json`.
    Compare(compare::Args),
    /// What `serve` starts: our server.
    #[command(hide = true)]
    ServeFile(serve::ServerArgs),
    /// What `serve` starts: the clients.
    #[command(hide = true)]
    Fetch(serve::ClientsArgs),
}

/// Runs the command; the exit status is 0 when everything could be measured.
///
/// # Errors
/// Something could not be measured at all.
pub fn run(args: &Args, project: &Project) -> Result<ExitCode> {
    match &args.what {
        What::Boot(args) => boot::run(args, project),
        What::Net(args) => net::run(args, project),
        What::Serve(args) => serve::run(args),
        What::Image(args) => image::run(args, project),
        What::Fixtures(args) => fixtures::run(args, project),
        What::Compare(args) => compare::run(args).map(|()| ExitCode::SUCCESS),
        What::ServeFile(args) => serve::run_server(args),
        What::Fetch(args) => serve::run_clients(args),
    }
}
