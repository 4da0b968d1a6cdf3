//! The LAN as a whole: starting it, plugging NICs in, opening ports.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cables::{Cable, Cables};
use super::config::check_unicast;
use super::dhcp;
use super::dialler::{Dialler, Links};
use super::dns::{self, Zone};
use super::host::{Binding, Host};
use super::ntp::{self, Clock, Ntp};
use super::observe::Counters;
use super::port::Port;
use super::segment::Segment;
use super::sockets::Sockets;
use super::switch::Switch;
use super::tcp::{Link, TcpListener};
use super::tftp::{self, TftpFiles};
use super::udp::Service;
use super::{Config, Error, Observed, Statistics};
use shakedown_base::timeline::{ServiceId, Timeline};
use shakedown_base::wire::WireEnd;

/// A running LAN. Dropping it ends its tasks and breaks its connections.
pub struct Lan {
    host: Arc<Host>,
    switch: Arc<Switch>,
    links: Arc<Links>,
    cables: Cables,
    name: Arc<str>,
    started: Instant,
    _stop: DropGuard,
}

impl std::fmt::Debug for Lan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lan")
            .field("config", &self.host.config)
            .finish_non_exhaustive()
    }
}

impl Lan {
    /// The name of the segment that the gateway is on.
    pub const SEGMENT: &str = "lan";

    /// Starts a LAN whose NTP servers tell the time of this machine.
    ///
    /// # Errors
    /// What [`Config::check`] finds.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer.
    pub fn start(config: Config, timeline: Timeline) -> Result<Self, Error> {
        Self::start_with_clock(config, timeline, Arc::new(SystemTime::now))
    }

    /// Starts a LAN whose NTP servers tell another time.
    ///
    /// # Errors
    /// What [`Config::check`] finds.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer.
    pub fn start_with_clock(
        config: Config,
        timeline: Timeline,
        clock: Clock,
    ) -> Result<Self, Error> {
        config.check()?;
        let zone = Arc::new(Zone::new(&config.names));
        let gateway = vec![config.gateway];
        let bind = |port, addresses, takes_broadcast, service: Box<dyn Service>| Binding {
            port,
            addresses,
            takes_broadcast,
            service: Mutex::new(service),
        };
        let bindings = vec![
            bind(
                dhcp::PORT,
                gateway.clone(),
                true,
                Box::new(dhcp::Server::new(&config)),
            ),
            bind(dns::PORT, gateway, false, Box::new(Arc::clone(&zone))),
            bind(
                ntp::PORT,
                config.ntp.clone(),
                false,
                Box::new(Ntp { clock }),
            ),
        ];
        let running = CancellationToken::new();
        let lan = Self {
            host: Arc::new(Host {
                config,
                bindings,
                registry: Arc::default(),
                reassembly: Mutex::default(),
                sockets: Sockets::default(),
                counters: Arc::new(Counters::default()),
                timeline: timeline.clone(),
            }),
            switch: Arc::default(),
            links: Arc::default(),
            cables: Cables::new(timeline.clone(), running.clone()),
            name: Self::SEGMENT.into(),
            started: Instant::now(),
            _stop: running.drop_guard(),
        };
        let names = lan.listen(lan.host.config.gateway, dns::PORT)?;
        lan.cables.spawn(dns::serve(names, zone, timeline));
        Ok(lan)
    }

    /// Plugs a cable into a new switch port and returns its other end, for a NIC. The port is gone when that end is dropped.
    #[must_use]
    pub fn attach(&self) -> WireEnd {
        self.attach_as("")
    }

    /// The same for somebody whom observers shall know by this name.
    #[must_use]
    pub fn attach_as(&self, who: &str) -> WireEnd {
        let Cable {
            egress,
            frames,
            far,
        } = self.cables.lay(&self.name, who, &self.host.counters);
        self.switch.plug(Arc::clone(&egress));
        let registry = Arc::clone(&self.host.registry);
        let link = Link::new(Arc::clone(&egress), registry);
        self.links.add(egress.port, &link);
        let port = Port {
            link,
            egress,
            host: Arc::clone(&self.host),
            switch: Arc::clone(&self.switch),
            started: self.started,
        };
        self.cables.spawn(port.run(frames));
        far
    }

    /// A segment beside this one, which nothing of this LAN is on. It has this name where frames are observed.
    #[must_use]
    pub fn segment(&self, name: &str) -> Segment {
        Segment::new(name, self.cables.clone())
    }

    /// Opens a TCP port at any unicast address outside the DHCP pool. Addresses off the segment are reached through the gateway.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::InPool`], [`Error::Unicast`].
    pub fn listen(&self, address: Ipv4Addr, port: u16) -> Result<TcpListener, Error> {
        check_unicast("listening address", address)?;
        if self.host.config.in_pool(address) {
            return Err(Error::InPool(address));
        }
        let local = SocketAddrV4::new(address, port);
        let registry = Arc::clone(&self.host.registry);
        Ok(TcpListener::new(local, registry.open(local)?, registry))
    }

    /// Dials guests from the gateway's address.
    #[must_use]
    pub fn dialler(&self) -> Dialler {
        Dialler {
            gateway: self.host.config.gateway,
            switch: Arc::clone(&self.switch),
            links: Arc::clone(&self.links),
        }
    }

    /// Hands out files by TFTP, read only, at any unicast address outside the DHCP pool, until the LAN ends. Each transfer is a
    /// request of `service` on the timeline, with the method `RRQ`.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::InPool`], [`Error::Unicast`].
    pub fn serve_tftp(
        &self,
        address: Ipv4Addr,
        service: ServiceId,
        files: impl TftpFiles,
    ) -> Result<(), Error> {
        check_unicast("address of the tftp server,", address)?;
        if self.host.config.in_pool(address) {
            return Err(Error::InPool(address));
        }
        let ports = vec![tftp::PORT..=tftp::PORT, tftp::TRANSFERS];
        let switch = Arc::clone(&self.switch);
        let socket = self.host.sockets.open(address, ports, switch)?;
        let timeline = self.host.timeline.clone();
        self.cables
            .spawn(tftp::serve(socket, service, files, timeline, self.started));
        Ok(())
    }

    /// Sees every frame from now on, those of its [`segment`](Self::segment)s included. An observer that falls thousands of frames behind misses the oldest and is told how many.
    #[must_use]
    pub fn observe(&self) -> broadcast::Receiver<Observed> {
        self.cables.observe()
    }

    /// Counters since the start.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.host.counters.read()
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.host.config
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.host.registry.close_all();
        self.host.sockets.close_all();
    }
}
