//! The boot server's routes.
//!
//! | route | answer |
//! | --- | --- |
//! | `/boot/ipxe` (HTTPS) | the client's boot script; 403 without a certificate |
//! | `/boot/<mac>/boot.ipxe` (plain HTTP) | that machine's boot script; its address is that machine's from then on |
//! | `/files/<path>` | a file of the client's folder; 403 for a client that is nobody |
//! | `/secrets/<token>` | the client's secrets, once; no certificate needed |
//! | `/update-cfg` | what git said while it brought the data root to its upstream, if it may; no certificate needed |
//!
//! Before anything is rendered, the client's storage gets a new key; where the storage does not answer, the answer is 500. `secrets` is rendered
//! together with the script that leads to it. Without `secrets`, or when that cannot be rendered, the script's `${secrets_url}` is `None`, as
//! the real server has it.
//!
//! A script that cannot be rendered is answered with status 200 and a script that says why: iPXE shows a script's output and no
//! status code's text, and the client's own script starts over when this one comes back.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};

use super::client::Identification;
use super::path::FilePath;
use super::script::{error_script, rendered};
use super::secrets::{self, Secrets};
use super::storage::Storage;
use super::template::render;
use super::update::{self, Outcome, update};
use super::{Client, DataRoot, Folder, SecretsClock};
use crate::download::{download, unreadable};
use crate::{Error, Peer};
use shakedown_base::mac::Mac;

/// Name of the boot script's template in a client's folder.
const BOOT_SCRIPT: &str = "boot.ipxe";
/// Name of the template of a client's secrets in its folder.
const SECRETS: &str = "secrets";
/// Name of the template variable with the fingerprint of the client's certificate.
const FINGERPRINT: &str = "client_cert_fingerprint";
/// Name of the template variable with the URL of the client's secrets.
const SECRETS_URL: &str = "secrets_url";

/// What `${secrets_url}` is for a client without secrets: how Python prints that there is nothing.
const NO_SECRETS: &str = "None";

/// Values of template variables by name.
type Variables = BTreeMap<String, String>;

/// A boot server: a data root and the variables of its templates.
#[derive(Clone)]
pub struct BootServer {
    root: DataRoot,
    variables: Variables,
    of_clients: HashMap<Client, Variables>,
    storage: HashMap<Client, Storage>,
    clock: SecretsClock,
    secret_lifetime: Duration,
    update_limit: Duration,
}

impl BootServer {
    /// A boot server for this data.
    #[must_use]
    pub fn new(root: DataRoot) -> Self {
        Self {
            root,
            variables: Variables::new(),
            of_clients: HashMap::new(),
            storage: HashMap::new(),
            clock: Arc::new(Instant::now),
            secret_lifetime: secrets::LIFETIME,
            update_limit: update::TIME_LIMIT,
        }
    }

    /// Sets a template variable for all clients, for example `s3_endpoint`. The server itself adds `client_cert_fingerprint` and, in
    /// boot scripts, `secrets_url`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets a template variable for one client, for example `s3_bucket_name`.
    #[must_use]
    pub fn client_variable(mut self, client: Client, name: &str, value: &str) -> Self {
        let variables = self.of_clients.entry(client).or_default();
        variables.insert(name.into(), value.into());
        self
    }

    /// Gives a client storage. Its templates then have the key of the last boot script as `s3_access_key_id` and `s3_access_key`.
    #[must_use]
    pub fn storage(mut self, client: Client, storage: Storage) -> Self {
        self.storage.insert(client, storage);
        self
    }

    /// How long a secret can be fetched after the script with its URL was rendered, and the clock that says so. Without this
    /// it is 60 s of real time.
    #[must_use]
    pub fn secrets(mut self, lifetime: Duration, clock: SecretsClock) -> Self {
        self.secret_lifetime = lifetime;
        self.clock = clock;
        self
    }

    /// A template with the variables in it that a client has with this folder; it has no `${secrets_url}`, which leads to this server.
    #[must_use]
    pub fn rendered(&self, client: Client, folder: &Folder, template: &str) -> String {
        render(template, &self.variables_with(client, folder.variables()))
    }

    /// How long git may take for `/update-cfg`, by default 2 minutes.
    #[must_use]
    pub fn update_limit(mut self, limit: Duration) -> Self {
        self.update_limit = limit;
        self
    }

    /// The routes for clients with certificates. Put TLS in front, with
    /// [`client_authority`](crate::TlsOptions::client_authority) set.
    pub fn https(self) -> Router {
        let routes = Router::new().route("/boot/ipxe", get(client_script));
        self.with_common_routes(routes, Identification::Certificate, "https")
    }

    /// The routes for machines that are known by their hardware address.
    pub fn http(self) -> Router {
        let routes = Router::new().route("/boot/{mac}/boot.ipxe", get(machine_script));
        self.with_common_routes(routes, Identification::Address(Mutex::default()), "http")
    }

    fn with_common_routes(
        self,
        routes: Router<Arc<Site>>,
        identification: Identification,
        scheme: &'static str,
    ) -> Router {
        let site = Site {
            secrets: Secrets::new(Arc::clone(&self.clock), self.secret_lifetime),
            server: self,
            identification,
            scheme,
            update: tokio::sync::Mutex::default(),
        };
        routes
            .route("/files/{*path}", get(file))
            .route("/secrets/{token}", get(secret).head(by_get_alone))
            .route("/update-cfg", get(update_configuration).head(by_get_alone))
            .fallback(nothing_here)
            .with_state(Arc::new(site))
    }

