//! Scratch space: an S3-compatible service with a bucket for each client, which only that client can use.
//!
//! The S3 protocol and its request signatures (AWS Signature Version 4) are the library's; objects are files below a folder. Buckets are
//! addressed by path, as in `http://host:9000/bucket/key`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;

use super::Error;

/// Where an object is copied from, as `/bucket/key`, percent-encoded.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Scratch space, before it is served.
#[derive(Debug)]
pub struct ScratchSpace {
    root: PathBuf,
    /// Access keys by their ids.
    keys: HashMap<String, String>,
    /// Buckets by the ids of the access keys that open them.
    buckets: HashMap<String, String>,
}

/// What a client needs to use its bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the access key.
    pub access_key_id: String,
    /// The access key, which is a secret.
    pub access_key: String,
    /// The client's bucket.
    pub bucket: String,
}

impl ScratchSpace {
    /// Scratch space without buckets that keeps its objects below `root`, a directory that is made if need be.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be made.
    pub fn new(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        create_directory(&root)?;
        Ok(Self {
            root,
            keys: HashMap::new(),
            buckets: HashMap::new(),
        })
    }

    /// Makes a bucket for another client.
    ///
    /// # Errors
    /// [`Error::File`] when its directory cannot be made.
    pub fn add_client(&mut self) -> Result<Credentials, Error> {
        let credentials = Credentials {
            access_key_id: format!("scratch{}", random_hex::<6>()),
            access_key: random_hex::<20>(),
            bucket: format!("scratch-{}", random_hex::<6>()),
        };
        create_directory(&self.root.join(&credentials.bucket))?;
        let id = &credentials.access_key_id;
        self.keys.insert(id.clone(), credentials.access_key.clone());
        self.buckets.insert(id.clone(), credentials.bucket.clone());
        Ok(credentials)
    }

    /// The service.
    ///
    /// # Errors
    /// [`Error::ScratchSpace`] when the library refuses the directory.
    pub fn router(self) -> Result<Router, Error> {
        let files = FileSystem::new(&self.root).map_err(|error| Error::ScratchSpace {
            path: self.root.clone(),
            reason: format!("{error:?}"),
        })?;
        let mut keys = SimpleAuth::new();
        for (id, key) in self.keys {
            keys.register(id, key.into());
        }
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(keys);
        builder.set_access(OwnBucketOnly(self.buckets));
        let service = builder.build();
        Ok(Router::new().fallback(move |request| answer(service.clone(), request)))
    }
}

async fn answer(service: S3Service, request: Request) -> Response {
    match service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let reason = format!("the scratch space has failed: {error:?}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response()
        }
    }
}

/// Lets a client into the bucket that its access key opens, and nobody without a key anywhere.
struct OwnBucketOnly(HashMap<String, String>);

#[async_trait::async_trait]
impl S3Access for OwnBucketOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let own = context.credentials();
        let own = own.and_then(|credentials| self.0.get(&credentials.access_key));
        let wanted = match context.s3_path() {
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => Some(bucket),
            // All buckets of all clients.
            S3Path::Root => None,
        };
        let is_own = |bucket: &str| own.is_some_and(|own| own == bucket);
        let copies_own = copy_source(context.headers()).is_none_or(|bucket| is_own(&bucket));
        if wanted.is_some_and(|bucket| is_own(bucket)) && copies_own {
            Ok(())
        } else {
            Err(s3_error!(
                AccessDenied,
                "this access key opens another bucket"
            ))
        }
    }
}

/// The bucket that an object is to be copied from.
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
