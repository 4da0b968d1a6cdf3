//! The network outside: the registry that the gateway's proxy stands for, a server with boot files, and the power distribution unit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use shakedown_base::timeline::{OutletState, ServiceId, Timeline};
use shakedown_services::{
    Blob, ConfigSpec, Journal, Layer, OciImage, Platform, PowerUnit, Registry, Server, serve,
    serve_pdu,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::network::OUTSIDE;

/// Files that jobs boot, with their lengths: stand-ins for a kernel and an initrd, and one that is longer than 65,535 blocks of 512 bytes.
pub(crate) const FILES: [(&str, usize); 3] = [
    ("kernel", 1_048_577),
    ("initrd", 2_097_155),
    ("long", 33_554_432 + 5),
];
/// The plug that the board hangs on; port 0 is free.
const PORT: u16 = 1;

/// A switching of the board's plug: when, and to what.
pub(crate) type Switched = (Instant, bool);

/// The servers outside.
pub(crate) struct Outside {
    runtime: Runtime,
    unit: PowerUnit,
    plug: watch::Receiver<bool>,
    switched: Arc<Mutex<Vec<Switched>>>,
    requests: Arc<Mutex<BTreeMap<String, u32>>>,
    image: OciImage,
    registry: Option<Server>,
    _servers: Vec<Server>,
}

impl Outside {
    /// Starts all of them. The address must be there.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Runtime::new()?;
        let timeline = Timeline::start();
        let names = vec!["free".into(), "board".into()];
        let (image, requests) = (image()?, Arc::default());
        let (unit, plug, switched, servers) = runtime.block_on(async {
            let (unit, mut switchings) = PowerUnit::start(names, Duration::ZERO, timeline.clone());
            let (power, plug) = watch::channel(false);
            let switched: Arc<Mutex<Vec<Switched>>> = Arc::default();
            let log = switched.clone();
            tokio::spawn(async move {
                while let Some(switching) = switchings.recv().await {
                    if switching.port == PORT {
                        power.send_replace(switching.on);
                        lock(&log).push((Instant::now(), switching.on));
                    }
                    switching.answer(Ok(()));
                }
            });
            let listener = TcpListener::bind((OUTSIDE, 9191)).await?;
            let journal = Journal::new(ServiceId::Power, timeline.clone());
            let pdu = serve_pdu(listener, unit.clone(), journal);
            let files = TcpListener::bind((OUTSIDE, 8080)).await?;
            let journal = Journal::new(ServiceId::Boot, timeline);
            let files = serve(files, files_router(), journal);
            anyhow::Ok((unit, plug, switched, vec![pdu, files]))
        })?;
        let mut outside = Self {
            runtime,
            unit,
            plug,
            switched,
            requests,
            image,
            registry: None,
            _servers: servers,
        };
        outside.set_registry(true)?;
        Ok(outside)
    }

    /// Switches the upstream registry on or off.
    pub(crate) fn set_registry(&mut self, on: bool) -> Result<()> {
        self.registry = None;
        if !on {
            return Ok(());
        }
        let mut registry = Registry::new();
        registry.add("test/image", "latest", &self.image)?;
        let requests = self.requests.clone();
        let count = move |request: Request, next: Next| {
            let path = request.uri().path().to_owned();
            if request.method() == axum::http::Method::GET {
                *lock(&requests).entry(path).or_default() += 1;
            }
            next.run(request)
        };
        let router = registry.router().layer(middleware::from_fn(count));
        self.registry = Some(self.runtime.block_on(async {
            let listener = TcpListener::bind((OUTSIDE, 5000)).await?;
            let journal = Journal::new(ServiceId::Registry, Timeline::start());
            anyhow::Ok(serve(listener, router, journal))
        })?);
        Ok(())
    }

    /// How often the upstream registry was asked for each path by `GET`.
    pub(crate) fn requests(&self) -> BTreeMap<String, u32> {
        lock(&self.requests).clone()
    }

    /// The image in the upstream registry.
    pub(crate) fn image(&self) -> &OciImage {
        &self.image
    }

    /// The board's plug, as it is and changes.
    pub(crate) fn plug(&self) -> watch::Receiver<bool> {
        self.plug.clone()
    }

    /// Whether the board has power.
    pub(crate) fn has_power(&self) -> bool {
        *self.plug.borrow()
    }

    /// All switchings so far.
    pub(crate) fn switched(&self) -> Vec<Switched> {
        lock(&self.switched).clone()
    }

    /// What the unit says of the free port.
    pub(crate) fn free_port(&self) -> Result<OutletState> {
        Ok(self.unit.read(0)?.1)
    }

    /// Waits until the board has power, or none; false when that takes longer than `patience`.
    pub(crate) fn wait_for_power(&self, on: bool, patience: Duration) -> bool {
        let mut plug = self.plug.clone();
        self.runtime.block_on(async {
            let switched = plug.wait_for(|is| *is == on);
            let waited = tokio::time::timeout(patience, switched).await;
            waited.is_ok_and(|switched| switched.is_ok())
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An image of one small layer.
fn image() -> Result<OciImage> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "hello", &b"world"[..])?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar.into_inner()?)?;
    let layer = Layer::from_tar_gz(
        "the test image",
        Blob::from(axum::body::Bytes::from(gzip.finish()?)),
    )
    .context("a layer")?;
    Ok(OciImage::new(
        vec![layer],
        &ConfigSpec::new(Platform::linux_arm64()),
    )?)
}

/// The boot files by name.
fn files_router() -> Router {
    let file = async |axum::extract::Path(name): axum::extract::Path<String>| -> Response {
        let file = FILES.iter().find(|(known, _)| *known == name);
        let (status, body) = match file {
            Some((_, length)) => (StatusCode::OK, vec![b'x'; *length]),
            None => (StatusCode::NOT_FOUND, Vec::new()),
        };
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        response
    };
    Router::new().route("/{name}", get(file))
}
