//! What the kernel knows of this process. Elsewhere than on Linux, nothing.

use std::fs;
use std::time::Duration;

/// Ticks of a second, in `/proc`.
const TICKS: u64 = 100;

/// Processor time of all threads.
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything, the eleventh and the twelfth.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS)
}

/// The most memory that was resident since [`forget_peak`], in bytes.
pub(crate) fn peak() -> u64 {
    status("VmHWM:")
}

/// Begins anew with the present.
pub(crate) fn forget_peak() {
    // Where it is refused, the peak is that of the process.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}
