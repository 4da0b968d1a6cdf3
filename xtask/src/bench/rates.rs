//! Measured data rates and their table.

use std::fmt::Write;

use serde::Serialize;

use super::figures::median;

/// As the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    Download,
    Upload,
}

/// The rates of one kind of transfer, in 10^6 bytes a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Rates {
    name: String,
    direction: Direction,
    median: f64,
    rates: Vec<f64>,
}

impl Rates {
    /// `name` says guest, adapter and, where there are several, protocol.
    pub(super) fn new(
        name: &str,
        direction: Direction,
        rates: impl IntoIterator<Item = f64>,
    ) -> Self {
        let rates: Vec<f64> = rates.into_iter().collect();
        Self {
            name: name.into(),
            direction,
            median: median(rates.iter().copied()),
            rates,
        }
    }
}

/// Linux with our adapter.
pub(super) const OURS: &str = "Linux, LAN9514";
/// Linux with QEMU's adapter.
pub(super) const QEMUS: &str = "Linux, usb-net";

/// How many times as fast Linux is with our adapter as with QEMU's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Ratios {
    download: f64,
    upload: f64,
}

impl Ratios {
    /// The ratios of the medians; not a number where one was not measured.
    pub(super) fn new(rates: &[Rates]) -> Self {
        let median = |name, direction| {
            let is_it = |r: &&Rates| r.name == name && r.direction == direction;
            rates.iter().find(is_it).map_or(f64::NAN, |r| r.median)
        };
        let ratio = |direction| median(OURS, direction) / median(QEMUS, direction);
        Self {
            download: ratio(Direction::Download),
            upload: ratio(Direction::Upload),
        }
    }
}

/// The rates as people read them: a row for each kind with its median and, in the order of the transfers, its rates; then the ratios.
pub(super) fn table(rates: &[Rates], ratios: &Ratios) -> String {
    let first = rates.iter().map(|r| r.name.len()).max().unwrap_or(0);
    let mut out = format!("{:first$}            median  each\n", "");
    for row in rates {
        let direction = match row.direction {
            Direction::Download => "download",
            Direction::Upload => "upload",
        };
        let each: Vec<_> = row.rates.iter().map(|r| format!("{r:.1}")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:first$}  {direction:8}  {:6.1}  {}",
            row.name,
            row.median,
            each.join(" ")
        );
    }
    let Ratios { download, upload } = ratios;
    let _ = writeln!(
        out,
        "{OURS} / usb-net: download {download:.2}, upload {upload:.2}"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_compared_with_qemus_in_each_direction() {
        let rates = [
            Rates::new("iPXE, LAN9514, HTTPS", Direction::Download, [4.0, 5.25]),
            Rates::new(OURS, Direction::Download, [11.0, 12.0, 1.0]),
            Rates::new(OURS, Direction::Upload, [6.0]),
            Rates::new(QEMUS, Direction::Download, [2.0, 2.5, 2.0]),
            Rates::new(QEMUS, Direction::Upload, [3.0]),
        ];
        insta::assert_snapshot!(table(&rates, &Ratios::new(&rates)), @r#"
                                        median  each
        iPXE, LAN9514, HTTPS  download     4.6  4.0 5.2
        Linux, LAN9514        download    11.0  11.0 12.0 1.0
        Linux, LAN9514        upload       6.0  6.0
        Linux, usb-net        download     2.0  2.0 2.5 2.0
        Linux, usb-net        upload       3.0  3.0
        Linux, LAN9514 / usb-net: download 5.50, upload 2.00
        "#);
    }
}
