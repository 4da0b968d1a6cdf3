//! Scratch space: an S3-compatible service with a bucket for each client, which only that client can use.
//!
//! The S3 protocol and its request signatures (AWS Signature Version 4) are the library's; objects are files below a folder. Buckets are
//! addressed by path, for example `http://host:9000/bucket/key`.
//!
//! Buckets are apart by construction: each has a service of its own whose files are below a folder of its own, where there is nothing
//! else. The library resolves `..` in keys, in copy sources and in lists of keys within that folder, so none of them names another bucket.

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{ListObjectsInput, ListObjectsV2Input};
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Request, S3Result, s3_error};
use s3s_fs::FileSystem;

use super::Error;

/// Where an object is copied from, as `/bucket/key`, percent-encoded.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Folder of the service that answers for buckets that nobody has; it stays empty.
const NOBODYS: &str = "nobodys";

/// Scratch space, before it is served.
#[derive(Debug)]
pub struct ScratchSpace {
    root: PathBuf,
    keys: ScratchKeys,
}

/// The keys of the clients of a scratch space, by bucket. Clones are the same keys.
#[derive(Debug, Clone, Default)]
pub struct ScratchKeys(Arc<RwLock<HashMap<String, Credentials>>>);

impl ScratchKeys {
    /// Gives the owner of a bucket a new key, and revokes the last one; `None` when there is no such bucket.
    #[must_use]
    pub fn renew(&self, bucket: &str) -> Option<Credentials> {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get_mut(bucket)?;
        *key = Credentials::random(bucket.into());
        Some(key.clone())
    }

    /// There is a key of this name.
    #[must_use]
    pub fn knows(&self, access_key_id: &str) -> bool {
        self.get(access_key_id).is_some()
    }

    fn add(&self, key: Credentials) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.bucket.clone(), key);
    }

    fn buckets(&self) -> Vec<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.keys().cloned().collect()
    }

    /// The key of this name, if it is still good.
    fn get(&self, access_key_id: &str) -> Option<Credentials> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys = keys.values();
        keys.find(|key| key.access_key_id == access_key_id).cloned()
    }
}

#[async_trait::async_trait]
impl S3Auth for ScratchKeys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.get(access_key) {
            Some(key) => Ok(key.access_key.into()),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "this access key is unknown or revoked"
            )),
        }
    }
}

/// What a client needs to use its bucket. `Debug` leaves the access key out.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the access key.
    pub access_key_id: String,
    /// The access key, which is a secret.
    pub access_key: String,
    /// The client's bucket.
    pub bucket: String,
}

