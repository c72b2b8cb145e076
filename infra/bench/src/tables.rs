//! Tables for people and in Markdown, and the document that they are written into.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

/// Writes the part of `document` that belongs to `bench NAME` anew: what is between its marks.
pub(crate) fn write_into(document: &Path, name: &str, markdown: &str) -> anyhow::Result<()> {
    let (begin, end) = (format!("<!-- bench {name}: begin -->"), format!("<!-- bench {name}: end -->"));
    let text =
        std::fs::read_to_string(document).with_context(|| format!("cannot read {}", document.display()))?;
    let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        parts.with_context(|| format!("{} lacks the marks {begin} and {end}", document.display()))?;
    let text = format!("{before}{begin}\n\n{}\n\n{end}{after}", markdown.trim_end());
    Ok(std::fs::write(document, text)?)
}

pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// Columns padded with blanks: the first and the last to the left, figures to the right.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if n == 0 || n + 1 == columns {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A Markdown table.
pub(crate) fn piped(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if n == 0 {
            let last = row.len().saturating_sub(1);
            let marks = (0..row.len()).map(|n| if n == 0 || n == last { "---" } else { "--:" });
            let _ = writeln!(text, "|{}|", marks.collect::<Vec<_>>().join("|"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [["a", "b", "c"], ["long", "1.5", "x|y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "a       b  c\nlong  1.5  x|y\n");
        assert_eq!(piped(&rows), "| a | b | c |\n|---|--:|---|\n| long | 1.5 | x\\|y |\n");
    }

    #[test]
    fn only_what_is_between_the_own_marks_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = |name: &str, text: &str| {
            format!("<!-- bench {name}: begin -->\n\n{text}\n\n<!-- bench {name}: end -->")
        };
        let (one, two) = (of("one", "old"), of("two", "other"));
        std::fs::write(file.path(), format!("prose\n{one}\nmore\n{two}\n")).unwrap();
        write_into(file.path(), "one", "new\n").unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text, format!("prose\n{}\nmore\n{two}\n", of("one", "new")));
        assert!(write_into(file.path(), "three", "").is_err());
    }
}
