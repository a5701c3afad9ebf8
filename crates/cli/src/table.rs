//! Tables whose columns are as wide as what stands in them.

use std::io::{self, Write};

/// A column: its head, and whether it ends at the right, as numbers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column<'a> {
    head: &'a str,
    right: bool,
}

impl Column<'_> {
    /// Reads heads, each with `<` or `>` before it for the side that it keeps to.
    pub fn parse(s: &str) -> Vec<Column<'_>> {
        s.split(' ').map(|c| Column { head: &c[1..], right: c.starts_with('>') }).collect()
    }
}

/// Prints rows under their heads.
pub(crate) fn table(out: &mut dyn Write, columns: &[Column<'_>], rows: &[Vec<String>]) -> io::Result<()> {
    let chars = |s: &str| s.chars().count();
    let width = |i: usize| rows.iter().map(|r| chars(&r[i])).chain([chars(columns[i].head)]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut l = String::new();
        for ((cell, c), w) in cells.zip(columns).zip(&widths) {
            let cell = if c.right { format!("{cell:>w$}  ") } else { format!("{cell:<w$}  ") };
            l.push_str(&cell);
        }
        writeln!(out, "{}", l.trim_end())
    };
    line(&mut columns.iter().map(|c| c.head))?;
    rows.iter().try_for_each(|r| line(&mut r.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_left_and_numbers_right() {
        let mut out = Vec::new();
        let rows = [["a", "1"], ["longer", "22222222"]].map(|r| r.map(String::from).to_vec());
        table(&mut out, &Column::parse("<name >octets"), &rows).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "name      octets\na              1\nlonger  22222222\n");
    }
}
