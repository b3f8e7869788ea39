//! The figures of docs/METRICS.md, as pages and commands show them: what each counts, as of when, against what.
//!
//! **Invariant:** a figure's name and its words stand here once, so that a chapter and its network read the same.

use std::collections::{BTreeMap, BTreeSet};

use model::{AskKind, Date, EvidenceRule, FourNumbers, KEPT_DAYS, Ladder, ScopeId, Timestamp};
use node::{Node, NodeError};
use serde_json::{Map, Value, json};
use store::{Conversation, Direction, FirstAttempts, Moves, PeriodAsks, RungCounts};

/// A day, in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// A week, in days.
const WEEK_DAYS: i64 = 7;
/// Moves are counted over so many days, unless somebody asks for others: a month shows what one week hides.
const MOVES_DAYS: i64 = 30;
/// One-to-ones a week are the mean of so many weeks.
const TALKS_WEEKS: i64 = 4;
/// The weeks of the chart: a quarter of a year.
const WEEKS_SHOWN: usize = 12;
/// A one-to-one that was held in full lasted so many minutes.
const HELD_MINUTES: u32 = 15;
/// Beyond this part of asks without an outcome, in per cent, the kept rate is doubtful.
const UNRECORDED_MAX: u64 = 20;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A whole number.
    Count(u64),
    /// Tenths of one.
    Tenths(u64),
    /// Per cent; none: there is nothing to take a part of.
    Percent(Option<u64>),
    /// Tenths of an hour; none: not yet.
    Hours(Option<u64>),
}

fn tenths(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn part(of: u64, all: u64) -> Option<u64> {
    (of * 100).checked_div(all)
}

/// An average of `count` over so many days for each week, in tenths.
fn a_week(count: u64, days: i64) -> u64 {
    let (week, days) = (WEEK_DAYS.unsigned_abs(), days.unsigned_abs().max(1));
    (count * 10 * week + days / 2) / days
}

impl Amount {
    /// As people read it.
    pub fn words(self) -> String {
        match self {
            Self::Count(count) => count.to_string(),
            Self::Tenths(count) => tenths(count),
            Self::Percent(part) => part.map_or_else(|| "none yet".to_owned(), |part| format!("{part} %")),
            Self::Hours(hours) => hours.map_or_else(|| "not yet".to_owned(), |hours| format!("{} h", tenths(hours))),
        }
    }

    fn json(self) -> Value {
        // A figure of more than four thousand million tenths is none.
        let decimal = |tenths: u64| f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0;
        match self {
            Self::Count(count) => json!(count),
            Self::Tenths(count) => json!(decimal(count)),
            Self::Percent(part) => json!(part),
            Self::Hours(hours) => json!(hours.map(decimal)),
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Count(_) => "count",
            Self::Tenths(_) => "a_week",
            Self::Percent(_) => "percent",
            Self::Hours(_) => "hours",
        }
    }

    /// A value of the network's in the same words.
    fn like(self, value: f64) -> String {
        match self {
            Self::Count(_) | Self::Tenths(_) => format!("{value:.1}"),
            Self::Percent(_) => format!("{value:.0} %"),
            Self::Hours(_) => format!("{value:.1} h"),
        }
    }
}

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its name in docs/METRICS.md and in JSON.
    pub name: &'static str,
    /// Its name on pages.
    pub label: &'static str,
    /// What it counts, in a sentence.
    pub counts: String,
    /// How much.
    pub amount: Amount,
    /// Its part of something, or what stands beside it.
    pub beside: String,
    /// Too much is not recorded: it is shown greyed.
    pub doubtful: bool,
    /// The network's median.
    pub median: Option<f64>,
}

impl Figure {
    /// The network's median as people read it.
    pub fn against(&self) -> String {
        self.median.map_or_else(|| "the network has not said yet".to_owned(), |median| self.amount.like(median))
    }
}

/// The figures of a chapter.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The chapter's short name, where it is known.
    pub slug: Option<String>,
    /// As of when.
    pub as_of: Timestamp,
    /// When the network and this node last exchanged.
    pub heard: Option<Timestamp>,
    /// The figures, the four numbers first.
    pub figures: Vec<Figure>,
    /// How many fewer people the list would have if all who share an address were one.
    pub possible_duplicates: u64,
    /// People by rung, the lowest first.
    pub rungs: Vec<(String, u64)>,
    /// One-to-ones by week, the oldest first.
    pub weeks: Vec<(String, u64)>,
    /// Asks by kind.
    pub asks: Vec<(AskKind, PeriodAsks)>,
}

