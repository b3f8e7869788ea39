//! The case on paper: how many people stand behind a demand, drawn up for a selection and kept as it was.
//!
//! **Invariants:** a sheet has no names, and no cell under five: that would be a few people whom somebody knows. What is
//! kept carries its own words and definitions, so that it says the same for ever.

use model::Timestamp;
use node::{Node, NodeError};
use serde::{Deserialize, Serialize};
use store::{ActionFigures, Direction, Selection};

use crate::metrics::{FOUR, in_order, own_chapter};

/// The smallest number that stands on a sheet.
const CELL_MIN: u64 = 5;
/// The longest choice, in characters: longer is no postal code and no tag.
const CHOICE_CHARS_MAX: usize = 60;

/// What a sheet is about, as it was chosen.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The beginning of a postal code; empty: everywhere.
    pub area: String,
    /// A tag; empty: with or without.
    pub tag: String,
    /// The tag of the actions; empty: of any.
    pub actions: String,
}

/// One number on a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What it is called.
    pub label: String,
    /// The number, or that it is small.
    pub value: String,
    /// Its part of the number before it, where both can be told.
    pub share: String,
    /// What it counts.
    pub counts: String,
}

/// An action on a sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SheetAction {
    /// What it is called.
    pub name: String,
    /// Its day.
    pub on: String,
    /// Who was asked.
    pub asked: String,
    /// Who said yes.
    pub yes: String,
    /// Who came.
    pub came: String,
}

/// A sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// The chapter's name.
    pub chapter: String,
    /// As of when.
    pub as_of: Timestamp,
    /// When this node and the network last exchanged.
    pub heard: Option<Timestamp>,
    /// What was chosen, in words.
    pub about: String,
    /// List, Base, Committed, Leaders.
    pub numbers: Vec<Cell>,
    /// The last three actions, the newest first.
    pub actions: Vec<SheetAction>,
    /// The next one.
    pub next: Option<SheetAction>,
}

/// A number as it may stand on paper.
fn cell(count: u64) -> String {
    if count < CELL_MIN { format!("fewer than {CELL_MIN}") } else { count.to_string() }
}

fn on_paper(action: ActionFigures) -> SheetAction {
    let [asked, yes, came] = [action.asked, action.yes, action.came].map(cell);
    SheetAction { name: action.name, on: action.on.to_string(), asked, yes, came }
}

fn numbers(four: [u64; 4]) -> Vec<Cell> {
    let cells = FOUR.iter().enumerate().map(|(nth, &(_, label, counts))| {
        let before = nth.checked_sub(1).map(|before| (FOUR[before].1, four[before]));
        let told = before.filter(|(_, all)| four[nth] >= CELL_MIN && *all >= CELL_MIN);
        let share = told.map(|(name, all)| format!("{} % of {}", four[nth] * 100 / all, name.to_lowercase()));
        Cell {
            label: label.to_owned(),
            value: cell(four[nth]),
            share: share.unwrap_or_default(),
            counts: counts.to_owned(),
        }
    });
    cells.collect()
}

impl Choice {
    /// The same in words.
    pub fn words(&self) -> String {
        let area = (!self.area.is_empty()).then(|| format!("postal codes that begin with {}", self.area));
        let tag = (!self.tag.is_empty()).then(|| format!("tag \u{201c}{}\u{201d}", self.tag));
        let chosen: Vec<String> = area.into_iter().chain(tag).collect();
        let people = if chosen.is_empty() { "The whole chapter".to_owned() } else { chosen.join(", ") };
        if self.actions.is_empty() { people } else { format!("{people}; actions for \u{201c}{}\u{201d}", self.actions) }
    }

    fn selection(&self) -> Result<Selection, NodeError> {
        let fits = |text: &str| text.chars().count() <= CHOICE_CHARS_MAX && !text.chars().any(char::is_control);
        if ![&self.area, &self.tag, &self.actions].into_iter().all(|text| fits(text)) {
            return Err(NodeError::Refused(
                "choose the beginning of a postal code, and tags, each in a word".to_owned(),
            ));
        }
        let set = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Selection { area: set(&self.area), tag: set(&self.tag) })
    }
}

