//! G04 and G06 to G08: what the private network has for everybody.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::setup::{Setup, address, netboot};
use crate::outcome::Check;
use crate::wire::{self, Client, Kind};
use crate::world::{GATEWAY_PRIVATE, PRIVATE_CARD, give_address};

/// Two hosts of the private network.
const ONE: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 201);
const TWO: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 202);
/// Where the gateway's registry proxy is.
const PROXY: u16 = 8002;

/// All of them, in order.
pub(super) fn all(setup: &mut Setup<'_>) -> Vec<Check> {
    let addresses = give_address(ONE).and_then(|()| give_address(TWO));
    setup.say("G04: DHCP");
    let mut checks = vec![
        Check::of(
            "G04a",
            "DISCOVER, OFFER, REQUEST, ACK give an address of the private network, router, name server and a lease of a day",
            lease(),
        ),
        Check::of(
            "G04b",
            "two machines get two addresses, and each the same again",
            distinct(),
        ),
    ];
    setup.say("G07, G08: time and names");
    checks.push(Check::of(
        "G07",
        "the gateway's clock can be had by NTP",
        addresses.and_then(|()| time()),
    ));
    checks.push(Check::of(
        "G08",
        "the name ci-gateway resolves on the private side",
        name(),
    ));
    setup.say("G06: the registry's proxy");
    let proxied = proxied(setup);
    checks.push(Check::of(
        "G06a",
        "the upstream registry hands each blob out once for two machines",
        proxied,
    ));
    checks.push(Check::of(
        "G06b",
        "and none while it is gone: the proxy has it",
        offline(setup),
    ));
    checks
}

fn lease() -> Result<String> {
    let client = Client {
        mac: [0x52, 0x54, 0, 0x42, 0, 0x10],
        architecture: None,
        user_class: None,
    };
    let offer = wire::exchange(PRIVATE_CARD, &client, Kind::Discover, None)?.context("no offer")?;
    ensure!(
        offer.kind == 2,
        "a DISCOVER was answered with message {}",
        offer.kind
    );
    let ack = wire::exchange(PRIVATE_CARD, &client, Kind::Request, None)?
        .context("no acknowledgement")?;
    ensure!(
        ack.kind == 5,
        "a REQUEST was answered with message {}",
        ack.kind
    );
    ensure!(
        ack.address == offer.address,
        "offered {}, acknowledged {}",
        offer.address,
        ack.address
    );
    let [a, b, c, d] = ack.address.octets();
    ensure!(
        [a, b, c] == [10, 42, 0] && d != 0 && d != 1,
        "{} is not of the private network",
        ack.address
    );
    for (option, what) in [(3, "router"), (6, "name server"), (54, "server")] {
        let is = address(ack.options.get(&option));
        ensure!(
            is == Some(GATEWAY_PRIVATE),
            "{what} (option {option}) is {is:?}"
        );
    }
    let seconds = ack
        .options
        .get(&51)
        .and_then(|v| <[u8; 4]>::try_from(v.as_slice()).ok());
    ensure!(
        seconds.map(u32::from_be_bytes) == Some(86_400),
        "the lease is {seconds:?}"
    );
    Ok(format!(
        "{}, options {:?}",
        ack.address,
        ack.options.keys().collect::<Vec<_>>()
    ))
}

fn distinct() -> Result<String> {
    let client = |last| Client {
        mac: [0x52, 0x54, 0, 0x42, 0, last],
        architecture: None,
        user_class: None,
    };
    let ask = |last| -> Result<Ipv4Addr> {
        let lease = wire::exchange(PRIVATE_CARD, &client(last), Kind::Request, None)?;
        Ok(lease.context("no acknowledgement")?.address)
    };
    let (first, second, again) = (ask(0x11)?, ask(0x12)?, ask(0x11)?);
    ensure!(first != second, "both got {first}");
    ensure!(first == again, "{first} became {again}");
    Ok(format!("{first} and {second}"))
}

fn time() -> Result<String> {
    let time = wire::ask_time(ONE, GATEWAY_PRIVATE)?;
    ensure!(
        time.stratum > 0 && time.stratum < 16,
        "stratum {}",
        time.stratum
    );
    ensure!(
        time.offset < Duration::from_secs(3),
        "{:?} away",
        time.offset
    );
    Ok(format!("stratum {}", time.stratum))
}

fn name() -> Result<String> {
    let address = wire::address_of(ONE, GATEWAY_PRIVATE, "ci-gateway")?;
    ensure!(address == GATEWAY_PRIVATE, "it is {address}");
    Ok(address.to_string())
}

/// Pulls the test image from an address; the paths asked for.
fn pull(setup: &Setup<'_>, from: Ipv4Addr) -> Result<Vec<String>> {
    let to = SocketAddrV4::new(GATEWAY_PRIVATE, PROXY);
    let image = setup.outside.image();
    let layer = image.layers().first().context("no layer")?.digest();
    let paths = [
        format!("/v2/test/image/manifests/{}", image.digest()),
        format!("/v2/test/image/blobs/{}", image.config().digest),
        format!("/v2/test/image/blobs/{layer}"),
    ];
    for path in &paths {
        let answer = wire::request(from, to, "GET", path, None)?;
        ensure!(
            answer.status == 200,
            "{path}: status {}: {}",
            answer.status,
            answer.text()
        );
    }
    Ok(paths.to_vec())
}

fn proxied(setup: &Setup<'_>) -> Result<String> {
    // The proxy of Debian's registry ends at once when upstream is not there, and is started again.
    let to = SocketAddrV4::new(GATEWAY_PRIVATE, PROXY);
    setup.wait(
        Duration::from_secs(70),
        "the registry's proxy answers",
        || {
            wire::request(ONE, to, "GET", "/v2/", None)
                .ok()
                .filter(|answer| answer.status == 200)
        },
    )?;
    let paths = pull(setup, ONE)?;
    // A blob is stored after it was passed on.
    let stored = || pull(setup, TWO).ok();
    setup.wait(
        Duration::from_secs(10),
        "a second machine gets the image",
        stored,
    )?;
    let requests = setup.outside.requests();
    for path in paths.iter().filter(|path| path.contains("/blobs/")) {
        let times = requests.get(path).copied().unwrap_or(0);
        ensure!(times == 1, "upstream was asked {times} times for {path}");
    }
    Ok(format!("{} blobs, each once", paths.len() - 1))
}

fn offline(setup: &mut Setup<'_>) -> Result<String> {
    setup.outside.set_registry(false)?;
    let pulled = pull(setup, TWO);
    setup.outside.set_registry(true)?;
    Ok(format!("{} files from its cache", pulled?.len()))
}

/// G04 for boards of other kinds: what a board is told to load, by architecture. Needs a job that is running for each, so only what the gateway
/// says without one is seen here.
pub(super) fn without_job(mac: [u8; 6]) -> Result<bool> {
    let lease = wire::exchange(PRIVATE_CARD, &netboot(mac, 0, None), Kind::Discover, None)?;
    Ok(lease.context("no offer")?.options.contains_key(&67))
}