/// What figures are made of.
struct Material {
    ladder: Ladder,
    medians: BTreeMap<String, f64>,
    slug: Option<String>,
    heard: Option<Timestamp>,
    four: FourNumbers,
    duplicates: u64,
    rungs: RungCounts,
    moves: Moves,
    talks: Vec<Conversation>,
    weeks: Vec<(Timestamp, u64)>,
    asks: BTreeMap<AskKind, PeriodAsks>,
    first: FirstAttempts,
}

impl Material {
    fn figure(
        &self,
        name: &'static str,
        label: &'static str,
        counts: String,
        amount: Amount,
        beside: String,
    ) -> Figure {
        Figure { name, label, counts, amount, beside, doubtful: false, median: self.medians.get(name).copied() }
    }
}

/// Days from the first to the last, both included.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The last one.
    pub to: Date,
}

/// Over what a figure is counted.
struct Window {
    span: (Timestamp, Timestamp),
    days: i64,
    words: String,
}

impl Window {
    fn of(period: Option<Period>, days: i64, now: Timestamp) -> Self {
        let Some(Period { from, to }) = period else {
            let words = format!("in the last {days} days");
            return Self { span: (now.plus_millis(-days * DAY_MS), now), days, words };
        };
        let span = (from.begins(), to.begins().plus_millis(DAY_MS));
        Self { span, days: span.1.since(span.0) / DAY_MS, words: format!("from {from} to {to}") }
    }
}

/// The windows of all figures.
struct Windows {
    moves: Window,
    talks: Window,
    asks: Window,
    sign_ups: Window,
}

/// The chapter of a node.
///
/// # Errors
/// When it belongs to none yet.
pub(crate) fn own_chapter(node: &Node) -> Result<ScopeId, NodeError> {
    let own = node.read(|read| read.own_scope())?;
    own.ok_or_else(|| NodeError::Refused("this node belongs to no chapter yet".to_owned()))
}

fn material(node: &Node, windows: &Windows, now: Timestamp) -> Result<Material, NodeError> {
    node.settle()?;
    let scope = own_chapter(node)?;
    let chapter = Some(scope);
    node.read(|read| {
        let settings = read.settings()?;
        let mut asks: BTreeMap<AskKind, PeriodAsks> = BTreeMap::new();
        for ask in read.asks_made(chapter, windows.asks.span)? {
            asks.entry(ask.kind).or_default().count(&ask, now.date());
        }
        let up = read.links()?.into_iter().find(|link| link.direction == Direction::Up);
        let own = read.chapters()?.into_iter().find(|each| each.scope == scope);
        Ok(Material {
            slug: own.map(|own| own.slug.to_string()),
            heard: up.and_then(|link| link.last_exchange),
            four: read.four_numbers(chapter, now)?,
            duplicates: read.possible_duplicates(chapter)?,
            rungs: read.on_rungs(chapter)?,
            moves: read.moves(chapter, windows.moves.span)?,
            talks: read.conversations(chapter, windows.talks.span)?,
            weeks: read.one_to_ones_by_week(chapter, now, WEEKS_SHOWN)?,
            asks,
            first: read.first_attempts(chapter, windows.sign_ups.span)?,
            ladder: settings.ladder,
            medians: settings.medians,
        })
    })
}

/// The figures of a chapter's own node. Blocks.
///
/// # Errors
/// When the days are the wrong way round, or the database can't be read.
pub fn metrics(node: &Node, period: Option<Period>) -> Result<Metrics, NodeError> {
    if period.is_some_and(|period| period.from > period.to) {
        return Err(NodeError::Refused("the first day is after the last: give them the other way round".to_owned()));
    }
    let now = node.now();
    let windows = Windows {
        moves: Window::of(period, MOVES_DAYS, now),
        talks: Window::of(period, TALKS_WEEKS * WEEK_DAYS, now),
        asks: Window::of(period, KEPT_DAYS, now),
        sign_ups: Window::of(period, WEEK_DAYS, now),
    };
    let made = material(node, &windows, now)?;
    let rung = |rung: &model::Rung| (rung.label.clone(), standing(&made.rungs, std::slice::from_ref(rung)));
    Ok(Metrics {
        slug: made.slug.clone(),
        as_of: now,
        heard: made.heard,
        figures: figures(&made, &windows),
        possible_duplicates: made.duplicates,
        rungs: made.ladder.rungs().iter().map(rung).collect(),
        weeks: made.weeks.iter().map(|(from, count)| (from.date().to_string(), *count)).collect(),
        asks: made.asks.into_iter().collect(),
    })
}

