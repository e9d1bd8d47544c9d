//! One table of all that was measured, with a verdict on each goal.

use std::fmt;

use crate::goals::Goal;

/// With more of the processors in other hands, the numbers say little.
const OTHERS_MAX: f64 = 0.10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Table {
    heading: String,
    headings: &'static [&'static str],
    rows: Vec<Vec<String>>,
    footnotes: Vec<String>,
    goals: usize,
    missed: usize,
    /// The largest part of the processors that others had while something was measured.
    others: f64,
}

impl Table {
    pub(crate) fn new(heading: String, headings: &'static [&'static str]) -> Self {
        let (rows, footnotes) = (Vec::new(), Vec::new());
        Self { heading, headings, rows, footnotes, goals: 0, missed: 0, others: 0.0 }
    }

    /// Adds a row; cells that are missing at its end are empty.
    pub(crate) fn push(&mut self, mut cells: Vec<String>) {
        cells.resize(self.headings.len(), String::new());
        self.rows.push(cells);
    }

    /// Adds lines below the table.
    pub(crate) fn extend_footnotes(&mut self, lines: impl IntoIterator<Item = String>) {
        self.footnotes.extend(lines);
    }

    /// Counts a goal and says whether the number meets it.
    pub(crate) fn judge(&mut self, goal: Goal, number: f64) -> String {
        self.goals += 1;
        if goal.is_met_by(number) {
            return "ok".to_owned();
        }
        self.missed += 1;
        format!("**missed by {:.1} %**", 100.0 * goal.missed_by(number))
    }

    /// Others had so much of the processors while something in the table was measured.
    pub(crate) fn note_others(&mut self, part: f64) {
        self.others = self.others.max(part);
    }

    pub(crate) fn all_met(&self) -> bool {
        self.missed == 0
    }

    /// Columns that say something in any row.
    fn columns(&self) -> Vec<usize> {
        let is_used = |column: usize| self.rows.iter().any(|cells| !cells[column].is_empty());
        (0..self.headings.len()).filter(|column| is_used(*column)).collect()
    }

    fn write_row(f: &mut fmt::Formatter<'_>, cells: &[&str], widths: &[usize]) -> fmt::Result {
        for (cell, width) in cells.iter().zip(widths) {
            write!(f, "| {cell:<width$} ")?;
        }
        writeln!(f, "|")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.heading)?;
        let columns = self.columns();
        let headings: Vec<_> = columns.iter().map(|column| self.headings[*column]).collect();
        let rows: Vec<Vec<&str>> = self
            .rows
            .iter()
            .map(|cells| columns.iter().map(|column| cells[*column].as_str()).collect())
            .collect();
        let width = |at: usize| {
            let cells = rows.iter().chain([&headings]).map(|cells| cells[at].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..columns.len()).map(width).collect();
        Self::write_row(f, &headings, &widths)?;
        let lines: Vec<_> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(f, "|{}|", lines.join("|"))?;
        for cells in &rows {
            Self::write_row(f, cells, &widths)?;
        }
        writeln!(f)?;
        for line in &self.footnotes {
            writeln!(f, "{line}")?;
        }
        if self.others > OTHERS_MAX {
            let percent = 100.0 * self.others;
            writeln!(f, "DISTURBED: others had up to {percent:.0} % of the CPU; measure again.")?;
        }
        writeln!(f, "{} of {} goals met", self.goals - self.missed, self.goals)
    }
}

/// What stands where there is nothing to say.
pub(crate) fn dash() -> String {
    "–".to_owned()
}

/// `12345.6` as `12,346`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0.4, 999.0, 1_000.0, 20_000.4, 1_234_567.0].map(thousands);
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }
}
