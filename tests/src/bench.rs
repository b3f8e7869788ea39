//! The lines of the benchmark's table, and those of them that are measured on one link.

mod compare;
mod edit;
mod idle;
mod pair;

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use pair::Pair;

/// In what a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// So many a second.
    PerSecond,
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Round trips.
    RoundTrips,
}

/// What is asked of a figure, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
    /// It is shown for itself.
    Nothing,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    what: String,
    value: f64,
    unit: Unit,
    floor: Option<f64>,
    asked: Asked,
    split: String,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Ms if value < 10.0 => format!("{value:.2} ms"),
            Self::Ms => format!("{value:.1} ms"),
            Self::Bytes => format!("{value:.0} bytes"),
            Self::RoundTrips => format!("{value:.1} round trips"),
        }
    }
}

impl Figure {
    /// The head of the table.
    pub const HEAD: &'static str = "| what | measured | floor | ratio | asked | |\n|---|---|---|---|---|---|";

    /// A figure of which nothing is asked, with no floor.
    pub fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { what: what.into(), value, unit, floor: None, asked: Asked::Nothing, split: String::new() }
    }

    /// With what is asked of it.
    #[must_use]
    pub fn asked(self, asked: Asked) -> Self {
        Self { asked, ..self }
    }

    /// With what plain SQLite does in the same run, in the same unit.
    #[must_use]
    pub fn beside(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// With what it is made of, in words.
    #[must_use]
    pub fn made_of(self, split: String) -> Self {
        Self { split, ..self }
    }

    /// Its line in the table.
    pub fn row(&self) -> String {
        let floor = self.floor.map_or_else(String::new, |floor| self.unit.show(floor));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let reached = match self.reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "",
        };
        let measured = self.unit.show(self.value);
        format!("| {} | {measured} | {floor} | {ratio} | {} | {reached} |", self.what, self.bound())
    }

    /// What it is made of, as a line below the table.
    pub fn split(&self) -> Option<String> {
        (!self.split.is_empty()).then(|| format!("{}: {}", self.what, self.split))
    }

    /// The same for a machine.
    pub fn json(&self) -> Value {
        json!({"what": self.what, "value": self.value, "unit": format!("{:?}", self.unit), "floor": self.floor,
               "ratio": self.ratio(), "reach": self.bound(), "reached": self.reached(), "split": self.split})
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value / floor)
    }

    fn reached(&self) -> Option<bool> {
        match self.asked {
            Asked::AtLeast(least) => Some(self.value >= least),
            Asked::AtMost(most) => Some(self.value <= most),
            Asked::Nothing => None,
        }
    }

    fn bound(&self) -> String {
        match self.asked {
            Asked::AtLeast(least) => format!(">= {}", self.unit.show(least)),
            Asked::AtMost(most) => format!("<= {}", self.unit.show(most)),
            Asked::Nothing => String::new(),
        }
    }
}

/// Measures a link between a hub and a chapter that has so many people: connecting again with nothing to say, an edit
/// of one field, comparing.
///
/// # Errors
/// When something is not as it has to be.
pub fn links(directory: &Path, people: usize) -> Result<Vec<Figure>> {
    std::fs::create_dir_all(directory)?;
    let pair = Pair::new(directory, people)?;
    let mut figures = idle::measure(&pair)?;
    figures.extend(edit::measure(&pair)?);
    // Last, for it takes the feeds away.
    figures.extend(compare::measure(&pair, directory)?);
    pair.end();
    Ok(figures)
}

/// The middle one; not a number if there is none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