fn standing(counts: &RungCounts, rungs: &[model::Rung]) -> u64 {
    let on = |id: &String| rungs.iter().any(|rung| rung.id.as_str() == id);
    counts.iter().filter(|(id, _)| on(id)).map(|(_, count)| count).sum()
}

/// What the four numbers are called, and what each counts.
pub(crate) const FOUR: [(&str, &str, &str); 4] = [
    ("list", "List", "Everybody of this chapter; who is known twice counts once."),
    (
        "base",
        "Base",
        "Of the list, whoever can be reached and was talked with, or came to an action, in the last 12 months.",
    ),
    (
        "committed",
        "Committed",
        "Of the base, whoever stands on commitment or above and kept an ask, or came to an action, in the last 90 days.",
    ),
    (
        "leaders",
        "Leaders",
        "Of the committed, whoever stands on leadership and develops somebody who kept an ask in the last 90 days.",
    ),
];

/// The four numbers in their order.
pub(crate) const fn in_order(four: FourNumbers) -> [u64; 4] {
    [four.list, four.base, four.committed, four.leaders]
}

fn figures(made: &Material, windows: &Windows) -> Vec<Figure> {
    let four = in_order(made.four);
    let share = |nth: usize| {
        let before = nth.checked_sub(1).and_then(|before| Some((FOUR[before].1, part(four[nth], four[before])?)));
        before.map_or_else(String::new, |(name, part)| format!("{part} % of {}", name.to_lowercase()))
    };
    let numbers = FOUR.iter().enumerate().map(|(nth, &(name, label, counts))| {
        made.figure(name, label, counts.to_owned(), Amount::Count(four[nth]), share(nth))
    });
    let mut figures: Vec<Figure> = numbers.collect();
    for (name, label, rule) in [
        ("committed_on_the_rung", "On commitment or above", EvidenceRule::Commitment),
        ("leaders_on_the_rung", "On leadership", EvidenceRule::Leadership),
    ] {
        let counts = "Whoever stands there now, whenever she last kept something: beside the number of now, how much of it has faded.";
        let count = standing(&made.rungs, made.ladder.above(rule));
        figures.push(made.figure(name, label, counts.to_owned(), Amount::Count(count), String::new()));
    }
    let moved = &windows.moves.words;
    for (name, label, counts, count) in [
        ("moved_up", "Moved up", "Moves one rung up with what shows it", made.moves.up),
        ("moved_down", "Moved down", "Moves down", made.moves.down),
        ("skips", "Skips", "Moves up by a written reason alone, or over a rung", made.moves.skips),
    ] {
        let counts = format!("{counts}, {moved}. What came with a list is no move.");
        figures.push(made.figure(name, label, counts, Amount::Count(count), String::new()));
    }
    figures.extend(talk_figures(made, &windows.talks));
    figures.extend(ask_figures(made, &windows.asks));
    figures.extend(waiting_figures(made, &windows.sign_ups));
    figures
}

fn talk_figures(made: &Material, window: &Window) -> [Figure; 2] {
    let talks = &made.talks;
    let full = |talk: &&Conversation| talk.minutes.is_some_and(|minutes| minutes >= HELD_MINUTES) && talk.asked;
    let full = talks.iter().filter(full).count() as u64;
    let all = talks.len() as u64;
    let by: BTreeSet<&str> = talks.iter().map(|talk| talk.by.as_str()).collect();
    let next = talks.iter().filter(|talk| talk.next).count() as u64;
    let beside = format!("organisers: {}; with a next step: {}", by.len(), Amount::Percent(part(next, all)).words());
    [
        made.figure(
            "one_to_ones_a_week",
            "One-to-ones a week",
            format!("One-to-ones that were logged, for each week, {}.", window.words),
            Amount::Tenths(a_week(all, window.days)),
            beside,
        ),
        made.figure(
            "held_in_full",
            "Of them held in full",
            format!("Of those one-to-ones, the part that lasted {HELD_MINUTES} minutes or more and had an ask."),
            Amount::Percent(part(full, all)),
            format!("{full} of {all}"),
        ),
    ]
}

