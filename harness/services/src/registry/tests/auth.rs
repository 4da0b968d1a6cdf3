//! Tokens and limits.

use std::time::Duration;

use axum::http::StatusCode;

use super::*;
use crate::testing::image;

const MANIFEST: &str = "/v2/farm/tool/manifests/latest";
/// `farm:secret`
const RIGHT: &str = "Basic ZmFybTpzZWNyZXQ=";
/// `farm:guess`
const WRONG: &str = "Basic ZmFybTpndWVzcw==";

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add("farm/tool", "latest", &image()).unwrap();
    registry
}

fn auth() -> TokenAuth {
    TokenAuth::new("https://auth.example/token", "registry.example").unwrap()
}

/// The token server's answer to who asks for `scope`.
async fn token(router: &Router, credentials: Option<&str>, scope: &str) -> Response<Bytes> {
    let mut headers = vec![("host", "auth.example")];
    headers.extend(credentials.map(|c| ("authorization", c)));
    let target = format!("/token?service=registry.example&scope={scope}");
    ask(router, "GET", &target, &headers, "").await
}

/// The registry's answer to who comes with such a token.
async fn with_token(router: &Router, method: &str, token: &Response<Bytes>) -> Response<Bytes> {
    let body: serde_json::Value = serde_json::from_slice(token.body()).unwrap();
    let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
    ask(router, method, MANIFEST, &[("authorization", &bearer)], "").await
}

#[tokio::test(start_paused = true)]
async fn who_has_no_token_learns_where_to_get_one() {
    let router = registry().authenticate(auth().public()).router();
    let answer = ask(&router, "GET", "/v2/", &[], "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let realm = r#"Bearer realm="https://auth.example/token",service="registry.example""#;
    assert_eq!(header(&answer, "www-authenticate"), realm);
    assert_eq!(code(&answer), "UNAUTHORIZED");
    let answer = ask(&router, "HEAD", MANIFEST, &[], "").await;
    let scoped = format!(r#"{realm},scope="repository:farm/tool:pull""#);
    assert_eq!(header(&answer, "www-authenticate"), scoped);

    let good = token(&router, None, "repository:farm/tool:pull,push").await;
    assert_eq!(
        with_token(&router, "GET", &good).await.status(),
        StatusCode::OK
    );
    let answer = with_token(&router, "PUT", &good).await;
    let missing =
        format!(r#"{realm},scope="repository:farm/tool:pull,push",error="insufficient_scope""#);
    assert_eq!(header(&answer, "www-authenticate"), missing);

    tokio::time::advance(Duration::from_secs(301)).await;
    let answer = with_token(&router, "GET", &good).await;
    let expired = format!(r#"{scoped},error="invalid_token""#);
    assert_eq!(header(&answer, "www-authenticate"), expired);
}

#[tokio::test]
async fn a_private_repository_is_for_who_knows_the_password() {
    let router = registry()
        .authenticate(auth().account("farm", "secret"))
        .router();
    let scope = "repository:farm/tool:pull";
    let nobody = token(&router, None, scope).await;
    assert_eq!(nobody.status(), StatusCode::OK);
    let refused = with_token(&router, "GET", &nobody).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    for credentials in [WRONG, "Basic !", "Basic Zm9v"] {
        let answer = token(&router, Some(credentials), scope).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{credentials}");
    }
    let known = token(&router, Some(RIGHT), scope).await;
    assert_eq!(
        with_token(&router, "GET", &known).await.status(),
        StatusCode::OK
    );
    let elsewhere = token(&router, Some(RIGHT), "repository:farm/other:pull").await;
    let refused = with_token(&router, "GET", &elsewhere).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    // The address of the token server is the registry's too, under another name.
    let answer = ask(
        &router,
        "GET",
        "/token",
        &[("host", "registry.example")],
        "",
    )
    .await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(TokenAuth::new("/token", "registry.example").is_err());
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let limit = RateLimit {
        requests: 1,
        retry_after: Duration::from_secs(2),
    };
    let router = registry().limit(limit).router();
    // Looking whether there is something new costs nothing, as on Docker Hub.
    for method in ["HEAD", "GET", "HEAD"] {
        let answer = ask(&router, method, MANIFEST, &[], "").await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let answer = ask(&router, "GET", MANIFEST, &[], "").await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (header(&answer, "retry-after"), code(&answer).as_str()),
        ("2", "TOOMANYREQUESTS")
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    let answer = ask(&router, "GET", MANIFEST, &[], "").await;
    assert_eq!(answer.status(), StatusCode::OK);
}
