//! DHCP, DNS, NTP and the switch, through a guest's own stack.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use shakedown_base::timeline::{Event, Timeline};
use shakedown_net::lan::{Config, Error, Lan};

use crate::craft::dns_query;
use crate::guest::{GATEWAY, Guest};

const DNS: SocketAddrV4 = SocketAddrV4::new(GATEWAY, 53);
const REGISTRY: Ipv4Addr = Ipv4Addr::new(44, 208, 254, 194);

fn config() -> Config {
    let mut config = Config::default();
    for name in ["docker.io", "*.docker.io"] {
        config.names.insert(name.into(), REGISTRY);
    }
    config
}

fn events(timeline: &Timeline) -> Vec<Event> {
    timeline
        .snapshot()
        .into_iter()
        .map(|record| record.event)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_guest_gets_a_lease_and_renews_it() {
    let timeline = Timeline::start();
    let lan = Lan::start(config(), timeline.clone()).unwrap();
    let mut guest = Guest::plug(&lan, 7);
    let (address, router, dns) = guest.dhcp().await;
    assert_eq!(address.to_string(), "10.0.2.100/24");
    assert_eq!((router, dns), (Some(GATEWAY), vec![GATEWAY]));
    // Half the lease of an hour, and a little.
    guest.run_for(Duration::from_secs(1900)).await;
    let lease = Event::Lease {
        mac: "b8:27:eb:00:00:07".into(),
        address: Ipv4Addr::new(10, 0, 2, 100),
        vendor_class: None,
    };
    assert_eq!(events(&timeline), [lease.clone(), lease]);
}

#[tokio::test(start_paused = true)]
async fn names_are_answered_over_udp_and_tcp() {
    let timeline = Timeline::start();
    let lan = Lan::start(config(), timeline.clone()).unwrap();
    let mut guest = Guest::at(&lan, 50);
    let asked = dns_query("registry-1.docker.io");
    let over_udp = guest.ask(DNS, &asked).await;
    assert_eq!(over_udp[over_udp.len() - 4..], REGISTRY.octets());
    let connection = guest.connect(DNS).await.unwrap();
    let mut framed = u16::try_from(asked.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&asked);
    let over_tcp = guest.converse(connection, &framed, true).await;
    assert_eq!(over_tcp[2..], over_udp);
    let unknown = guest.ask(DNS, &dns_query("example.org")).await;
    assert_eq!(unknown[3] & 0x0f, 3, "NXDOMAIN");
    let name = |query: &str, answer| Event::Dns {
        query: query.into(),
        answer,
    };
    let known = name("registry-1.docker.io", Some(REGISTRY));
    assert_eq!(
        events(&timeline),
        [known.clone(), known, name("example.org", None)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_pool_tells_the_time_that_it_is_told() {
    let timeline = Timeline::start();
    let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let config = config();
    let server = config.ntp[0];
    let lan = Lan::start_with_clock(config, timeline.clone(), clock).unwrap();
    let mut request = [0; 48];
    request[0] = 0x23;
    let reply = Guest::at(&lan, 50)
        .ask(SocketAddrV4::new(server, 123), &request)
        .await;
    let seconds = u32::from_be_bytes(reply[40..44].try_into().unwrap());
    assert_eq!(u64::from(seconds), 1_000_000_000 + 2_208_988_800);
    assert_eq!(events(&timeline), [Event::Ntp { server }]);
}

#[tokio::test(start_paused = true)]
async fn guests_reach_one_another_through_the_switch() {
    let lan = Lan::start(config(), Timeline::start()).unwrap();
    let mut asker = Guest::at(&lan, 50);
    let mut answerer = Guest::at(&lan, 51);
    let answer = tokio::spawn(async move {
        let buffer = || {
            smoltcp::socket::udp::PacketBuffer::new(
                vec![smoltcp::socket::udp::PacketMetadata::EMPTY; 1],
                vec![0; 64],
            )
        };
        let mut socket = smoltcp::socket::udp::Socket::new(buffer(), buffer());
        socket.bind(4000).unwrap();
        let handle = answerer.sockets.add(socket);
        answerer
            .until(|guest| {
                let socket = guest
                    .sockets
                    .get_mut::<smoltcp::socket::udp::Socket<'_>>(handle);
                let (_, from) = socket.recv().ok()?;
                socket.send_slice(b"pong", from.endpoint).unwrap();
                Some(())
            })
            .await;
        answerer.run_for(Duration::from_secs(5)).await;
    });
    let pong = asker
        .ask(
            SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 51), 4000),
            b"ping",
        )
        .await;
    assert_eq!(pong, b"pong");
    answer.await.unwrap();
}

#[tokio::test]
async fn a_port_is_opened_once_and_outside_the_pool() {
    let lan = Lan::start(config(), Timeline::start()).unwrap();
    let listener = lan.listen(REGISTRY, 443).unwrap();
    assert_eq!(
        lan.listen(REGISTRY, 443).unwrap_err(),
        Error::InUse(SocketAddrV4::new(REGISTRY, 443))
    );
    drop(listener);
    drop(lan.listen(REGISTRY, 443).unwrap());
    let pooled = Ipv4Addr::new(10, 0, 2, 100);
    assert_eq!(lan.listen(pooled, 80).unwrap_err(), Error::InPool(pooled));
    assert!(lan.listen(Ipv4Addr::BROADCAST, 80).is_err());
}