fn ask_figures(made: &Material, window: &Window) -> [Figure; 2] {
    let all = |count: fn(&PeriodAsks) -> u64| made.asks.values().map(count).sum::<u64>();
    let (due, kept, unrecorded) = (all(PeriodAsks::due), all(|asks| asks.kept), all(|asks| asks.unrecorded));
    let unknown = part(unrecorded, due);
    let kept_rate = made.figure(
        "kept_rate",
        "Kept rate",
        format!(
            "Of the asks made {} that are due (their day is past or their outcome is known, and she did not say no), the part that was kept.",
            window.words
        ),
        Amount::Percent(part(kept, due)),
        format!("{kept} of {due} due"),
    );
    let doubtful = unknown.is_some_and(|part| part > UNRECORDED_MAX);
    [
        Figure { doubtful, ..kept_rate },
        made.figure(
            "unrecorded",
            "Without a recorded outcome",
            "Of the same asks, the part whose day is past and of which nobody wrote down what came of it.".to_owned(),
            Amount::Percent(unknown),
            format!("{unrecorded} of {due} due"),
        ),
    ]
}

fn waiting_figures(made: &Material, window: &Window) -> [Figure; 2] {
    let first = &made.first;
    // To the tenth of an hour above: nobody was faster than it says.
    let hours = |ms: i64| (ms.unsigned_abs() * 10).div_ceil(DAY_MS.unsigned_abs() / 24);
    let (tried, all) = (first.tried, first.signed_up);
    let p90 = Amount::Hours(first.p90_ms.map(hours)).words();
    [
        made.figure(
            "first_attempt_hours",
            "Time to the first attempt",
            format!(
                "Half of all who signed up {} were tried within this; whom nobody has tried yet counts as not yet. Lists that were imported are left out.",
                window.words
            ),
            Amount::Hours(first.median_ms.map(hours)),
            format!("{tried} of {all} tried; nine of ten: {p90}"),
        ),
        made.figure(
            "first_attempt_in_48_hours",
            "Tried within 48 hours",
            "Of the same people, the part whom somebody tried to reach within 48 hours.".to_owned(),
            Amount::Percent(part(first.within_two_days, all)),
            format!("{} of {all}; within 24 hours {}", first.within_two_days, first.within_day),
        ),
    ]
}

impl Metrics {
    /// As JSON, each figure with its own `as_of`.
    pub fn json(&self) -> Value {
        let one = |figure: &Figure| {
            let made = json!({
                "value": figure.amount.json(), "unit": figure.amount.unit(), "as_of": self.as_of, "counts": figure.counts,
                "beside": figure.beside, "doubtful": figure.doubtful, "network_median": figure.median,
            });
            (figure.name.to_owned(), made)
        };
        let figures: Map<String, Value> = self.figures.iter().map(one).collect();
        let asks = self.asks.iter().map(|(kind, asks)| {
            let made = json!({
                "asked": asks.asked, "yes": asks.yes, "declined": asks.declined, "due": asks.due(), "kept": asks.kept,
                "missed": asks.missed, "unrecorded": asks.unrecorded,
            });
            (kind.word().to_owned(), made)
        });
        let rung = |(label, count): &(String, u64)| json!({"rung": label, "people": count});
        let week = |(from, count): &(String, u64)| json!({"from": from, "one_to_ones": count});
        json!({
            "chapter": self.slug, "as_of": self.as_of, "last_exchange": self.heard, "figures": figures,
            "possible_duplicates": self.possible_duplicates, "asks": asks.collect::<Map<String, Value>>(),
            "rungs": self.rungs.iter().map(rung).collect::<Vec<_>>(),
            "weeks": self.weeks.iter().map(week).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_as_people_say_them() {
        assert_eq!(Amount::Tenths(35).words(), "3.5");
        assert_eq!(Amount::Percent(None).words(), "none yet");
        assert_eq!(Amount::Hours(Some(710)).words(), "71.0 h");
        assert_eq!((Amount::Hours(None).words().as_str(), Amount::Hours(None).json()), ("not yet", Value::Null));
        assert_eq!(Amount::Hours(Some(5)).json(), json!(0.5));
        assert_eq!((a_week(7, 28), a_week(1, 28), a_week(3, 7)), (18, 3, 30));
    }

    #[test]
    fn a_period_has_its_last_day_in_it() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let period = Period { from: day("2026-11-01"), to: day("2026-11-07") };
        let window = Window::of(Some(period), 30, Timestamp::default());
        assert_eq!((window.days, window.span.1.to_string().as_str()), (7, "2026-11-08T00:00:00.000Z"));
    }
}
