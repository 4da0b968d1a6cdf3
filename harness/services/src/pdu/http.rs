//! The HTTP interface of the power distribution unit.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /ports` | all ports with their names and states, and the least off time |
//! | `GET /ports/N` | one port |
//! | `PUT /ports/N` with `{"state": "on"}`, `"off"` or `"cycle"` | the port, when the order has been carried out |
//!
//! 404 for a port that there is not, 409 for an order that a newer one has superseded, 502 for a board that could not be switched.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use shakedown_base::timeline::{OutletState, SwitchedBy};

use super::{PowerError, PowerUnit};

/// All ports.
#[derive(Serialize)]
struct Ports<'a> {
    least_off_seconds: f64,
    ports: Vec<Port<'a>>,
}

/// One port.
#[derive(Serialize)]
struct Port<'a> {
    port: u16,
    name: &'a str,
    state: OutletState,
}

/// An order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    state: Wanted,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    On,
    Off,
    Cycle,
}

impl PowerUnit {
    /// The HTTP interface, ready to be served.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/ports", get(all))
            .route("/ports/{port}", get(one).put(order))
            .with_state(self.clone())
    }

    fn describe(&self, port: u16) -> Result<Port<'_>, PowerError> {
        let (name, state) = self.read(port)?;
        Ok(Port { port, name, state })
    }
}

async fn all(State(unit): State<PowerUnit>) -> Response {
    let ports = (0..unit.ports()).filter_map(|port| unit.describe(port).ok());
    let answer = Ports {
        least_off_seconds: unit.least_off().as_secs_f64(),
        ports: ports.collect(),
    };
    Json(answer).into_response()
}

async fn one(State(unit): State<PowerUnit>, Path(port): Path<u16>) -> Response {
    answer(unit.describe(port))
}

async fn order(
    State(unit): State<PowerUnit>,
    Path(port): Path<u16>,
    Json(order): Json<Order>,
) -> Response {
    // A client may be the very board that loses its power: the order outlives its connection.
    let carried_out = tokio::spawn({
        let unit = unit.clone();
        async move {
            match order.state {
                Wanted::On => unit.switch(port, true, SwitchedBy::Http).await,
                Wanted::Off => unit.switch(port, false, SwitchedBy::Http).await,
                Wanted::Cycle => unit.cycle(port, SwitchedBy::Http).await,
            }
        }
    });
    let done = carried_out.await.unwrap_or_else(|_| {
        let reason = "the order was given up".into();
        Err(PowerError::Failed { port, reason })
    });
    answer(done.and_then(|()| unit.describe(port)))
}

fn answer(port: Result<Port<'_>, PowerError>) -> Response {
    match port {
        Ok(port) => Json(port).into_response(),
        Err(error) => {
            let status = match error {
                PowerError::NoSuchPort { .. } => StatusCode::NOT_FOUND,
                PowerError::Superseded(_) => StatusCode::CONFLICT,
                PowerError::Failed { .. } => StatusCode::BAD_GATEWAY,
            };
            (status, format!("{error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::unit::tests::unit;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ports_are_read_and_switched() {
        let (unit, _) = unit();
        let router = unit.router();
        let ask = async |method: Method, target: &str, body: &'static str| {
            let request = Request::builder()
                .method(method)
                .uri(target)
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            format!("{status} {}", String::from_utf8_lossy(&body).trim_end())
        };
        let answers = [
            ask(Method::PUT, "/ports/1", r#"{"state":"on"}"#).await,
            ask(Method::GET, "/ports", "").await,
            ask(Method::PUT, "/ports/1", r#"{"state":"cycle"}"#).await,
            ask(Method::PUT, "/ports/1", r#"{"state":"off"}"#).await,
            ask(Method::GET, "/ports/1", "").await,
            ask(Method::PUT, "/ports/2", r#"{"state":"on"}"#).await,
            ask(Method::GET, "/ports/7", "").await,
        ];
        insta::assert_snapshot!(answers.join("\n"), @r#"
        200 {"port":1,"name":"dut","state":"on"}
        200 {"least_off_seconds":5.0,"ports":[{"port":0,"name":"gateway","state":"off"},{"port":1,"name":"dut","state":"on"},{"port":2,"name":"broken","state":"off"}]}
        200 {"port":1,"name":"dut","state":"on"}
        200 {"port":1,"name":"dut","state":"off"}
        200 {"port":1,"name":"dut","state":"off"}
        502 port 2 could not be switched: no such board
        404 there is no port 7: the power distribution unit has ports 0 to 2
        "#);
        // A client that leaves does not leave the board off.
        let order = Request::put("/ports/0")
            .header("content-type", "application/json")
            .body(Body::from(r#"{"state":"on"}"#))
            .unwrap();
        let answer = tokio::time::timeout(std::time::Duration::ZERO, router.clone().oneshot(order));
        assert!(answer.await.is_err());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(unit.read(0).unwrap().1, OutletState::On);
        let nonsense = ask(Method::PUT, "/ports/1", r#"{"state":"half"}"#).await;
        assert!(nonsense.starts_with("422 "), "{nonsense}");
        assert_eq!(unit.read(1).unwrap().1, OutletState::Off);
    }
}
