//! The checks, a room for each part of the contract, and the order in which they are made.

mod cards;
mod console;
mod failures;
mod farm;
mod jobs;
mod network;
mod own_tests;
mod setup;

use std::path::Path;

use anyhow::Result;
use shakedown_services::OciImage;

use crate::outcome::Check;
use setup::Setup;

/// What came of all checks.
#[derive(Debug)]
pub struct Found {
    /// The checks in the order of their numbers.
    pub checks: Vec<Check>,
    /// Memory of the gateway's processes after its jobs, in bytes, the largest first.
    pub memory: Vec<(String, u64)>,
    /// Seconds from the container's start until its REST interface answered.
    pub start_seconds: f64,
}

/// Makes all checks of the gateway in `image`, and runs the server's own tests if there is a folder with the `modules` that they need. Must be called within [`crate::namespace::enter`]. `say` hears what is being done.
///
/// # Errors
/// What keeps the checks from being made at all. A gateway that does not start is no error: its checks differ.
pub fn run(image: &OciImage, modules: Option<&Path>, say: &dyn Fn(&str)) -> Result<Found> {
    let mut setup = Setup::new(image, say)?;
    let mut checks = Vec::new();
    if let Some(modules) = modules {
        say("the server's own tests");
        let states = "the tests that the server's wheel brings pass in the image";
        checks.push(Check::of(
            "G00",
            states,
            own_tests::all(setup.root(), modules),
        ));
    }
    checks.extend(cards::other_numbers(&setup)?);
    say("starting the gateway");
    let (gateway, start_seconds) = match setup.start_and_wait() {
        Ok(started) => started,
        Err(error) => {
            checks.push(Check::of(
                "G01",
                "the gateway starts and answers on its REST interface",
                Err(error),
            ));
            return Ok(Found {
                checks,
                memory: Vec::new(),
                start_seconds: 0.0,
            });
        }
    };
    checks.extend(cards::public(&setup, &gateway));
    checks.extend(network::all(&mut setup));
    let machine = setup.machine();
    checks.extend(farm::all(&setup, &machine));
    checks.extend(jobs::all(&setup, &machine));
    checks.extend(console::all(&setup));
    let mut memory = gateway.memory().unwrap_or_default();
    memory.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    checks.extend(failures::all(&setup, gateway, &machine));
    checks.sort_by_key(|check| check.id);
    Ok(Found {
        checks,
        memory,
        start_seconds,
    })
}
