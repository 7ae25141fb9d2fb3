//! Tables that fit where they are shown.
//!
//! On a terminal a column that may wrap gives room first, then the least important ones are left
//! out, and the table says which. In a pipe every row is one line and nothing is left out.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Width};

/// Room between two columns.
const GAP: usize = 2;
/// What a column that wraps keeps at least, and what it keeps for a long word.
const WRAPPED: std::ops::RangeInclusive<usize> = 12..=24;

/// One column.
pub(crate) struct Column {
    title: &'static str,
    /// Columns of the greatest number go first; 0 stays.
    rank: u8,
    wraps: bool,
}

impl Column {
    /// One that stays whatever the width, and whole: a name to be copied.
    pub(crate) fn name(title: &'static str) -> Self {
        Self {
            title,
            rank: 0,
            wraps: false,
        }
    }

    /// One that is left out before those of a smaller rank.
    pub(crate) fn new(title: &'static str, rank: u8) -> Self {
        Self {
            rank,
            ..Self::name(title)
        }
    }

    /// One whose text may go on in the next line.
    pub(crate) fn wrapped(title: &'static str, rank: u8) -> Self {
        Self {
            wraps: true,
            ..Self::new(title, rank)
        }
    }
}

/// How a cell is meant; shown by colour where there is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// In order.
    Good,
    /// To be looked at.
    Warn,
    /// Over.
    Gone,
}

/// A table; its rows have a cell for every column.
pub(crate) struct Table {
    columns: Vec<Column>,
    heading: bool,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table under a heading.
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            heading: true,
            rows: Vec::new(),
        }
    }

    /// Names and what belongs to them, without a heading.
    pub(crate) fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut table = Self::new(vec![Column::name(""), Column::wrapped("", 0)]);
        table.heading = false;
        for (name, value) in rows {
            table.push(vec![(name, Tone::Plain), (value, Tone::Plain)]);
        }
        table
    }

    /// Adds a row. What a terminal would take for a command is made visible.
    pub(crate) fn push(&mut self, row: Vec<(String, Tone)>) {
        let visible = row.into_iter().map(|(text, tone)| (printable(&text), tone));
        self.rows.push(visible.collect());
    }

    /// The table as text, within `width` columns of a terminal, or as wide as it is.
    pub(crate) fn render(&self, width: Option<usize>, colour: bool) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let every: Vec<usize> = (0..self.columns.len()).collect();
        let natural = self.lay(&every).column_max_content_widths();
        let natural: Vec<usize> = natural.into_iter().map(usize::from).collect();
        let (kept, widths) = self.fit(&natural, width);
        let mut table = self.lay(&kept);
        if colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            let last = place + 1 == kept.len();
            let gap = if last { 0 } else { GAP };
            column.set_padding((0, u16::try_from(gap).expect("two")));
            if let (Some(_), Ok(wide)) = (width, u16::try_from(widths[place] + gap)) {
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(wide)));
            }
        }
        if width.is_some() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            let whole: usize = widths.iter().sum::<usize>() + GAP * (kept.len() - 1);
            table.set_width(u16::try_from(whole).unwrap_or(u16::MAX));
        }
        let mut text = table.trim_fmt();
        let left_out: Vec<&str> = (0..self.columns.len())
            .filter(|column| !kept.contains(column))
            .map(|column| self.columns[column].title)
            .collect();
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            let said = format!("not shown at this width: {names}");
            text.push_str("\n\n");
            text.push_str(&super::wrapped(&said, 0, width));
        }
        text
    }

    /// These columns of the table, as wide as they are.
    fn lay(&self, kept: &[usize]) -> comfy_table::Table {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if self.heading {
            let titles = kept.iter().map(|column| {
                Cell::new(self.columns[*column].title).add_attribute(Attribute::Bold)
            });
            table.set_header(titles);
        }
        for row in &self.rows {
            table.add_row(kept.iter().map(|column| {
                let (text, tone) = &row[*column];
                let cell = Cell::new(text);
                match tone {
                    Tone::Plain => cell,
                    Tone::Good => cell.fg(Color::Green),
                    Tone::Warn => cell.fg(Color::Yellow),
                    Tone::Gone => cell.add_attribute(Attribute::Dim),
                }
            }));
        }
        table
    }

    /// The columns that are shown, and how wide each is.
    fn fit(&self, natural: &[usize], width: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else {
            return (kept, natural.to_vec());
        };
        let least = |column: usize| match self.columns[column].wraps {
            true => self
                .longest_word(column)
                .clamp(*WRAPPED.start(), *WRAPPED.end()),
            false => natural[column],
        };
        let least = |column: usize| least(column).min(natural[column]);
        let whole = |kept: &[usize], of: &dyn Fn(usize) -> usize| {
            kept.iter().map(|column| of(*column)).sum::<usize>() + GAP * (kept.len() - 1)
        };
        while whole(&kept, &least) > width {
            let last = kept.iter().rposition(|column| {
                let rank = self.columns[*column].rank;
                rank > 0 && kept.iter().all(|other| self.columns[*other].rank <= rank)
            });
            let Some(last) = last else { break };
            kept.remove(last);
        }
        // What is over goes to the columns that wrap, the first of them first.
        let mut over = width.saturating_sub(whole(&kept, &least));
        let widths = kept.iter().map(|column| {
            let more = over.min(natural[*column] - least(*column));
            over -= more;
            least(*column) + more
        });
        let widths = widths.collect();
        (kept, widths)
    }
}

