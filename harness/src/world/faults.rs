//! What a scenario injects, in words for people, with the traces that each fault leaves in the servers' journal.

use crate::report::{Effect, Fault};
use crate::scenario::{
    Auth, ClientCertificate, Registry, RegistryCertificate, Scenario, ServerCertificate,
    ServerChain, ServerKey, Tls,
};
use crate::timeline::ServiceId;

/// The faults of a scenario, in the order of its tables.
pub(crate) fn faults(scenario: &Scenario) -> Vec<Fault> {
    let tls = tls(&scenario.tls).into_iter().map(|what| Fault {
        what,
        shows: Effect::Refusal {
            service: ServiceId::Boot,
        },
    });
    let planned = scenario.faults.iter().map(|planned| Fault {
        what: format!("{} (seed {})", planned.name(), scenario.seed),
        shows: Effect::Fired {
            name: planned.name().to_owned(),
        },
    });
    tls.chain(registry(&scenario.registry))
        .chain(planned)
        .collect()
}

fn tls(tls: &Tls) -> Vec<String> {
    let client = match tls.client {
        ClientCertificate::Valid => None,
        ClientCertificate::None => Some("the board has no client certificate"),
        ClientCertificate::UnknownCa => {
            Some("the board's certificate is of an authority that the boot server does not trust")
        }
        ClientCertificate::Expired => Some("the board's certificate has expired"),
        ClientCertificate::NotYetValid => Some("the board's certificate is not valid yet"),
        ClientCertificate::Revoked => Some("the board's certificate is revoked"),
        ClientCertificate::WrongKey => Some("the board's key is not that of its certificate"),
    };
    let server = match tls.server {
        ServerCertificate::Valid => None,
        ServerCertificate::WrongHost => Some("the boot server's certificate is of another host"),
        ServerCertificate::UnknownCa => {
            Some("the boot server's certificate is of an authority that the board does not trust")
        }
        ServerCertificate::Expired => Some("the boot server's certificate has expired"),
        ServerCertificate::NotYetValid => Some("the boot server's certificate is not valid yet"),
    };
    let chain = match tls.server_chain {
        ServerChain::Short => None,
        ServerChain::Long => Some("the boot server presents more than 4 KiB of certificates"),
        ServerChain::CrossSigned => {
            Some("the boot server presents its authority as another one has signed it")
        }
    };
    let key = match tls.server_key {
        ServerKey::Rsa2048 => None,
        ServerKey::Rsa4096 => Some("the boot server's key is RSA with 4096 bits"),
    };
    let fragments = tls.max_fragment().map(|bytes| {
        format!("the boot server's TLS records hold {bytes} bytes, so that its handshake comes in fragments")
    });
    let plain = [client, server, chain, key].into_iter().flatten();
    plain.map(Into::into).chain(fragments).collect()
}

fn registry(registry: &Registry) -> Vec<Fault> {
    let Registry {
        auth,
        rate_limit,
        break_off,
        mirror,
        // Other forms of the same image.
        index: _,
        layer: _,
        padding: _,
        certificate,
    } = registry;
    let answer = |host: Option<&str>, status| Effect::Answer {
        service: ServiceId::Registry,
        host: host.map(Into::into),
        status,
    };
    let auth = match auth {
        Auth::None => None,
        Auth::Token => Some("the registry serves only who has fetched a token"),
        Auth::Login => Some("the registry serves only who has its password; the board has it"),
        Auth::WrongLogin => {
            Some("the registry serves only who has its password; the board has another")
        }
    };
    let auth = auth.map(|what| Fault {
        what: what.into(),
        shows: answer(None, 401),
    });
    let limit = rate_limit.map(|limit| Fault {
        what: format!(
            "the registry answers {} for manifests, then none for {} s",
            counted(limit.requests, "request"),
            limit.retry_after.as_secs()
        ),
        shows: answer(None, 429),
    });
    let break_off = break_off.map(|size| Fault {
        what: format!("the registry breaks off the first transfer of each layer after {size}"),
        shows: Effect::BreakOff {
            service: ServiceId::Registry,
        },
    });
    let mirror = mirror.as_ref().filter(|mirror| !mirror.holds);
    let mirror = mirror.map(|mirror| Fault {
        what: format!("the mirror {} lacks the image", mirror.host),
        shows: answer(Some(&mirror.host), 404),
    });
    let certificate = match certificate {
        // The second is as real ones are.
        RegistryCertificate::Valid | RegistryCertificate::Recent => None,
        RegistryCertificate::Expired => Some(Fault {
            what: "the registry's certificate has expired".into(),
            shows: Effect::Refusal {
                service: ServiceId::Registry,
            },
        }),
    };
    [auth, limit, break_off, mirror, certificate]
        .into_iter()
        .flatten()
        .collect()
}

