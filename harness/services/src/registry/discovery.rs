//! What there is: tags, and what refers to a manifest (OCI distribution specification, "Content Discovery").

use axum::Json;
use axum::extract::Query;
use axum::http::Uri;
use axum::http::header::{CONTENT_TYPE, HeaderName, LINK};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::headers::with_header;
use super::service::Service;
use super::store::Repository;
use crate::oci::{Document, INDEX};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Which part of a list is wanted.
#[derive(Deserialize)]
struct Page {
    n: Option<usize>,
    last: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    artifact_type: Option<String>,
}

/// What a manifest says of itself and of what it refers to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    artifact_type: Option<String>,
    config: Option<Config>,
    subject: Option<Subject>,
    #[serde(default)]
    annotations: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// What a manifest refers to, by a digest of any algorithm.
#[derive(Deserialize)]
pub(super) struct Subject {
    pub(super) digest: String,
}

impl Service {
    /// The tags in alphabetical order: all, or a page of them with a link to the next.
    pub(super) fn tags(&self, name: &str, query: &str) -> Result<Response, Refusal> {
        let page: Page = parse(query)?;
        let content = self.read();
        let after = |tag: &&str| page.last.as_ref().is_none_or(|last| *tag > last.as_str());
        let mut tags: Vec<&str> = content.repository(name)?.tags().filter(after).collect();
        let more = page.n.is_some_and(|n| tags.len() > n);
        tags.truncate(page.n.unwrap_or(usize::MAX));
        let next = tags.last().filter(|_| more);
        let next = next.map(|last| {
            let n = tags.len();
            format!(r#"</v2/{name}/tags/list?n={n}&last={last}>; rel="next""#)
        });
        let response = Json(json!({ "name": name, "tags": tags })).into_response();
        Ok(match next {
            Some(next) => with_header(response, LINK, &next),
            None => response,
        })
    }

    /// An index of the manifests whose subject has this digest; an empty one for a repository that is not there, since 404 would say that
    /// the registry does not know of referrers (OCI distribution specification, "Listing Referrers").
    pub(super) fn referrers(
        &self,
        name: &str,
        subject: &str,
        query: &str,
    ) -> Result<Response, Refusal> {
        let filter: Filter = parse(query)?;
        let content = self.read();
        let all = content.repository(name).map(Repository::manifests);
        let referrers = all.unwrap_or_default();
        let referrers = referrers.into_iter().filter_map(|d| descriptor(d, subject));
        let wanted = |(kind, _): &(Option<String>, Value)| {
            filter.artifact_type.is_none() || filter.artifact_type == *kind
        };
        let manifests: Vec<_> = referrers.filter(wanted).map(|(_, value)| value).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let response = ([(CONTENT_TYPE, INDEX)], index.to_string()).into_response();
        Ok(match filter.artifact_type {
            Some(_) => with_header(response, FILTERS_APPLIED, "artifactType"),
            None => response,
        })
    }
}

/// The type of the artifact in `document`, if it has one, and its descriptor, if it refers to `subject`.
fn descriptor(document: &Document, subject: &str) -> Option<(Option<String>, Value)> {
    let referrer: Referrer = serde_json::from_slice(&document.bytes).ok()?;
    referrer.subject.filter(|target| target.digest == subject)?;
    let from_config = referrer.config.map(|config| config.media_type);
    let kind = referrer.artifact_type.or(from_config);
    let mut value = json!({
        "mediaType": document.media_type,
        "digest": document.digest,
        "size": document.bytes.len(),
    });
    if let Some(kind) = &kind {
        value["artifactType"] = kind.clone().into();
    }
    if !referrer.annotations.is_empty() {
        value["annotations"] = referrer.annotations.into();
    }
    Some((kind, value))
}

/// The parameters of a query.
pub(super) fn parse<T: serde::de::DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    let refused = || Refusal::NoRoute(query.into());
    let uri: Uri = format!("/?{query}").parse().map_err(|_| refused())?;
    Query::try_from_uri(&uri)
        .map(|Query(parsed)| parsed)
        .map_err(|_| refused())
}