impl Sheet {
    /// Draws a sheet up, as of now. Reads everybody of the chapter. Blocks.
    ///
    /// # Errors
    /// When what was chosen can't be looked for, or the database can't be read.
    pub fn draw_up(node: &Node, choice: &Choice) -> Result<Self, NodeError> {
        let selection = choice.selection()?;
        node.settle()?;
        let (scope, now) = (own_chapter(node)?, node.now());
        let actions = Some(choice.actions.as_str()).filter(|tag| !tag.is_empty());
        let (four, (actions, next), links, chapters) = node.read(|read| {
            let four = read.four_numbers_of(Some(scope), &selection, now)?;
            Ok((four, read.turnout(actions, now.date())?, read.links()?, read.chapters()?))
        })?;
        let up = links.into_iter().find(|link| link.direction == Direction::Up);
        Ok(Self {
            chapter: chapters.into_iter().find(|each| each.scope == scope).map(|own| own.name).unwrap_or_default(),
            as_of: now,
            heard: up.and_then(|link| link.last_exchange),
            about: choice.words(),
            numbers: numbers(in_order(four)),
            actions: actions.into_iter().map(on_paper).collect(),
            next: next.map(on_paper),
        })
    }

    /// As it is kept.
    ///
    /// # Errors
    /// Never: a sheet is plain JSON.
    pub fn body(&self) -> Result<String, NodeError> {
        serde_json::to_string(self).map_err(|_| NodeError::Refused("the sheet can't be written down".to_owned()))
    }

    /// A sheet that was kept.
    ///
    /// # Errors
    /// When what was kept can't be read.
    pub fn kept(body: &str) -> Result<Self, NodeError> {
        serde_json::from_str(body).map_err(|_| NodeError::Damaged("a kept sheet can't be read".to_owned()))
    }

    /// As plain text, for a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("{}: {}. As of {} UTC.", self.chapter, self.about, self.as_of.for_people())];
        lines.extend(self.numbers.iter().map(|cell| {
            let share = if cell.share.is_empty() { String::new() } else { format!(" ({})", cell.share) };
            format!("{}: {}{share}. {}", cell.label, cell.value, cell.counts)
        }));
        let action = |action: &SheetAction| {
            format!(
                "{} {}: asked {}, said yes {}, came {}",
                action.on, action.name, action.asked, action.yes, action.came
            )
        };
        lines.extend(self.actions.iter().map(action));
        if self.actions.is_empty() {
            lines.push("No action is recorded.".to_owned());
        }
        lines.extend(self.next.iter().map(|next| format!("Next: {} {}: said yes {}", next.on, next.name, next.yes)));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_people_are_not_told_and_nothing_tells_them_by_the_way() {
        assert_eq!((cell(0), cell(4), cell(5)), ("fewer than 5".to_owned(), "fewer than 5".to_owned(), "5".to_owned()));
        let made = numbers([40, 10, 4, 0]);
        let values: Vec<(&str, &str)> = made.iter().map(|cell| (cell.value.as_str(), cell.share.as_str())).collect();
        assert_eq!(values, [("40", ""), ("10", "25 % of list"), ("fewer than 5", ""), ("fewer than 5", "")]);
    }

    #[test]
    fn what_is_kept_reads_as_it_was() {
        let sheet = Sheet {
            chapter: "Los Angeles".to_owned(),
            as_of: Timestamp::from_millis(1_780_000_000_000),
            heard: None,
            about: Choice { area: "900".to_owned(), ..Choice::default() }.words(),
            numbers: numbers([40, 10, 4, 0]),
            actions: Vec::new(),
            next: None,
        };
        let body = sheet.body().unwrap();
        assert_eq!(Sheet::kept(&body).unwrap(), sheet);
        assert!(sheet.text().contains("postal codes that begin with 900") && sheet.text().contains("No action"));
    }
}