fn counted(n: u32, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::board::Board;
    use crate::testing::request;
    use crate::timeline::{Event, RequestEvent, TlsEvent};

    /// The faults of a scenario that consists of these tables.
    fn faults_of(tables: &str) -> Vec<Fault> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&project.join("boards"), "raspi3b").unwrap();
        let usual = std::fs::read_to_string(project.join("scenarios/alpine-https.toml")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let base = "alpine-http.toml";
        std::fs::copy(
            project.join("scenarios").join(base),
            folder.path().join(base),
        )
        .unwrap();
        let path = folder.path().join("s.toml");
        std::fs::write(&path, format!("{usual}\n{tables}\n")).unwrap();
        faults(&Scenario::read_for(&path, &board).unwrap())
    }

    fn handshake_failed(service: ServiceId) -> Event {
        Event::Tls(TlsEvent {
            service,
            server_name: None,
            fingerprint: None,
            error: Some("expired".into()),
            duration: Duration::ZERO,
        })
    }

    fn registry_says(host: &str, status: u16, complete: bool) -> Event {
        Event::Request(RequestEvent {
            host: host.into(),
            complete,
            ..request(ServiceId::Registry, "/v2/", status)
        })
    }

    #[test]
    fn every_defect_is_told_and_known_by_its_own_traces() {
        let refused = || handshake_failed(ServiceId::Boot);
        let cases = [
            (
                "[tls]\nclient = \"none\"",
                "no client certificate",
                refused(),
            ),
            (
                "[tls]\nclient = \"unknown-ca\"",
                "boot server does not trust",
                refused(),
            ),
            (
                "[tls]\nclient = \"expired\"",
                "board's certificate has expired",
                refused(),
            ),
            (
                "[tls]\nclient = \"not-yet-valid\"",
                "board's certificate is not valid yet",
                refused(),
            ),
            ("[tls]\nclient = \"revoked\"", "revoked", refused()),
            (
                "[tls]\nclient = \"wrong-key\"",
                "not that of its certificate",
                refused(),
            ),
            (
                "[tls]\nserver = \"wrong-host\"",
                "of another host",
                refused(),
            ),
            (
                "[tls]\nserver = \"unknown-ca\"",
                "board does not trust",
                refused(),
            ),
            (
                "[tls]\nserver = \"expired\"",
                "server's certificate has expired",
                refused(),
            ),
            (
                "[tls]\nserver = \"not-yet-valid\"",
                "server's certificate is not valid yet",
                refused(),
            ),
            (
                "[tls]\nserver_chain = \"long\"",
                "more than 4 KiB",
                refused(),
            ),
            (
                "[tls]\nserver_chain = \"cross-signed\"",
                "as another one has signed it",
                refused(),
            ),
            ("[tls]\nserver_key = \"rsa-4096\"", "4096 bits", refused()),
            ("[tls]\nmax_fragment = 512", "512 bytes", refused()),
            (
                "[registry]\nauth = \"token\"",
                "a token",
                registry_says("docker.io", 401, true),
            ),
            (
                "[registry]\nauth = \"login\"",
                "the board has it",
                registry_says("docker.io", 401, true),
            ),
            (
                "[registry]\nauth = \"wrong-login\"",
                "the board has another",
                registry_says("docker.io", 401, true),
            ),
            (
                "[registry]\nrate_limit = { requests = 3, retry_after = \"2s\" }",
                "3 requests for manifests, then none for 2 s",
                registry_says("docker.io", 429, true),
            ),
            (
                "[registry]\nbreak_off = \"512KiB\"",
                "after 512 KiB",
                registry_says("docker.io", 200, false),
            ),
            (
                "[registry]\ncertificate = \"expired\"",
                "the registry's certificate has expired",
                handshake_failed(ServiceId::Registry),
            ),
            (
                "[registry]\nmirror = { host = \"mirror.example\", holds = false }",
                "mirror.example lacks the image",
                registry_says("mirror.example", 404, true),
            ),
        ];
        let good = registry_says("docker.io", 200, true);
        for (tables, words, trace) in &cases {
            let told = faults_of(tables);
            let [fault] = &told[..] else {
                panic!("{tables}: {told:?}")
            };
            assert!(fault.what.contains(words), "{tables}: {}", fault.what);
            assert!(fault.shows.is_seen_in(trace), "{tables}: {trace:?}");
            assert!(!fault.shows.is_seen_in(&good), "{tables}");
        }
        let two = faults_of("[tls]\nclient = \"expired\"\n[registry]\nauth = \"token\"");
        assert_eq!(two.len(), 2);
        assert!(!two[1].shows.is_seen_in(&handshake_failed(ServiceId::Boot)));
    }

    #[test]
    fn another_form_of_the_same_is_no_defect() {
        for tables in [
            "",
            "[registry]\nmirror = { host = \"mirror.example\" }",
            "[registry]\nindex = true\nlayer = \"zstd\"",
        ] {
            assert_eq!(faults_of(tables), [], "{tables}");
        }
    }
}
