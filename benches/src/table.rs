//! Rows as a person reads them, and as one JSON object a line.

use crate::rows::Row;

/// The heading of the table; its columns are explained in `benches/README.md`.
pub(crate) fn heading() -> String {
    [
        "                                 |    million records a second         |   our rate, of that of   |",
        "work workers checkpoint  records |  flowdsl   timely   stages     loop | timely   loop no checkp | completed round trip checksum",
    ]
    .join("\n")
}

/// One line of the table.
pub(crate) fn line(row: &Row) -> String {
    let interval = row
        .checkpoint_interval_ms
        .map_or_else(|| "off".to_owned(), |interval| format!("{interval} ms"));
    let completed = row
        .checkpoint_interval_ms
        .map_or_else(|| "-".to_owned(), |_| row.checkpoints_completed.to_string());
    format!(
        "{:<4} {:>7} {:>10} {:>6} M | {:>8} {:>8} {:>8} {:>8} | {:>6} {:>6} {:>9} | {:>9} {:>7.0} ns {:>8}",
        row.work,
        row.workers,
        interval,
        row.records / 1_000_000,
        millions(row.records_per_s),
        millions(Some(row.timely_rate)),
        millions(row.stages_rate),
        millions(Some(row.loop_rate)),
        share(row.ratio_to_timely),
        share(row.ratio_to_loop),
        share(row.ratio_to_no_checkpoint),
        completed,
        row.core_round_trip_ns,
        if row.checksum_ok { "ok" } else { "WRONG" },
    )
}

/// One JSON object.
pub(crate) fn json(row: &Row) -> String {
    serde_json::to_string(row).expect("a row holds numbers and names only")
}

fn millions(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1}", rate / 1e6))
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}