impl Credentials {
    /// A new key for a bucket.
    fn random(bucket: String) -> Self {
        Self {
            access_key_id: format!("scratch{}", random_hex::<6>()),
            access_key: random_hex::<20>(),
            bucket,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl ScratchSpace {
    /// Scratch space without buckets that keeps its objects below `root`, a directory that is created if it is not there.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be made.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        create_directory(&root)?;
        Ok(Self {
            root,
            keys: ScratchKeys::default(),
        })
    }

    /// Makes a bucket for another client.
    ///
    /// # Errors
    /// [`Error::File`] when its directory cannot be made.
    pub fn add_client(&mut self) -> Result<Credentials, Error> {
        let credentials = Credentials::random(format!("scratch-{}", random_hex::<6>()));
        // The inner folder is the bucket, the outer one all that the bucket's service sees.
        let bucket = &credentials.bucket;
        create_directory(&self.root.join(bucket).join(bucket))?;
        self.keys.add(credentials.clone());
        Ok(credentials)
    }

    /// The keys, to be renewed while the service runs.
    #[must_use]
    pub fn keys(&self) -> ScratchKeys {
        self.keys.clone()
    }

    /// The service.
    ///
    /// # Errors
    /// [`Error::ScratchSpace`] when the library refuses a directory, [`Error::File`] when one cannot be created.
    pub fn router(self) -> Result<Router, Error> {
        let nobodys = self.root.join(NOBODYS);
        create_directory(&nobodys)?;
        let services = Arc::new(Services {
            of_buckets: self
                .keys
                .buckets()
                .into_iter()
                .map(|bucket| {
                    let service = self.service(&self.root.join(&bucket), Some(&bucket))?;
                    Ok((bucket, service))
                })
                .collect::<Result<_, Error>>()?,
            nobodys: self.service(&nobodys, None)?,
        });
        let answer = move |request: Request| {
            let services = Arc::clone(&services);
            async move { answer(services.of(request.uri().path()), request).await }
        };
        Ok(Router::new().fallback(answer))
    }

    /// A service that sees the files below `root` alone, and lets in the owner of `bucket` alone. It knows the keys of all clients, so that another client's
    /// is told from a forged one.
    fn service(&self, root: &Path, bucket: Option<&str>) -> Result<S3Service, Error> {
        let files = FileSystem::new(root).map_err(|error| Error::ScratchSpace {
            path: root.into(),
            reason: format!("{error:?}"),
        })?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(self.keys.clone());
        builder.set_access(OwnBucketOnly {
            keys: self.keys.clone(),
            files: root.into(),
            bucket: bucket.map(ToOwned::to_owned),
        });
        Ok(builder.build())
    }
}

/// The services of a scratch space.
struct Services {
    of_buckets: HashMap<String, S3Service>,
    /// What answers for buckets that nobody has.
    nobodys: S3Service,
}

impl Services {
    /// The service of the bucket that `path` of a URL begins with. Should the library read the path in another way, it still finds the files
    /// of this bucket alone.
    fn of(&self, path: &str) -> &S3Service {
        let path = percent_decode_str(path).decode_utf8_lossy();
        let bucket = path.trim_start_matches('/').split('/').next();
        let found = bucket.and_then(|bucket| self.of_buckets.get(bucket));
        found.unwrap_or(&self.nobodys)
    }
}

async fn answer(service: &S3Service, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let reason = format!("the scratch space has failed: {error:?}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response()
        }
    }
}

/// Lets the owner of a bucket into it, and nobody else.
struct OwnBucketOnly {
    keys: ScratchKeys,
    /// Where its objects are, by bucket and key.
    files: PathBuf,
    bucket: Option<String>,
}

impl OwnBucketOnly {
    /// The request reads a prefix of keys as if it were a key. The library finds a folder there, and fails in a way that clients take for a
    /// broken server.
    fn reads_prefix(&self, context: &S3AccessContext<'_>) -> bool {
        let S3Path::Object { bucket, key } = context.s3_path() else {
            return false;
        };
        let path = Path::new(&**bucket).join(&**key);
        let is_below = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let reads = matches!(*context.method(), Method::GET | Method::HEAD);
        reads && is_below && self.files.join(path).is_dir()
    }
}

#[async_trait::async_trait]
impl S3Access for OwnBucketOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let shown = context.credentials().map(|shown| shown.access_key.as_str());
        let owner = shown.and_then(|shown| self.keys.get(shown));
        let owner = owner.filter(|owner| self.bucket.as_ref() == Some(&owner.bucket));
        let wanted = match context.s3_path() {
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => Some(bucket),
            // All buckets of all clients.
            S3Path::Root => None,
        };
        let is_own = |bucket: &str| owner.as_ref().is_some_and(|owner| owner.bucket == bucket);
        let copies_own = copy_source(context.headers()).is_none_or(|bucket| is_own(&bucket));
        if !(wanted.is_some_and(|bucket| is_own(bucket)) && copies_own) {
            return Err(s3_error!(
                AccessDenied,
                "this access key opens another bucket"
            ));
        }
        if self.reads_prefix(context) {
            return Err(s3_error!(NoSuchKey, "there is no such object"));
        }
        Ok(())
    }

    async fn list_objects(&self, request: &mut S3Request<ListObjectsInput>) -> S3Result<()> {
        without_empty(&mut request.input.delimiter);
        Ok(())
    }

    async fn list_objects_v2(&self, request: &mut S3Request<ListObjectsV2Input>) -> S3Result<()> {
        without_empty(&mut request.input.delimiter);
        Ok(())
    }
}

/// Drops an empty delimiter, which the MinIO client sends and which means that there is none. With it the library cuts each key after its first
/// letter.
fn without_empty(delimiter: &mut Option<String>) {
    delimiter.take_if(|delimiter| delimiter.is_empty());
}

/// The bucket that an object is copied from.
fn copy_source(headers: &HeaderMap) -> Option<String> {
    let source = headers.get(COPY_SOURCE)?;
    let path = percent_decode_str(source.to_str().unwrap_or_default()).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    Some(path.split('/').next().unwrap_or_default().to_owned())
}

fn create_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::File {
        path: path.into(),
        source,
    })
}

fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes[..]);
    hex::encode(bytes)
}