    /// The variables of a client's templates.
    fn variables_of(&self, client: Client) -> Variables {
        self.variables_with(client, &self.root.variables(client))
    }

    fn variables_with(&self, client: Client, of_folder: &Variables) -> Variables {
        let mut variables = self.variables.clone();
        variables.extend(of_folder.clone());
        let own = self.of_clients.get(&client).cloned();
        variables.extend(own.unwrap_or_default());
        if let Client::Certificate(fingerprint) = client {
            variables.insert(FINGERPRINT.into(), fingerprint.to_string());
        }
        variables
    }
}

/// A boot server in one of its forms.
struct Site {
    server: BootServer,
    identification: Identification,
    scheme: &'static str,
    secrets: Secrets,
    /// Updates take turns.
    update: tokio::sync::Mutex<()>,
}

impl Site {
    /// The answer to a client that asks for its script.
    async fn script(&self, client: Client, headers: &HeaderMap) -> Response {
        let (root, mut variables) = (&self.server.root, self.server.variables_of(client));
        match self.server.storage.get(&client).map(Storage::renew) {
            None => {}
            Some(Ok(new)) => {
                let new = [
                    ("s3_access_key_id", new.access_key_id),
                    ("s3_access_key", new.access_key),
                    ("s3_bucket_name", new.bucket),
                ];
                variables.extend(new.map(|(name, value)| (name.to_owned(), value)));
            }
            Some(Err(error)) => return refuse(StatusCode::INTERNAL_SERVER_ERROR, error),
        }
        let secrets_url = match (
            plain_host(headers),
            rendered(root, client, SECRETS, &variables).await,
        ) {
            (Some(host), Ok(secrets)) => {
                let token = self.secrets.announce(secrets);
                format!("{}://{host}/secrets/{token}", self.scheme)
            }
            _ => NO_SECRETS.into(),
        };
        variables.insert(SECRETS_URL.into(), secrets_url);
        let script = rendered(root, client, BOOT_SCRIPT, &variables).await;
        text(script.unwrap_or_else(|error| error_script(&error)))
    }
}

async fn client_script(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    match site.identification.client(&peer) {
        Ok(client) => site.script(client, &headers).await,
        Err(reason) => refuse(StatusCode::FORBIDDEN, reason),
    }
}

async fn machine_script(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    Path(mac): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mac: Mac = match mac.parse() {
        Ok(mac) => mac,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let client = Client::Machine(mac);
    if site.server.root.knows(client) {
        site.identification.remember(&peer, mac);
    }
    site.script(client, &headers).await
}

/// The answer to a request for a file. The path is taken from the raw URL, so that it is decoded exactly once.
async fn file(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let client = match site.identification.client(&peer) {
        Ok(client) => client,
        Err(reason) => return refuse(StatusCode::FORBIDDEN, reason),
    };
    let path = uri.path().strip_prefix("/files/").unwrap_or_default();
    let path = match FilePath::from_url(path) {
        Ok(path) => path,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let answer = match site.server.root.file(client, &path).await {
        Ok(Some(blob)) => download(&blob, "application/octet-stream", &method, &headers).await,
        Ok(None) => {
            let reason = format!("there is no file {path} in the client's folder");
            return refuse(StatusCode::NOT_FOUND, reason);
        }
        Err(error @ Error::Outside { .. }) => {
            return refuse(StatusCode::FORBIDDEN, error.for_clients());
        }
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| unreadable(&error))
}

async fn secret(State(site): State<Arc<Site>>, Path(token): Path<String>) -> Response {
    match site.secrets.take(&token) {
        Some(secret) => text(secret),
        None => refuse(
            StatusCode::NOT_FOUND,
            "this secret is unknown, used or expired",
        ),
    }
}

/// The answer to a `HEAD` request, which must change nothing (RFC 9110, section 9.2.1), where `GET` does change something.
async fn by_get_alone() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response()
}

async fn update_configuration(State(site): State<Arc<Site>>) -> Response {
    let Some(root) = site.server.root.disk().map(ToOwned::to_owned) else {
        return refuse(StatusCode::NOT_FOUND, "the data root is not on disk");
    };
    if !site.server.root.follows_upstream() {
        let reason = "updates are switched off: start the server with --allow-update";
        return refuse(StatusCode::FORBIDDEN, reason);
    }
    let _turn = site.update.lock().await;
    let updated = update(root, site.server.update_limit).await;
    let status = match updated.outcome {
        Outcome::Done => StatusCode::OK,
        Outcome::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        Outcome::TimedOut => StatusCode::GATEWAY_TIMEOUT,
    };
    (status, updated.transcript).into_response()
}

async fn nothing_here(uri: Uri) -> Response {
    let reason = format!("the boot server has nothing at {}", uri.path());
    refuse(StatusCode::NOT_FOUND, reason)
}

/// The `Host` header, if it can be part of a script: it comes from the client, and `${secrets_url}` stands in a command.
fn plain_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_plain)).then_some(host)
}

/// A rendered template, which is another at the next request.
fn text(text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

fn refuse(status: StatusCode, reason: impl std::fmt::Display) -> Response {
    (status, format!("{reason}\n")).into_response()
}
