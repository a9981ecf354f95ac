//! Tables for people: columns that are as wide as what stands in them.

use std::io::{self, Write};

/// A table.
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

struct Column {
    title: &'static str,
    align: Align,
}

impl Table {
    /// A table with these columns; numbers stand at the right.
    pub(super) fn of(columns: &[(&'static str, Align)]) -> Self {
        let column = |(title, align): &(&'static str, Align)| Column {
            title,
            align: *align,
        };
        Self {
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).max(self.columns[at].title.len())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let titles: Vec<String> = self.columns.iter().map(|c| c.title.to_owned()).collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let cells = row.iter().zip(&widths).zip(&self.columns);
            let padded: Vec<String> = cells
                .map(|((cell, &width), column)| match column.align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            writeln!(out, "{}", padded.join("  ").trim_end())?;
        }
        Ok(())
    }
}
