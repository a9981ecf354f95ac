//! The golden queries as a plain loop, written from their definition.
//!
//! A flight at `t` belongs to each window `[start, start + size)` whose start is a multiple of the
//! slide and that holds `t`. A window is per origin; its row is
//! `origin,window_start_ms,count,sum_delay,max_delay`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};

/// One flight, as far as the queries look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Code of the airport it left from.
    pub origin: String,
    /// When it left, in milliseconds since the Unix epoch.
    pub departed_ms: i64,
    /// Delay in minutes; negative when it was early.
    pub delay: i64,
}

/// The windows of a golden query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Tumbling, 1 hour.
    Hourly,
    /// Sliding, 1 hour every 15 minutes.
    Sliding,
}

impl Windows {
    const fn size_ms(self) -> i64 {
        match self {
            Self::Hourly | Self::Sliding => 60 * 60 * 1000,
        }
    }

    const fn slide_ms(self) -> i64 {
        match self {
            Self::Hourly => 60 * 60 * 1000,
            Self::Sliding => 15 * 60 * 1000,
        }
    }
}

struct Totals {
    count: u64,
    sum: i64,
    max: i64,
}

/// The rows of a golden query, ordered by origin and start of the window.
pub fn rows_of(flights: &[Flight], windows: Windows) -> Vec<String> {
    let mut totals = HashMap::<(&str, i64), Totals>::new();
    for flight in flights {
        let last_start = flight.departed_ms - flight.departed_ms.rem_euclid(windows.slide_ms());
        let mut start = last_start;
        while start + windows.size_ms() > flight.departed_ms {
            let of_window = totals.entry((&flight.origin, start)).or_insert(Totals {
                count: 0,
                sum: 0,
                max: i64::MIN,
            });
            of_window.count += 1;
            of_window.sum += flight.delay;
            of_window.max = of_window.max.max(flight.delay);
            start -= windows.slide_ms();
        }
    }
    let mut keyed: Vec<_> = totals.into_iter().collect();
    keyed.sort_unstable_by_key(|(window, _)| *window);
    keyed
        .into_iter()
        .map(|((origin, start), Totals { count, sum, max })| {
            format!("{origin},{start},{count},{sum},{max}")
        })
        .collect()
}

/// All flights of a Parquet file, in its order.
///
/// # Panics
///
/// When the file is not a file of flights: tests have nothing better to do then.
pub fn read_flights(path: &Path) -> Vec<Flight> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = SerializedFileReader::new(file)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut flights = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).expect("the footer lists it");
        let dates = read_column::<Int64Type>(&*group, "date");
        let delays = read_column::<Int64Type>(&*group, "delay");
        let origins = read_column::<ByteArrayType>(&*group, "origin");
        for ((micros, delay), origin) in dates.into_iter().zip(delays).zip(origins) {
            flights.push(Flight {
                origin: text(&origin),
                departed_ms: micros.div_euclid(1000),
                delay,
            });
        }
    }
    flights
}

fn read_column<T: DataType>(group: &dyn RowGroupReader, name: &str) -> Vec<T::T> {
    let rows = usize::try_from(group.metadata().num_rows()).expect("a count is not negative");
    let at = group
        .metadata()
        .columns()
        .iter()
        .position(|column| column.column_descr().name() == name)
        .unwrap_or_else(|| panic!("no column `{name}`"));
    if name == "date" {
        let kind = group
            .metadata()
            .column(at)
            .column_descr()
            .logical_type_ref()
            .cloned();
        assert!(
            matches!(
                kind,
                Some(LogicalType::Timestamp(ref stamp)) if matches!(stamp.unit, TimeUnit::MICROS)
            ),
            "`date` must be in microseconds, not {kind:?}"
        );
    }
    let pages = group
        .get_column_reader(at)
        .expect("the column was just found");
    let mut reader = get_typed_column_reader::<T>(pages);
    let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    while levels.len() < rows {
        let (read, _, _) = reader
            .read_records(rows - levels.len(), Some(&mut levels), None, &mut values)
            .unwrap_or_else(|error| panic!("column `{name}`: {error}"));
        assert!(read > 0, "column `{name}` ends after {} rows", levels.len());
    }
    assert_eq!(values.len(), rows, "column `{name}` holds nulls");
    values
}

fn text(bytes: &ByteArray) -> String {
    bytes
        .as_utf8()
        .expect("codes of airports are ASCII")
        .to_owned()
}
