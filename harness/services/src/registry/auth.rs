//! Token authentication, as Docker Hub does it (Docker registry token authentication; RFC 6750 for the challenge).
//!
//! A client without a token is answered 401 with the address of the token server, its realm. It asks there, with its password or
//! without, and comes back with what it got. A token says what it is good for; one that is not good enough is answered 401 again, with
//! the scope that is missing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::Query;
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::time::Instant;

use super::error::Refusal;
use super::name::Target;
use super::scope::Scope;
use crate::Error;

/// How long a token is good, as Docker Hub's are.
const LIFETIME: Duration = Duration::from_secs(300);
/// Scopes that a token is for at most; what else was asked for is left out, as what the client has no right to.
const SCOPES: usize = 16;
/// Tokens that are good at a time; the oldest gives way.
const TOKENS: usize = 1024;

/// Who may do what, and where tokens are issued. `Debug` leaves the passwords out.
#[derive(Clone)]
pub struct TokenAuth {
    realm: Uri,
    authority: Authority,
    service: String,
    accounts: HashMap<String, String>,
    public: bool,
}

impl fmt::Debug for TokenAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAuth")
            .field("realm", &self.realm)
            .field("users", &self.accounts.keys())
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl TokenAuth {
    /// Tokens of the server at the address `realm`, for example `https://auth.docker.io/token`, for what it calls `service`, as in
    /// `registry.docker.io`. Nobody gets one yet.
    ///
    /// # Errors
    /// [`Error::Syntax`] when the realm is not the address of a host.
    pub fn new(realm: &str, service: &str) -> Result<Self, Error> {
        let refused = || Error::Syntax {
            text: realm.into(),
            wanted: "a token server's address, for example https://auth.docker.io/token",
        };
        let uri: Uri = realm.parse().map_err(|_| refused())?;
        Ok(Self {
            authority: uri.authority().cloned().ok_or_else(refused)?,
            realm: uri,
            service: service.into(),
            accounts: HashMap::new(),
            public: false,
        })
    }

    /// Gives a token to pull to anybody who asks.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Gives a token to pull and push to who knows this password.
    #[must_use]
    pub fn account(mut self, user: &str, password: &str) -> Self {
        self.accounts.insert(user.into(), password.into());
        self
    }
}

/// Token authentication at work.
pub(super) struct Auth {
    rules: TokenAuth,
    tokens: Mutex<HashMap<String, Grant>>,
}

/// What a token is good for, and until when.
#[derive(Debug)]
struct Grant {
    scopes: Vec<Scope>,
    expires: Instant,
}

impl Auth {
    pub(super) fn new(rules: TokenAuth) -> Self {
        Self {
            rules,
            tokens: Mutex::default(),
        }
    }

    /// The request is for the token server, which may share an address with the registry.
    pub(super) fn is_realm(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = host.or_else(|| uri.authority().map(Authority::as_str));
        uri.path() == self.rules.realm.path()
            && host.is_some_and(|host| host.eq_ignore_ascii_case(self.rules.authority.as_str()))
    }

    /// The token server's answer. A scope that the client has no right to is left out of the token, as Docker Hub does; the registry
    /// then says what is missing.
    pub(super) fn token(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
        if method != Method::GET {
            return Refusal::Unsupported(method.to_string()).into_response();
        }
        let known = match credentials(headers) {
            None => false,
            Some(Some((user, password))) if self.rules.accounts.get(&user) == Some(&password) => {
                true
            }
            Some(_) => return Refusal::Unauthorized(None).into_response(),
        };
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Refusal::NoRoute(uri.to_string()).into_response();
        };
        let asked = pairs.iter().filter(|(name, _)| name == "scope");
        let asked = asked.flat_map(|(_, scopes)| scopes.split(' ').filter_map(Scope::parse));
        let asked = asked.take(SCOPES);
        let scopes = match (known, self.rules.public) {
            (true, _) => asked.collect(),
            (false, true) => asked.map(Scope::read_only).collect(),
            (false, false) => Vec::new(),
        };
        let token = hex::encode(rand::random::<[u8; 16]>());
        let now = Instant::now();
        let grant = Grant {
            scopes,
            expires: now + LIFETIME,
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, grant| grant.expires > now);
        if tokens.len() >= TOKENS {
            let oldest = tokens.iter().min_by_key(|(_, grant)| grant.expires);
            if let Some(oldest) = oldest.map(|(token, _)| token.clone()) {
                tokens.remove(&oldest);
            }
        }
        tokens.insert(token.clone(), grant);
        // Both names are in use (token specification, "Token response fields").
        let answer =
            json!({ "token": token, "access_token": token, "expires_in": LIFETIME.as_secs() });
        Json(answer).into_response()
    }

    /// Whether a request may go on.
    pub(super) fn check(
        &self,
        target: &Target<'_>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), Box<Response>> {
        let wanted = target.scope(method);
        let error = match bearer(headers) {
            None => None,
            Some(token) => match self.holds(token, wanted.as_ref()) {
                Some(true) => return Ok(()),
                Some(false) => Some("insufficient_scope"),
                None => Some("invalid_token"),
            },
        };
        let mut challenge = format!(
            r#"Bearer realm="{}",service="{}""#,
            self.rules.realm, self.rules.service
        );
        for (name, value) in [
            ("scope", wanted.as_ref().map(Scope::to_string)),
            ("error", error.map(String::from)),
        ] {
            if let Some(value) = value {
                challenge += &format!(r#",{name}="{value}""#);
            }
        }
        let detail = wanted.map(|scope| scope.to_string());
        let mut response = Refusal::Unauthorized(detail).into_response();
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Err(Box::new(response))
    }

    /// The request's token is good for `wanted`.
    pub(super) fn allows(&self, headers: &HeaderMap, wanted: &Scope) -> bool {
        bearer(headers).and_then(|token| self.holds(token, Some(wanted))) == Some(true)
    }

    /// Whether a token is good for `wanted`; `None` for one that is not known or no longer good.
    fn holds(&self, token: &str, wanted: Option<&Scope>) -> Option<bool> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = tokens.get(token).filter(|g| g.expires > Instant::now())?;
        Some(wanted.is_none_or(|wanted| grant.scopes.iter().any(|scope| scope.covers(wanted))))
    }
}

/// The credentials of a scheme (RFC 9110, section 11.4).
fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (given, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "Bearer")
}

/// User and password (RFC 7617); the inner `None` stands for what is not understood.
fn credentials(headers: &HeaderMap) -> Option<Option<(String, String)>> {
    let decode = |text: &str| {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    };
    authorization(headers, "Basic").map(decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        let rules = TokenAuth::new("https://auth.example/token", "registry.example").unwrap();
        Auth::new(rules.public().account("user", "secret-password"))
    }

    #[test]
    fn tokens_and_their_scopes_are_bounded() {
        let auth = auth();
        let scopes = "&scope=repository:a/b:pull".repeat(1000);
        let uri: Uri = format!("/token?service=x{scopes}").parse().unwrap();
        for _ in 0..TOKENS + 10 {
            auth.token(&Method::GET, &uri, &HeaderMap::new());
        }
        let tokens = auth.tokens.lock().unwrap();
        assert_eq!(tokens.len(), TOKENS);
        assert!(tokens.values().all(|grant| grant.scopes.len() == SCOPES));
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", auth().rules);
        assert!(
            shown.contains("user") && !shown.contains("secret-password"),
            "{shown}"
        );
    }
}
