//! What a person wants to see at the end, from the committed files alone: nothing of it slows the
//! job down, and a run that had finished already shows the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use flowdsl::prelude::*;
use flowdsl::runtime::connector::Source;

use super::{Alarm, Delays};

/// Airports with a smaller share of all flights than one in this many are not ranked.
const ONE_FLIGHT_IN: u64 = 500;

/// The flights from one airport.
struct Airport<'a> {
    origin: &'a str,
    flights: u64,
    sum_delay: i64,
    max_delay: i64,
    alarms: usize,
}

pub(super) fn print(output: &Path) -> Result<(), Error> {
    let hours: Vec<Delays> = read(&output.join("hourly"), |dir| File::csv(dir).no_header())?;
    let mut alarms: Vec<Alarm> = read(&output.join("alarms"), |dir| File::jsonl(dir))?;
    alarms.sort_by(|a, b| b.mean_delay.total_cmp(&a.mean_delay));
    let mut airports = airports(&hours, &alarms);

    let flights: u64 = airports.iter().map(|airport| airport.flights).sum();
    println!(
        "\n{flights} flights from {} airports, {} alarms",
        airports.len(),
        alarms.len()
    );

    println!("\nworst airports    flights   mean delay    max delay   alarms");
    airports.retain(|airport| airport.flights * ONE_FLIGHT_IN >= flights);
    airports.sort_by(|a, b| b.mean_delay().total_cmp(&a.mean_delay()));
    for airport in airports.iter().take(8) {
        let Airport {
            origin,
            flights,
            max_delay,
            alarms,
            ..
        } = airport;
        let mean_delay = airport.mean_delay();
        println!("{origin:<16} {flights:>8} {mean_delay:>8.1} min {max_delay:>8} min {alarms:>8}");
    }
    if !alarms.is_empty() {
        println!("\nworst hours       flights   mean delay    max delay   from");
    }
    let mut shown = BTreeSet::new();
    let worst_of_each = alarms.iter().filter(|alarm| shown.insert(&alarm.origin));
    for Alarm {
        origin,
        from,
        flights,
        mean_delay,
        max_delay,
    } in worst_of_each.take(5)
    {
        println!("{origin:<16} {flights:>8} {mean_delay:>8.1} min {max_delay:>8} min   {from}");
    }
    println!(
        "\nall of them: hourly/, sliding/ and alarms/ in {}",
        output.display()
    );
    Ok(())
}

impl Airport<'_> {
    fn mean_delay(&self) -> f64 {
        self.sum_delay as f64 / self.flights as f64
    }
}

fn airports<'a>(hours: &'a [Delays], alarms: &[Alarm]) -> Vec<Airport<'a>> {
    let mut airports = BTreeMap::new();
    for hour in hours {
        let origin = hour.origin.as_str();
        let none = Airport {
            origin,
            flights: 0,
            sum_delay: 0,
            max_delay: i64::MIN,
            alarms: 0,
        };
        let airport = airports.entry(origin).or_insert(none);
        airport.flights += hour.count;
        airport.sum_delay += hour.sum_delay;
        airport.max_delay = airport.max_delay.max(hour.max_delay);
    }
    for alarm in alarms {
        if let Some(airport) = airports.get_mut(alarm.origin.as_str()) {
            airport.alarms += 1;
        }
    }
    airports.into_values().collect()
}

/// The records in the committed files of a directory; a flow reads them as well.
fn read<T, S>(dir: &Path, files: impl Fn(&Path) -> S) -> Result<Vec<T>, Error>
where
    T: Send + 'static,
    S: Source<Item = T> + Clone + Send + Sync + 'static,
{
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    if !entries.any(|entry| entry.path().is_file()) {
        // Nothing is committed yet.
        return Ok(Vec::new());
    }
    let (files, rows) = (files(dir), Collect::new());
    let seen = rows.clone();
    let job = flow! {
        capture files, rows;
        source(files) -> sink(rows);
    };
    job.run(Options::new())?;
    Ok(seen.take())
}
