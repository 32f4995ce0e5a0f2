//! The result, as a table and as JSON.

use std::fmt;

use serde_json::{Value, json};

use super::Plan;
use super::cases::{Case, Figure};

/// What was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) plan: Plan,
    pub(crate) rows: Vec<Row>,
}

/// One figure: medians of the rounds. `None` where the system does not say.
#[derive(Debug)]
pub(crate) struct Row {
    case: Case,
    figure: Figure,
    ours: Option<f64>,
    bare: Option<f64>,
    /// The median of the rounds' ratios, the least and the most of them.
    ratio: Option<(f64, f64, f64)>,
}

impl Row {
    pub(crate) fn of(case: Case, figure: Figure, ours: Vec<Option<f64>>, bare: Vec<Option<f64>>) -> Row {
        let ratios = ours.iter().zip(&bare).map(|(ours, bare)| Some((*ours)? / (*bare)?)).collect();
        let ratio = sorted(ratios).and_then(|all| Some((median(&all), *all.first()?, *all.last()?)));
        let of = |rounds| sorted(rounds).map(|all| median(&all));
        Row { case, figure, ours: of(ours), bare: of(bare), ratio }
    }
}

/// In order, if there are any and none is missing.
pub(super) fn sorted(figures: Vec<Option<f64>>) -> Option<Vec<f64>> {
    let mut all = figures.into_iter().collect::<Option<Vec<f64>>>().filter(|all| !all.is_empty())?;
    all.sort_unstable_by(f64::total_cmp);
    Some(all)
}

pub(super) fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

impl Report {
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "case": row.case.name(),
                    "name": row.figure.name,
                    "unit": row.figure.unit,
                    "better": if row.figure.more_is_better { "more" } else { "less" },
                    "ours": row.ours,
                    "bare": row.bare,
                    "ratio": row.ratio.map(|(ratio, ..)| ratio),
                    "ratio_least": row.ratio.map(|(_, least, _)| least),
                    "ratio_most": row.ratio.map(|(.., most)| most),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "debug_build": cfg!(debug_assertions),
            "rounds": self.plan.rounds,
            "effort": self.plan.effort,
            "cpus": std::thread::available_parallelism().map_or(1, usize::from),
            "rows": rows,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.figure.name.chars().count()).max().unwrap_or_default();
        writeln!(f, "{:width$}  {:>12}  {:>12}  {:5} {:>6}  spread", "", "ours", "bare", "unit", "ratio")?;
        for row in &self.rows {
            let Figure { name, unit, more_is_better } = row.figure;
            let unit = format!("{unit} {}", if more_is_better { '↑' } else { '↓' });
            write!(f, "{name:width$}  {:>12}  {:>12}  {unit:5} ", shown(row.ours), shown(row.bare))?;
            match row.ratio {
                Some((ratio, least, most)) => writeln!(f, "{ratio:>5.2}x  {least:.2} to {most:.2}")?,
                None => writeln!(f, "{:>6}", "–")?,
            }
        }
        let rounds = self.plan.rounds;
        let plural = if rounds == 1 { "" } else { "s" };
        write!(
            f,
            "\nMedians of {rounds} round{plural} taken in turns. Bare is tokio-tungstenite that does the same and nothing besides. \
             ↑ more is better, ↓ less."
        )
    }
}

/// Digits in groups of three; with a decimal where there are few.
pub(super) fn shown(figure: Option<f64>) -> String {
    let Some(figure) = figure else { return "–".into() };
    if figure.abs() < 1000.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_figures_and_of_ratios() {
        let figures = |all: &[f64]| all.iter().copied().map(Some).collect::<Vec<_>>();
        let figure = Case::Acks1.figures()[0];
        let row = Row::of(Case::Acks1, figure, figures(&[10.0, 30.0, 20.0]), figures(&[10.0, 10.0, 40.0]));
        assert_eq!((row.ours, row.bare, row.ratio), (Some(20.0), Some(10.0), Some((1.0, 0.5, 3.0))));
        let row = Row::of(Case::Acks1, figure, figures(&[1.0, 3.0]), vec![Some(1.0), None]);
        assert_eq!((row.ours, row.bare, row.ratio), (Some(2.0), None, None));
    }

    #[test]
    fn large_figures_are_grouped() {
        assert_eq!(shown(Some(12.345)), "12.3");
        assert_eq!(shown(Some(1234.5)), "1,234");
        assert_eq!(shown(Some(1_234_567.0)), "1,234,567");
        assert_eq!(shown(None), "–");
    }
}
