use std::sync::Arc;

use ::parquet::data_type::{
    BoolType, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use crate::connector::file::File;
use crate::connector::{Source, Split};
use crate::error::ErrorKind;

const SCHEMA: &str = "message flights {
    required int64 date (TIMESTAMP(MICROS,true));
    required int32 delay;
    optional double distance;
    required binary origin (UTF8);
    optional binary destination (UTF8);
    required boolean cancelled;
    required float load;
    required int32 day (DATE);
    required int96 arrival;
    required int64 unsigned (UINT_64);
    optional int64 seen (TIMESTAMP(NANOS,true));
    required int32 price (DECIMAL(5,2));
}";

/// Writes row groups of the given lengths; row `i` of the file is made from `i`.
fn write_flights(groups: &[usize]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("flights.parquet");
    let schema = Arc::new(parse_message_type(SCHEMA).expect("the schema is well-formed"));
    let properties = Arc::new(
        WriterProperties::builder()
            .set_data_page_row_count_limit(100)
            .build(),
    );
    let file = fs::File::create(&path).expect("the directory is writable");
    let mut writer = SerializedFileWriter::new(file, schema, properties).expect("a writer");
    let mut start = 0_i64;
    for rows in groups {
        write_group(&mut writer, start..start + *rows as i64);
        start += *rows as i64;
    }
    writer.close().expect("the file is complete");
    (dir, path)
}

macro_rules! column {
    ($group:ident, $type:ty, $levels:expr, $values:expr) => {
        let mut column = $group
            .next_column()
            .expect("no error")
            .expect("one more column");
        let levels: Option<Vec<i16>> = $levels;
        let values: Vec<_> = $values;
        column
            .typed::<$type>()
            .write_batch(&values, levels.as_deref(), None)
            .expect("a column of this type");
        column.close().expect("the column is complete");
    };
}

fn write_group(writer: &mut SerializedFileWriter<fs::File>, rows: std::ops::Range<i64>) {
    let mut group = writer.next_row_group().expect("a row group");
    let every_third_null = || Some(rows.clone().map(|i| i16::from(i % 3 != 0)).collect());
    let present = || rows.clone().filter(|i| i % 3 != 0);
    column!(
        group,
        Int64Type,
        None,
        rows.clone().map(|i| (i - 2) * 1_000_000 + 1).collect()
    );
    column!(
        group,
        Int32Type,
        None,
        rows.clone().map(|i| i as i32 - 10).collect()
    );
    column!(
        group,
        DoubleType,
        every_third_null(),
        present().map(|i| i as f64 / 2.0).collect()
    );
    column!(
        group,
        ByteArrayType,
        None,
        rows.clone()
            .map(|i| format!("O{}", i % 7).as_str().into())
            .collect()
    );
    column!(
        group,
        ByteArrayType,
        every_third_null(),
        present().map(|i| format!("D{i}").as_str().into()).collect()
    );
    column!(
        group,
        BoolType,
        None,
        rows.clone().map(|i| i % 2 == 0).collect()
    );
    column!(
        group,
        FloatType,
        None,
        rows.clone().map(|i| i as f32).collect()
    );
    column!(
        group,
        Int32Type,
        None,
        rows.clone().map(|i| i as i32 - 1).collect()
    );
    column!(
        group,
        Int96Type,
        None,
        rows.clone().map(int96_of_seconds).collect()
    );
    column!(
        group,
        Int64Type,
        None,
        rows.clone().map(|i| i - 1).collect()
    );
    column!(
        group,
        Int64Type,
        every_third_null(),
        present().map(|i| i * 1_000_000 - 1).collect()
    );
    column!(
        group,
        Int32Type,
        None,
        rows.clone().map(|i| i as i32).collect()
    );
    group.close().expect("the row group is complete");
}

fn int96_of_seconds(seconds: i64) -> Int96 {
    let nanos = seconds.cast_unsigned() * 1_000_000_000;
    let mut int96 = Int96::new();
    int96.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588); // the Julian day of 1970-01-01
    int96
}