impl Table {
    fn longest_word(&self, column: usize) -> usize {
        let words = self.rows.iter().flat_map(|row| row[column].0.split(' '));
        words.map(|word| word.chars().count()).max().unwrap_or(0)
    }
}

/// A text without what would move the cursor or change colours.
pub(crate) fn printable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Table {
        let mut table = Table::new(vec![
            Column::name("token"),
            Column::wrapped("label", 2),
            Column::new("state", 0),
            Column::new("created", 3),
        ]);
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        for (token, label, state) in [
            ("tok_1", "the bot of the front desk in the hall", "active"),
            ("tok_2", "受付のボット", "revoked"),
            ("tok_3", "", "active"),
        ] {
            table.push(vec![
                plain(token),
                plain(label),
                plain(state),
                plain("2026-03-01"),
            ]);
        }
        table
    }

    #[test]
    fn in_a_pipe_every_row_is_a_line_and_nothing_is_left_out() {
        let text = keys().render(None, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("the bot of the front desk in the hall  active"));
        assert!(lines.iter().all(|line| !line.ends_with(' ')));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn wide_characters_take_two_columns_of_the_terminal() {
        let text = keys().render(None, false);
        let lines: Vec<&str> = text.lines().collect();
        let before = |line: &str, word: &str| {
            let head = &line[..line.find(word).unwrap()];
            // Each of these characters is wide.
            head.chars()
                .map(|c| if c > '\u{3000}' { 2 } else { 1 })
                .sum::<usize>()
        };
        let column = before(lines[1], "active");
        assert_eq!(before(lines[2], "revoked"), column);
        assert_eq!(before(lines[3], "active"), column);
    }

    #[test]
    fn a_narrow_terminal_wraps_first_then_leaves_out_the_least_important_and_says_so() {
        let at = |width| keys().render(Some(width), false);
        let longest = |text: &str| text.lines().map(|line| line.chars().count()).max();
        let whole = at(140);
        assert_eq!(whole.lines().count(), 4);
        let wrapped = at(55);
        assert!(wrapped.lines().count() > 4 && wrapped.contains("created"));
        assert!(!wrapped.contains("not shown"));
        let narrow = at(36);
        assert!(
            narrow.ends_with("not shown at this width: created"),
            "{narrow}"
        );
        let narrower = at(20);
        assert!(
            narrower
                .replace('\n', " ")
                .ends_with("not shown at this width: label, created"),
            "{narrower}"
        );
        for (width, text) in [(55, &wrapped), (36, &narrow)] {
            let table = text.split("\n\n").next().unwrap();
            assert!(longest(table) <= Some(width), "{text}");
        }
        // A name that is copied is never broken, whatever the width.
        assert!(at(1).contains("tok_2"));
    }

    #[test]
    fn a_text_from_elsewhere_commands_no_terminal() {
        let mut table = Table::new(vec![Column::name("label")]);
        table.push(vec![("red \u{1b}[31m\r\nlast".into(), Tone::Plain)]);
        let text = table.render(None, false);
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
        assert_eq!(text.lines().count(), 2);
        let mut tones = Table::new(vec![Column::name("state")]);
        tones.push(vec![("active".into(), Tone::Good)]);
        assert!(tones.render(None, true).contains("\u{1b}["));
    }
}
