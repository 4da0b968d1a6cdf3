//! Measured data rates and their table.

use std::fmt::Write;

use serde::Serialize;

use super::figures::{Better, Figure, median};
use super::transfers::{Kind, Transfer};

/// Guest and adapter of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setup {
    /// iPXE by way of U-Boot, with our adapter.
    Ipxe,
    /// Linux with our adapter.
    Linux,
    /// Linux with QEMU's adapter.
    LinuxUsbNet,
}

impl Setup {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ipxe => "iPXE, LAN9514",
            Self::Linux => "Linux, LAN9514",
            Self::LinuxUsbNet => "Linux, usb-net",
        }
    }
}

/// The rates of one kind of transfer, in 10^6 bytes a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Rates {
    setup: Setup,
    kind: Kind,
    /// Of each transfer.
    bytes: u64,
    median: f64,
    rates: Vec<f64>,
}

/// 10^6 bytes a second.
pub(super) fn rate(bytes: u64, transfer: &Transfer) -> f64 {
    bytes as f64 / transfer.took.as_secs_f64() / 1e6
}

impl Rates {
    /// The rates of all transfers of a boot, a value for each kind that it made.
    pub(super) fn of_boot(setup: Setup, bytes: u64, transfers: &[Transfer]) -> Vec<Self> {
        let kinds = [Kind::Download, Kind::SecureDownload, Kind::Upload];
        let of_kind = |kind| {
            let transfers = transfers.iter().filter(|t| t.kind == kind);
            let rates: Vec<f64> = transfers.map(|t| rate(bytes, t)).collect();
            let median = median(rates.iter().copied());
            (!rates.is_empty()).then_some(Self {
                setup,
                kind,
                bytes,
                median,
                rates,
            })
        };
        kinds.into_iter().filter_map(of_kind).collect()
    }
}

/// How many times as fast Linux is with our adapter as with QEMU's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ratios {
    download: f64,
    upload: f64,
}

impl Ratios {
    /// The ratios of the medians; not a number where one was not measured.
    pub(super) fn new(rates: &[Rates]) -> Self {
        let median = |setup, kind| {
            let is_it = |r: &&Rates| r.setup == setup && r.kind == kind;
            rates.iter().find(is_it).map_or(f64::NAN, |r| r.median)
        };
        let ratio = |kind| median(Setup::Linux, kind) / median(Setup::LinuxUsbNet, kind);
        Self {
            download: ratio(Kind::Download),
            upload: ratio(Kind::Upload),
        }
    }
}

/// The figures that count.
pub(super) fn figures(rates: &[Rates], ratios: &Ratios) -> Vec<Figure> {
    let ratio = |name, value| Figure::new(name, "", value, Better::More);
    let mut figures = vec![
        ratio("LAN9514 / usb-net, download", ratios.download),
        ratio("LAN9514 / usb-net, upload", ratios.upload),
    ];
    figures.extend(rates.iter().map(|rate| {
        let name = format!("{}, {}", rate.setup.name(), rate.kind.name());
        Figure::new(name, "MB/s", rate.median, Better::More)
    }));
    figures
}

/// The rates as people read them: a row for each kind with its median and, in the order of the transfers, its rates; then the ratios.
pub(super) fn table(rates: &[Rates], ratios: &Ratios) -> String {
    let mut out = format!(
        "{:14}  {:15}  {:>8}  {:>6}  each\n",
        "MB/s", "", "MB", "median"
    );
    for row in rates {
        let each: Vec<_> = row.rates.iter().map(|r| format!("{r:.2}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:14}  {:15}  {:8.1}  {:6.2}  {}",
            row.setup.name(),
            row.kind.name(),
            row.bytes as f64 / 1e6,
            row.median,
            each.join(" ")
        );
    }
    let Ratios { download, upload } = ratios;
    let _ = writeln!(
        out,
        "LAN9514 / usb-net in Linux: download {download:.1}, upload {upload:.1}"
    );
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn transfers(took: &[(Kind, f64)]) -> Vec<Transfer> {
        let transfer = |(kind, seconds): &(Kind, f64)| Transfer {
            kind: *kind,
            took: Duration::from_secs_f64(*seconds),
        };
        took.iter().map(transfer).collect()
    }

    #[test]
    fn ours_is_compared_with_qemus_in_each_direction() {
        let ipxe = transfers(&[
            (Kind::Download, 12.5),
            (Kind::SecureDownload, 25.0),
            (Kind::Download, 10.0),
            (Kind::SecureDownload, 20.0),
        ]);
        let ours = transfers(&[
            (Kind::Download, 5.0),
            (Kind::Download, 100.0),
            (Kind::Download, 4.0),
            (Kind::Upload, 10.0),
        ]);
        let qemus = transfers(&[(Kind::Download, 4.0), (Kind::Upload, 8.0)]);
        let rates = [
            Rates::of_boot(Setup::Ipxe, 50_000_000, &ipxe),
            Rates::of_boot(Setup::Linux, 50_000_000, &ours),
            Rates::of_boot(Setup::LinuxUsbNet, 1_000_000, &qemus),
        ]
        .concat();
        insta::assert_snapshot!(table(&rates, &Ratios::new(&rates)), @r"
        MB/s                                   MB  median  each
        iPXE, LAN9514   download, HTTP       50.0    4.50  4.00 5.00
        iPXE, LAN9514   download, HTTPS      50.0    2.25  2.00 2.50
        Linux, LAN9514  download, HTTP       50.0   10.00  10.00 0.50 12.50
        Linux, LAN9514  upload, HTTP         50.0    5.00  5.00
        Linux, usb-net  download, HTTP        1.0    0.25  0.25
        Linux, usb-net  upload, HTTP          1.0    0.12  0.12
        LAN9514 / usb-net in Linux: download 40.0, upload 40.0
        ");
    }
}