fn read<T: DeserializeOwned + 'static>(
    source: &File<T, super::super::Parquet>,
    splits: &[Split],
) -> Result<Vec<T>> {
    let mut records = Vec::new();
    for split in splits {
        let mut reader = source.open(split, None)?;
        let mut errors = Vec::new();
        while reader.fill(&mut records, &mut errors, 17)? != Fill::Finished {}
        assert_eq!(errors, []);
    }
    Ok(records)
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flight {
    origin: String,
    destination: Option<String>,
    date: i64,
    delay: i64,
    distance: Option<f64>,
    cancelled: bool,
    load: f32,
    day: i64,
    arrival: i64,
    unsigned: u64,
    seen: Option<i64>,
    #[serde(default)]
    not_in_the_file: u8,
}

fn flight(i: i64) -> Flight {
    let present = i % 3 != 0;
    Flight {
        origin: format!("O{}", i % 7),
        destination: present.then(|| format!("D{i}")),
        date: (i - 2) * 1_000,
        delay: i - 10,
        distance: present.then_some(i as f64 / 2.0),
        cancelled: i % 2 == 0,
        load: i as f32,
        day: (i - 1) * 86_400_000,
        arrival: i * 1_000,
        unsigned: (i - 1).cast_unsigned(),
        seen: present.then_some(i - 1),
        not_in_the_file: 0,
    }
}

#[test]
fn rows_become_structs_with_times_in_milliseconds() {
    let (_dir, path) = write_flights(&[50, 1, 300]);
    let source = File::parquet::<Flight>(&path);
    let splits = source.discover().expect("a good file");
    assert_eq!(splits.len(), 3);
    assert_eq!(splits[2].id.as_str(), "flights.parquet@000000000051");
    assert_eq!(
        read(&source, &splits).expect("good rows"),
        (0..351).map(flight).collect::<Vec<_>>()
    );
}

#[test]
fn large_row_groups_are_shared_by_several_splits() {
    let (_dir, path) = write_flights(&[1_000, 10]);
    let source = File::parquet::<Flight>(&path).split_size(300);
    let splits = source.discover().expect("a good file");
    assert_eq!(splits.len(), 5);
    assert_eq!(
        read(&source, &splits).expect("good rows"),
        (0..1_010).map(flight).collect::<Vec<_>>()
    );
}

#[test]
fn a_split_goes_on_at_any_offset() {
    let (_dir, path) = write_flights(&[10, 90]);
    let source = File::parquet::<Flight>(&path);
    let splits = source.discover().expect("a good file");
    for stop in 0..=90 {
        let (mut records, mut errors) = (Vec::new(), Vec::new());
        let mut reader = source.open(&splits[1], None).expect("a good split");
        let _more = reader
            .fill(&mut records, &mut errors, stop)
            .expect("good rows");
        let mut reader = source
            .open(&splits[1], Some(&reader.offset()))
            .expect("a good offset");
        assert_eq!(
            reader
                .fill(&mut records, &mut errors, 1_000)
                .expect("good rows"),
            Fill::Finished
        );
        assert_eq!(
            records,
            (10..100).map(flight).collect::<Vec<_>>(),
            "stopped at {stop}"
        );
    }
}

#[test]
fn tuples_and_maps_take_columns_by_position_and_by_name() {
    let (_dir, path) = write_flights(&[4]);
    let tuples = File::parquet::<(i64, i32)>(&path);
    let splits = tuples.discover().expect("a good file");
    let expected: Vec<_> = (0..4).map(|i| ((i - 2) * 1_000, i as i32 - 10)).collect();
    assert_eq!(read(&tuples, &splits).expect("good rows"), expected);
}

/// Reads the file as `T` and checks the error that stops it.
fn check_refused<T: DeserializeOwned + 'static>(expected: &str) {
    let (_dir, path) = write_flights(&[10]);
    let source = File::parquet::<T>(&path);
    let splits = source.discover().expect("a good file");
    let error = read(&source, &splits).err().expect("the type does not fit");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.message().replace(&path.display().to_string(), "FILE"),
        expected
    );
}

#[test]
fn a_record_that_does_not_fit_the_columns_is_refused_with_names_and_types() {
    #[derive(Debug, Deserialize)]
    struct Missing {
        #[expect(dead_code, reason = "only read")]
        tail: String,
    }
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[expect(dead_code, reason = "only read")]
        delay: String,
    }
    #[derive(Debug, Deserialize)]
    struct Price {
        #[expect(dead_code, reason = "only read")]
        price: i64,
    }
    check_refused::<Missing>(
        "FILE has no column `tail`, which the record needs; it has `date`, `delay`, `distance`, `origin`, \
         `destination`, `cancelled`, `load`, `day`, `arrival`, `unsigned`, `seen`, `price`",
    );
    check_refused::<Wrong>(
        "FILE: column `delay` is INT32, read as integer `-10`; the record wants a string",
    );
    check_refused::<Price>(
        "FILE: column `price` is INT32 (DECIMAL), which cannot be read; leave it out of the record",
    );
}

#[test]
fn a_value_that_does_not_fit_is_an_error_of_its_row_only() {
    #[derive(Debug, Deserialize)]
    struct Small {
        #[expect(dead_code, reason = "only read")]
        delay: u8,
        #[expect(dead_code, reason = "only read")]
        distance: f64,
    }
    let (_dir, path) = write_flights(&[14]);
    let source = File::parquet::<Small>(&path);
    let splits = source.discover().expect("a good file");
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    let mut reader = source.open(&splits[0], None).expect("a good split");
    assert_eq!(
        reader
            .fill(&mut records, &mut errors, 100)
            .expect("a good file"),
        Fill::Finished
    );
    assert_eq!((records.len(), errors.len()), (3, 11));
    assert_eq!(errors[0].line, 1);
    assert_eq!(
        errors[0].message,
        "column `delay`: invalid value: integer `-10`, expected u8"
    );
    assert_eq!(errors[10].line, 13);
    assert_eq!(
        errors[10].message,
        "column `distance`: is null, expected f64"
    );
}

#[test]
fn what_is_no_parquet_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("flights.parquet");
    fs::write(&path, "date,delay\n").expect("the directory is writable");
    let error = File::parquet::<Flight>(&path)
        .discover()
        .expect_err("no Parquet");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
