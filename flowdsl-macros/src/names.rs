//! "Did you mean": what other systems call a stage, and what a slip of the finger makes of it.

/// What Flink, Kafka Streams, Spark and Rust's iterators call our stages.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("group_by", "key_by"),
    ("keyed", "key_by"),
    ("partition_by", "key_by"),
    ("key_on", "key_by"),
    ("where", "filter"),
    ("retain", "filter"),
    ("select", "map"),
    ("map_values", "map"),
    ("transform", "map"),
    ("flatten", "flat_map"),
    ("for_each", "inspect"),
    ("peek", "inspect"),
    ("tap", "inspect"),
    ("print", "sink"),
    ("scan", "fold"),
    ("assign_timestamps", "event_time"),
    ("assign_timestamps_and_watermarks", "event_time"),
    ("timestamp", "event_time"),
    ("timestamps", "event_time"),
    ("with_timestamps", "event_time"),
    ("watermark", "event_time"),
    ("watermarks", "event_time"),
    ("with_watermark", "event_time"),
    ("window_all", "window"),
    ("time_window", "window"),
    ("time_window_all", "window"),
    ("windowed_by", "window"),
    ("add_sink", "sink"),
    ("sink_to", "sink"),
    ("write", "sink"),
    ("write_to", "sink"),
    ("output", "sink"),
    ("to", "sink"),
    ("collect", "sink"),
    ("add_source", "source"),
    ("from_source", "source"),
    ("from", "source"),
    ("read", "source"),
    ("input", "source"),
    ("merge", "union"),
    ("concat", "union"),
    ("tumble", "tumbling"),
    ("tumbling_window", "tumbling"),
    ("hop", "sliding"),
    ("hopping", "sliding"),
    ("slide", "sliding"),
    ("sliding_window", "sliding"),
    ("sessions", "session"),
    ("session_window", "session"),
    ("slide_by", "every"),
    ("step", "every"),
    ("inactivity", "gap"),
    ("disorder", "lateness"),
    ("delay", "lateness"),
    ("grace", "allowed_lateness"),
    ("lateness", "allowed_lateness"),
    ("side_output", "late"),
    ("late_output", "late"),
    ("error", "errors"),
];

/// The candidate that `wanted` most likely stands for.
pub(crate) fn did_you_mean<'a>(wanted: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let wanted = snake_case(wanted);
    let known = |name: &str| {
        candidates
            .iter()
            .copied()
            .find(|candidate| *candidate == name)
    };
    if let Some(same) = known(&wanted) {
        return Some(same);
    }
    let other = OTHER_NAMES.iter().filter(|(other, _)| *other == wanted);
    if let Some(ours) = other.into_iter().find_map(|(_, ours)| known(ours)) {
        return Some(ours);
    }
    let allowed = match wanted.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let others = OTHER_NAMES
        .iter()
        .filter_map(|(other, ours)| Some((distance(&wanted, other), known(ours)?)));
    let near = candidates
        .iter()
        .map(|candidate| (distance(&wanted, candidate), *candidate));
    near.chain(others)
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `; did you mean ..` for a message, or nothing.
pub(crate) fn hint(wanted: &str, candidates: &[&str]) -> String {
    did_you_mean(wanted, candidates)
        .map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// `` `a`, `b` and `c` ``
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// Insertions, deletions, replacements and swaps of neighbours that make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}
