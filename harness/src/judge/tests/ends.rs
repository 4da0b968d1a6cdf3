//! The ways in which a run can end.

use super::*;

/// Name, scenario and records of each.
fn cases() -> Vec<(&'static str, &'static str, String)> {
    let http = "alpine-http";
    let refused = "mtls-refused-client-expired";
    let refusal = "0 firmware\n0.1 power on\n0.5 uart0 U-Boot 2025.01\n3 uart1 iPXE initialising devices...\n\
                   3.9 lease PXEClient:Arch:00011:UNDI:003010\n4 tls received fatal alert: certificate expired\n";
    let refused_and_asleep = format!("{refusal}5 uart1 Failed with error 0x410de18f\n15 asleep\n");
    let proof = "5 uart1 Failed with error 0x410de18f\n";
    vec![
        ("passes", http, GOOD.into()),
        (
            "never says a thing",
            http,
            until("0.5", "60 silence since power-on\n"),
        ),
        ("hangs in U-Boot", http, until("3.0", "160 silence\n")),
        (
            "uses up U-Boot's budget",
            http,
            until("3.0", "160 budget iPXE\n"),
        ),
        (
            "resets itself in U-Boot",
            http,
            until(
                "3.0",
                "2 uart1 resetting ...\n2.1 power guest-reset\n6 uart0 U-Boot 2025.01\n",
            ),
        ),
        (
            "gets no kernel",
            http,
            until(
                "5.5",
                "5 boot 404 /files/kernel\n5.1 uart1 /files/kernel... Not found (https://ipxe.org/2d0c618e)\n",
            ),
        ),
        (
            "sleeps at a prompt of its script",
            http,
            until("5.5", "5 uart1 One moment\n9 asleep\n"),
        ),
        (
            "sleeps after it was refused",
            "mtls-refused-client-expired",
            format!("{refused_and_asleep}40 budget refusal\n"),
        ),
        (
            "knows no such server",
            http,
            until(
                "4.0",
                "4 dns no-such-server.example\n100 budget boot script\n",
            ),
        ),
        (
            "panics",
            http,
            until(
                "20.1",
                "19 uart1 [    6.100000] Kernel panic - not syncing: VFS: Unable to mount root fs\n",
            ),
        ),
        (
            "panics in the container's section",
            http,
            until(
                "32.9",
                "32.9 uart1 Kernel panic - not syncing is what this test prints\n",
            ) + &GOOD[GOOD.find("32.9").unwrap()..],
        ),
        (
            "stalls on a starved host",
            http,
            until(
                "22.9",
                "21 starved\n22 uart1 [   65.864123] watchdog: BUG: soft lockup - CPU#0 stuck for 29s! [podman:149]\n",
            ),
        ),
        (
            "stalls on an idle host",
            http,
            until(
                "22.9",
                "22 uart1 [   65.864123] watchdog: BUG: soft lockup - CPU#0 stuck for 29s! [podman:149]\n",
            ),
        ),
        (
            "pulls an image that is not there",
            http,
            until(
                "28.0",
                "27 registry 404 /v2/library/alpine/manifests/3.99\n27.5 uart1 section_end:1:container_1\n27.6 uart1 x: pipeline status: 125\n27.7 power guest-shutdown\n60 budget run\n",
            ),
        ),
        (
            "ends with status 1",
            http,
            GOOD.replace("pipeline status: 0", "pipeline status: 1") + "60 budget last output\n",
        ),
        (
            "never says its status",
            http,
            GOOD.replace(
                "33.1 uart1 [20.44]: Execution is over, pipeline status: 0\n",
                "",
            ) + "60 budget last output\n",
        ),
        (
            "never says its nonce",
            http,
            GOOD.replace("nonce is c0ffee", "nonce is 0") + "60 budget last output\n",
        ),
        (
            "gives up before its containers",
            http,
            until(
                "22.9",
                "80 uart1 [61.20]: ERROR: no lease by DHCP in 60 s on any interface: eth0\n81 power guest-shutdown\n90 budget last output\n",
            ),
        ),
        (
            "has no network interface",
            http,
            until(
                "22.9",
                "80 uart1 [61.20]: ERROR: No suitable network interface found in 60 s\n81 power guest-shutdown\n90 budget last output\n",
            ),
        ),
        (
            "succeeds without a container",
            http,
            until(
                "23.4",
                "23.5 uart1 [20.44]: Execution is over, pipeline status: 0\n23.6 power guest-shutdown\n30 budget last output\n",
            ),
        ),
        (
            "keeps Linux from the console",
            http,
            GOOD.replace("17.2 uart1 [    0.000000] Booting Linux", "17.2 uart1 x")
                + "60 budget last output\n",
        ),
        (
            "hangs after the nonce",
            http,
            until("33.0", "300 silence\n"),
        ),
        ("uses up its time", http, until("33.0", "1200 budget run\n")),
        (
            "loses its emulator",
            http,
            until("5.5", "5 qemu Bus error\n9 budget last output\n"),
        ),
        (
            "fills the disk",
            http,
            until(
                "5.5",
                "5 disk no space left on /runs: make room and run it again\n5.1 qemu\n",
            ),
        ),
        ("is stopped", http, until("5.5", "5 stopped\n")),
        (
            "floods the console",
            http,
            until("33.0", "34 flood console\n"),
        ),
        ("ends in the middle", http, until("5.5", "")),
        (
            "is refused as expected",
            refused,
            format!("{refusal}{proof}30 budget refusal\n"),
        ),
        (
            "is refused and gets in later",
            refused,
            format!("{refusal}{proof}6 tls\n30 budget refusal\n"),
        ),
        (
            "is refused for another reason",
            refused,
            refusal.replace("certificate expired", "handshake failure")
                + proof
                + "90 budget proofs\n",
        ),
        (
            "is not refused",
            refused,
            refusal.replace("4 tls received fatal alert: certificate expired", "4 tls"),
        ),
    ]
}

#[test]
fn every_end_has_its_verdict() {
    let told: Vec<_> = cases()
        .into_iter()
        .map(|(name, scenario, text)| format!("{name}: {}", judged(scenario, &text)))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// What a run leaves is what it is judged by again: the same verdict, class, stage and cause.
#[test]
fn a_replay_of_what_was_written_says_the_same() {
    for (name, scenario, text) in cases() {
        let (plan, records) = (plan(scenario), records(&text));
        let mut live = Progress::new(&plan);
        for record in &records {
            live.take(record);
        }
        let end = records.last().unwrap().at;
        let lines: Vec<_> = records
            .iter()
            .map(|r| serde_json::to_string(r).unwrap())
            .collect();
        let read: Vec<Record> = serde_json::Deserializer::from_str(&lines.join("\n"))
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(judge(&plan, &read), live.finish(end), "{name}");
    }
}
