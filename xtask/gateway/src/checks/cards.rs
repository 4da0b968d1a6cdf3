//! G01 to G03: which card is which, and that nothing of the gateway is on the wrong one.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::setup::{Setup, last_lines};
use crate::outcome::Check;
use crate::wire::{self, Client, Kind, udp_on};
use crate::world::{Cards, Container, PRIVATE_CARD, PUBLIC_CARD};

/// Longest that a gateway may take to see that it has the wrong cards: ten seconds of waiting for them, and its own start.
const GIVES_UP: Duration = Duration::from_secs(40);

/// G02: gateways with other cards.
pub(super) fn other_numbers(setup: &Setup<'_>) -> Result<Vec<Check>> {
    let refused = |cards: Cards| -> Result<String> {
        let mut gateway = setup.start(cards, "64m")?;
        let ended = gateway.wait_for_end(GIVES_UP)?;
        let log = gateway.log().text();
        let said = log.trim_end().lines().last().unwrap_or_default();
        ensure!(ended, "it went on: {said}");
        ensure!(
            said.contains("card") || said.contains("interface"),
            "it ended and did not say that it is the cards: {said}"
        );
        Ok(said.to_owned())
    };
    let mut checks = Vec::new();
    for (id, states, cards) in [
        ("G02a", "three cards: a clear failure", Cards::Three),
        ("G02b", "one card: a clear failure", Cards::One),
        (
            "G02c",
            "two cards without an address: a clear failure",
            Cards::NoAddress,
        ),
    ] {
        setup.say(&format!("{id}: {states}"));
        checks.push(Check::of(id, states, refused(cards)));
    }
    let private = |cards: Cards| -> Result<String> {
        let gateway = setup.start(cards, "64m")?;
        setup.wait_until_up()?;
        let lease = wire::exchange(PRIVATE_CARD, &unknown_client(), Kind::Discover, None)?;
        ensure!(
            lease.is_some(),
            "no DHCP on the private side: {}",
            last_lines(&gateway.log().text())
        );
        gateway.cut()?;
        Ok("its DHCP answers on the private side".into())
    };
    setup.say("G02d: the second card comes late");
    checks.push(Check::of(
        "G02d",
        "a card that comes three seconds late is waited for",
        private(Cards::Late),
    ));
    setup.say("G01b: the cards the other way round");
    checks.push(Check::of(
        "G01b",
        "the card with the address is public, whatever its name",
        private(Cards::TwoSwapped),
    ));
    Ok(checks)
}

/// G01 and G03: the public side of a gateway that runs.
pub(super) fn public(setup: &Setup<'_>, gateway: &Container) -> Vec<Check> {
    setup.say("G01, G03: the public side");
    let kept = || -> Result<String> {
        let answer = setup.get("/api/v1/full-state")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        // A client that wanted a lease would ask from the start, again and again.
        let socket = udp_on(PUBLIC_CARD, 67, Duration::from_secs(5))?;
        let heard = socket.recv(&mut [0; 1024]).is_ok();
        ensure!(!heard, "a DHCP request on the public wire");
        Ok("the address that it was started with answers; no DHCP request in 5 s".into())
    };
    let silent = || -> Result<String> {
        let patience = Some(Duration::from_secs(3));
        let answer = wire::exchange(PUBLIC_CARD, &unknown_client(), Kind::Discover, patience)?;
        ensure!(
            answer.is_none(),
            "it offered {:?} on the public side",
            answer.map(|lease| lease.address)
        );
        let private = wire::exchange(PRIVATE_CARD, &unknown_client(), Kind::Discover, None)?;
        ensure!(
            private.is_some(),
            "no answer on the private side either: {}",
            last_lines(&gateway.log().text())
        );
        Ok("none in 3 s, and one on the private side".into())
    };
    vec![
        Check::of(
            "G01a",
            "the card with b2c's lease is public, keeps its address, and no second DHCP request is made",
            kept(),
        ),
        Check::of("G03", "no DHCP answer leaves on the public side", silent()),
    ]
}

/// A client that does not boot from the network.
fn unknown_client() -> Client {
    Client {
        mac: [0x52, 0x54, 0, 0x42, 0, 0x99],
        architecture: None,
        user_class: None,
    }
}
