//! What a process uses, from `/proc` (proc(5): `stat`, fields 14 and 15; `status`, `VmHWM`).

use std::fs;

/// Kernel ticks in a second, as `/proc` counts them on every Linux.
const TICKS: f64 = 100.0;

/// Seconds of CPU time that a process has used in user and kernel mode; 0 for one that is gone.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| ticks(&stat))
        .map_or(0.0, |ticks| ticks as f64 / TICKS)
}

/// The most memory in bytes that a process has had resident at a time; `None` for one that is gone.
#[must_use]
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    bytes_of(&status, "VmHWM:")
}

/// The value of a line as in `VmHWM:    5120 kB`, in bytes.
pub(crate) fn bytes_of(lines: &str, key: &str) -> Option<u64> {
    let value = lines.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

fn ticks(stat: &str) -> Option<u64> {
    // The command's name, field 2, may hold blanks and parentheses.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 250 17 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(267));
        assert_eq!(ticks("42 (cut"), None);
    }

    #[test]
    fn the_peak_is_found_among_the_other_lines() {
        let status = "Name:\tnginx\nVmPeak:\t  10000 kB\nVmHWM:\t    5120 kB\nVmRSS:\t  300 kB\n";
        assert_eq!(bytes_of(status, "VmHWM:"), Some(5120 * 1024));
        assert_eq!(bytes_of("Name:\tkthreadd\n", "VmHWM:"), None);
    }
}
