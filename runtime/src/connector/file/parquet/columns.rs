//! Columns of a row group, decoded a batch of rows at a time.

use std::path::Path;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType, Int96};
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::RowGroupReader;
use ::parquet::schema::types::ColumnDescriptor;

use super::fields::{Fields, listed};
use super::unreadable;
use crate::error::Error;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// The place of a value that is null.
const NULL: u32 = u32::MAX;

/// One column and its decoded batch.
pub(super) struct Column {
    pub(super) name: String,
    /// Its type as messages name it.
    pub(super) type_name: String,
    meaning: Meaning,
    reader: ColumnReader,
    levels: Levels,
    values: Values,
}

/// What the stored numbers or bytes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Themselves.
    Plain,
    Unsigned,
    /// Days since the Unix epoch.
    Days,
    /// Microseconds, nanoseconds: this many to a millisecond.
    Fraction(i64),
    Text,
}

/// Where values are null.
struct Levels {
    max: i16,
    buffer: Vec<i16>,
    /// The place of each row's value among the values, if any row has none.
    places: Vec<u32>,
}

/// The values of a batch that are not null.
enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Unsigned(Vec<u64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Text(Vec<ByteArray>),
    Bytes(Vec<ByteArray>),
}

/// One value, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f32),
    Double(f64),
    /// Text that its writer says is UTF-8.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Opens the columns that `fields` names, in the order of the file.
pub(super) fn open(
    path: &Path,
    group: &dyn RowGroupReader,
    fields: &Fields,
) -> crate::Result<Vec<Column>> {
    let schema = group.metadata().schema_descr();
    let wanted = |i: usize, name: &str| match fields {
        Fields::Named(names) => names.contains(&name),
        Fields::First(n) => i < *n,
        Fields::All => true,
    };
    if let Fields::First(n) = fields
        && *n > schema.num_columns()
    {
        let names = listed(schema.columns().iter().map(|c| c.name()));
        return Err(Error::invalid(format!(
            "{} has the columns {names}; the record has {n} fields",
            path.display()
        )));
    }
    let mut columns = Vec::new();
    for (i, descriptor) in schema.columns().iter().enumerate() {
        let name = &descriptor.path().parts()[0];
        if !wanted(i, name) {
            continue;
        }
        let type_name = type_name(descriptor);
        let Some(meaning) = meaning(descriptor) else {
            return Err(Error::invalid(format!(
                "{}: column `{name}` is {type_name}, which cannot be read; leave it out of the record",
                path.display()
            )));
        };
        let reader = group
            .get_column_reader(i)
            .map_err(|e| unreadable(path, &e))?;
        let levels = Levels {
            max: descriptor.max_def_level(),
            buffer: Vec::new(),
            places: Vec::new(),
        };
        let values = Values::Bool(Vec::new());
        columns.push(Column {
            name: name.clone(),
            type_name,
            meaning,
            reader,
            levels,
            values,
        });
    }
    Ok(columns)
}

/// The type of a column in words: `INT64 (TIMESTAMP_MICROS)`.
fn type_name(descriptor: &ColumnDescriptor) -> String {
    let physical = descriptor.physical_type();
    let nested = if is_nested(descriptor) { "nested " } else { "" };
    let logical = match (descriptor.converted_type(), descriptor.logical_type_ref()) {
        (ConvertedType::NONE, Some(LogicalType::Timestamp(t))) => {
            format!(" (TIMESTAMP, {:?})", t.unit)
        }
        (ConvertedType::NONE, Some(LogicalType::Float16)) => " (FLOAT16)".to_owned(),
        (ConvertedType::NONE, _) => String::new(),
        (converted, _) => format!(" ({converted})"),
    };
    format!("{nested}{physical}{logical}")
}

fn is_nested(descriptor: &ColumnDescriptor) -> bool {
    descriptor.path().parts().len() > 1 || descriptor.max_rep_level() > 0
}

/// What a column's values mean; `None` if we cannot read them.
fn meaning(descriptor: &ColumnDescriptor) -> Option<Meaning> {
    if is_nested(descriptor) {
        return None;
    }
    match descriptor.logical_type_ref() {
        Some(LogicalType::Timestamp(t)) => Some(match t.unit {
            TimeUnit::MILLIS => Meaning::Plain,
            TimeUnit::MICROS => Meaning::Fraction(1_000),
            TimeUnit::NANOS => Meaning::Fraction(1_000_000),
        }),
        Some(LogicalType::Date) => Some(Meaning::Days),
        Some(LogicalType::Integer(t)) if !t.is_signed => Some(Meaning::Unsigned),
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Some(Meaning::Text),
        Some(LogicalType::Decimal(_) | LogicalType::Float16) => None,
        Some(_) => Some(Meaning::Plain),
        None => match descriptor.converted_type() {
            ConvertedType::TIMESTAMP_MICROS => Some(Meaning::Fraction(1_000)),
            ConvertedType::DATE => Some(Meaning::Days),
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64 => Some(Meaning::Unsigned),
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Some(Meaning::Text),
            ConvertedType::DECIMAL => None,
            _ => Some(Meaning::Plain),
        },
    }
}

