//! Columns of text beside each other, for a terminal.

/// Between two columns.
pub(super) const GAP: &str = "  ";

/// A column of a table.
pub(super) struct Column {
    /// Its head, and a cell for each row.
    pub(super) cells: Vec<String>,
    /// Words stand at the left, numbers at the right.
    words: bool,
}

impl Column {
    pub(super) fn new<T>(head: impl Into<String>, rows: &[T], cell: impl Fn(&T) -> String) -> Self {
        let cells = rows.iter().map(cell);
        Self {
            cells: std::iter::once(head.into()).chain(cells).collect(),
            words: false,
        }
    }

    pub(super) fn of_words(self) -> Self {
        Self {
            words: true,
            ..self
        }
    }

    pub(super) fn width(&self) -> usize {
        let widths = self.cells.iter().map(|cell| cell.chars().count());
        widths.max().unwrap_or(0)
    }
}

/// The width of columns beside each other.
pub(super) fn wide(columns: &[Column]) -> usize {
    let widths = columns.iter().map(|c| c.width() + GAP.len());
    widths.sum::<usize>().saturating_sub(GAP.len())
}

pub(super) fn text(columns: &[Column]) -> String {
    let rows = columns.iter().map(|c| c.cells.len()).max().unwrap_or(0);
    let line = |row: usize| {
        let cells: Vec<_> = columns
            .iter()
            .map(|column| {
                let cell = column.cells.get(row).map_or("", |cell| cell);
                let width = column.width();
                match column.words {
                    true => format!("{cell:width$}"),
                    false => format!("{cell:>width$}"),
                }
            })
            .collect();
        cells.join(GAP).trim_end().to_owned() + "\n"
    };
    (0..rows).map(line).collect()
}
