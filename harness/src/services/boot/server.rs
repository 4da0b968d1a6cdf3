//! The boot server's routes.
//!
//! HTTPS: `GET /boot/ipxe` renders the client's script, `GET /files/<path>` sends a file of the client's folder; both answer 403
//! to a client without a certificate. Plain HTTP: `GET /boot/<mac>/boot.ipxe`, and `GET /files/<path>`, which goes by the
//! address that last fetched a script, since a script names its files by absolute paths.
//!
//! A script that cannot be rendered is answered with status 200 and a script that says why: iPXE shows a script's output and no
//! status code's text, and the client's own script starts over when this one comes back.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::path::FilePath;
use super::template::render;
use super::{DataRoot, Folder};
use crate::mac::Mac;
use crate::services::download::{chain, download, unreadable};
use crate::services::{Blob, Error, Peer};

/// The longest boot script in bytes. It is held in memory, here and in iPXE.
const SCRIPT_LIMIT: u64 = 256 * 1024;

/// Name of the template variable with the fingerprint of the client's certificate.
const FINGERPRINT: &str = "client_cert_fingerprint";

/// A boot server: a data root and the variables of its templates.
#[derive(Debug, Clone, Default)]
pub struct BootServer {
    root: DataRoot,
    variables: BTreeMap<String, String>,
}

impl BootServer {
    /// A boot server for this data.
    #[must_use]
    pub fn new(root: DataRoot) -> Self {
        Self {
            root,
            variables: BTreeMap::new(),
        }
    }

    /// Sets a template variable for all clients, as in `s3_endpoint`. The server itself adds `client_cert_fingerprint`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The routes for clients with certificates. Put TLS in front, with
    /// [`client_authority`](crate::services::TlsOptions::client_authority) set.
    pub fn https(self) -> Router {
        Router::new()
            .route("/boot/ipxe", get(client_script))
            .route("/files/{*path}", get(client_file))
            .fallback(nothing_here)
            .with_state(Arc::new(self))
    }

    /// The routes for machines that are known by their hardware address.
    pub fn http(self) -> Router {
        Router::new()
            .route("/boot/{mac}/boot.ipxe", get(machine_script))
            .route("/files/{*path}", get(machine_file))
            .fallback(nothing_here)
            .with_state(Arc::new(Machines {
                server: self,
                addresses: Mutex::default(),
            }))
    }

    /// The answer to a request for the script in `folder`, the folder of `client`.
    async fn script(
        &self,
        folder: Option<&Folder>,
        client: String,
        own: BTreeMap<String, String>,
    ) -> Response {
        let script = match folder.and_then(Folder::boot_script) {
            Some(blob) => read_script(blob).await,
            None => Err(Error::NoBootScript { client }),
        };
        let script = match script {
            Ok(template) => {
                let mut variables = self.variables.clone();
                variables.extend(own);
                render(&template, &variables)
            }
            Err(error) => error_script(&error),
        };
        ([(CONTENT_TYPE, "text/plain; charset=utf-8")], script).into_response()
    }
}

/// The plain-HTTP form, which remembers who fetched which machine's script.
struct Machines {
    server: BootServer,
    addresses: Mutex<HashMap<Ipv4Addr, Mac>>,
}

async fn client_script(
    State(server): State<Arc<BootServer>>,
    Extension(peer): Extension<Peer>,
) -> Response {
    let Some(fingerprint) = peer.fingerprint else {
        return no_certificate();
    };
    let own = [(FINGERPRINT.to_owned(), fingerprint.to_string())].into();
    server
        .script(
            server.root.client(fingerprint),
            fingerprint.to_string(),
            own,
        )
        .await
}

async fn client_file(
    State(server): State<Arc<BootServer>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match peer.fingerprint {
        Some(fingerprint) => file(server.root.client(fingerprint), &uri, &method, &headers).await,
        None => no_certificate(),
    }
}

async fn machine_script(
    State(machines): State<Arc<Machines>>,
    Extension(peer): Extension<Peer>,
    Path(mac): Path<String>,
) -> Response {
    let mac: Mac = match mac.parse() {
        Ok(mac) => mac,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let server = &machines.server;
    let folder = server.root.machine(mac);
    if folder.is_some() {
        let mut addresses = machines
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        addresses.insert(*peer.address.ip(), mac);
    }
    server
        .script(folder, mac.to_string(), BTreeMap::new())
        .await
}

async fn machine_file(
    State(machines): State<Arc<Machines>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let mac = {
        let addresses = machines
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        addresses.get(peer.address.ip()).copied()
    };
    match mac {
        Some(mac) => file(machines.server.root.machine(mac), &uri, &method, &headers).await,
        None => refuse("this address has not fetched /boot/<mac>/boot.ipxe of a known machine yet"),
    }
}

/// The answer to a request for a file of `folder`. The path is taken from the raw URL, so that it is decoded exactly once.
async fn file(
    folder: Option<&Folder>,
    uri: &Uri,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let path = uri.path().strip_prefix("/files/").unwrap_or_default();
    let path = match FilePath::from_url(path) {
        Ok(path) => path,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Some(blob) = folder.and_then(|folder| folder.file(&path)) else {
        return (
            StatusCode::NOT_FOUND,
            format!("there is no file {path} in the client's folder\n"),
        )
            .into_response();
    };
    match download(blob, "application/octet-stream", method, headers).await {
        Ok(response) => response,
        Err(error) => unreadable(&error),
    }
}

async fn nothing_here(uri: Uri) -> Response {
    (
        StatusCode::NOT_FOUND,
        format!("the boot server has nothing at {}\n", uri.path()),
    )
        .into_response()
}

fn no_certificate() -> Response {
    refuse("this needs a client certificate")
}

fn refuse(reason: &str) -> Response {
    (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response()
}

async fn read_script(blob: &Blob) -> Result<String, Error> {
    if blob.len() > SCRIPT_LIMIT {
        return Err(Error::BootScriptTooLong {
            found: blob.len(),
            limit: SCRIPT_LIMIT,
        });
    }
    let bytes = blob.read().await?;
    str::from_utf8(&bytes)
        .map(String::from)
        .map_err(Error::BootScriptNotText)
}

/// A script that shows the error. Only characters without a meaning to iPXE are kept.
fn error_script(error: &Error) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || " .,:/_-()".contains(c) {
            c
        } else {
            ' '
        }
    };
    let text: String = chain(error).chars().map(plain).collect();
    format!("#!ipxe\n\necho The boot server cannot render boot.ipxe: {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_script_that_cannot_do_anything_else() {
        let error = Error::NoBootScript {
            client: "x\nshell ${net0/mac} || poweroff && `a` 'b' \"c\"".into(),
        };
        insta::assert_snapshot!(error_script(&error), @r"
        #!ipxe

        echo The boot server cannot render boot.ipxe: there is no boot.ipxe for x shell   net0/mac     poweroff     a   b   c : add one to the client s folder in the data root
        ");
    }
}