impl Column {
    /// Passes over `rows` rows, without decoding whole pages of them.
    pub(super) fn skip(&mut self, rows: u64) -> Result<()> {
        let rows = rows as usize;
        let skipped = match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => r.skip_records(rows),
            ColumnReader::Int32ColumnReader(r) => r.skip_records(rows),
            ColumnReader::Int64ColumnReader(r) => r.skip_records(rows),
            ColumnReader::Int96ColumnReader(r) => r.skip_records(rows),
            ColumnReader::FloatColumnReader(r) => r.skip_records(rows),
            ColumnReader::DoubleColumnReader(r) => r.skip_records(rows),
            ColumnReader::ByteArrayColumnReader(r) => r.skip_records(rows),
            ColumnReader::FixedLenByteArrayColumnReader(r) => r.skip_records(rows),
        }?;
        if skipped == rows {
            Ok(())
        } else {
            Err(ParquetError::EOF(format!(
                "column `{}` is too short",
                self.name
            )))
        }
    }

    /// Decodes the next batch of at most `rows` rows, and gives the number of rows it has.
    pub(super) fn read(&mut self, rows: usize) -> Result<usize> {
        let levels = &mut self.levels;
        let reuse = std::mem::replace(&mut self.values, Values::Bool(Vec::new()));
        let (read, values) = match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => {
                batch(r, rows, levels, Vec::new()).map(|(n, v)| (n, Values::Bool(v)))
            }
            ColumnReader::Int32ColumnReader(r) => {
                batch(r, rows, levels, Vec::new()).map(|(n, v)| (n, of_i32(&v, self.meaning)))
            }
            ColumnReader::Int64ColumnReader(r) => {
                let reused = if let Values::Int(v) = reuse {
                    v
                } else {
                    Vec::new()
                };
                batch(r, rows, levels, reused).map(|(n, v)| (n, of_i64(v, self.meaning)))
            }
            ColumnReader::Int96ColumnReader(r) => batch(r, rows, levels, Vec::new())
                .map(|(n, v)| (n, Values::Int(v.iter().map(Int96::to_millis).collect()))),
            ColumnReader::FloatColumnReader(r) => {
                batch(r, rows, levels, Vec::new()).map(|(n, v)| (n, Values::Float(v)))
            }
            ColumnReader::DoubleColumnReader(r) => {
                batch(r, rows, levels, Vec::new()).map(|(n, v)| (n, Values::Double(v)))
            }
            ColumnReader::ByteArrayColumnReader(r) => {
                let reused = if let Values::Text(v) | Values::Bytes(v) = reuse {
                    v
                } else {
                    Vec::new()
                };
                batch(r, rows, levels, reused).map(|(n, v)| (n, of_bytes(v, self.meaning)))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => batch(r, rows, levels, Vec::new())
                .map(|(n, v)| {
                    (
                        n,
                        of_bytes(v.into_iter().map(ByteArray::from).collect(), self.meaning),
                    )
                }),
        }?;
        self.values = values;
        Ok(read)
    }

    /// The value in a row of the batch.
    #[inline]
    pub(super) fn cell(&self, row: usize) -> Cell<'_> {
        let place = match self.levels.places.get(row) {
            None => row,
            Some(&NULL) => return Cell::Null,
            Some(&place) => place as usize,
        };
        match &self.values {
            Values::Bool(v) => Cell::Bool(v[place]),
            Values::Int(v) => Cell::Int(v[place]),
            Values::Unsigned(v) => Cell::Unsigned(v[place]),
            Values::Float(v) => Cell::Float(v[place]),
            Values::Double(v) => Cell::Double(v[place]),
            Values::Text(v) => Cell::Text(v[place].data()),
            Values::Bytes(v) => Cell::Bytes(v[place].data()),
        }
    }
}

fn batch<D: DataType>(
    reader: &mut ColumnReaderImpl<D>,
    rows: usize,
    levels: &mut Levels,
    mut values: Vec<D::T>,
) -> Result<(usize, Vec<D::T>)> {
    values.clear();
    levels.buffer.clear();
    levels.places.clear();
    let mut read = 0;
    // A call may end at the end of a page.
    while read < rows {
        let wanted = (levels.max > 0).then_some(&mut levels.buffer);
        let (n, _, _) = reader.read_records(rows - read, wanted, None, &mut values)?;
        if n == 0 {
            break;
        }
        read += n;
    }
    if levels.max > 0 && values.len() < read {
        let mut next = 0;
        levels.places.extend(levels.buffer.iter().map(|level| {
            let place = if *level == levels.max { next } else { NULL };
            next += u32::from(*level == levels.max);
            place
        }));
    }
    Ok((read, values))
}

fn of_i32(values: &[i32], meaning: Meaning) -> Values {
    match meaning {
        Meaning::Unsigned => Values::Unsigned(
            values
                .iter()
                .map(|v| u64::from(v.cast_unsigned()))
                .collect(),
        ),
        Meaning::Days => Values::Int(
            values
                .iter()
                .map(|v| i64::from(*v) * MILLIS_PER_DAY)
                .collect(),
        ),
        Meaning::Plain | Meaning::Fraction(_) | Meaning::Text => {
            Values::Int(values.iter().map(|v| i64::from(*v)).collect())
        }
    }
}

fn of_i64(mut values: Vec<i64>, meaning: Meaning) -> Values {
    match meaning {
        Meaning::Unsigned => {
            return Values::Unsigned(values.into_iter().map(i64::cast_unsigned).collect());
        }
        // Constant divisors, because a division by a variable costs ten times as much.
        Meaning::Fraction(1_000) => values.iter_mut().for_each(|v| *v = v.div_euclid(1_000)),
        Meaning::Fraction(n) => values.iter_mut().for_each(|v| *v = v.div_euclid(n)),
        Meaning::Plain | Meaning::Days | Meaning::Text => {}
    }
    Values::Int(values)
}

fn of_bytes(values: Vec<ByteArray>, meaning: Meaning) -> Values {
    match meaning {
        Meaning::Text => Values::Text(values),
        Meaning::Plain | Meaning::Unsigned | Meaning::Days | Meaning::Fraction(_) => {
            Values::Bytes(values)
        }
    }
}
