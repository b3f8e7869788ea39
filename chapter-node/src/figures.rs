//! Figures: what the network sees about this chapter, in the same words; and the same by command.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use cli::{Failure, Out, table};
use model::{Date, Right};
use node::{Node, Who};
use web::{
    Access, Metrics, Pages, Period, Shell, Site, WebError, ago, blocking, chart_of_parts, chart_of_weeks, html, metrics,
};

/// The four numbers come first.
const FOUR: usize = 4;

struct Line {
    name: &'static str,
    label: &'static str,
    value: String,
    beside: String,
    against: String,
    counts: String,
    doubtful: bool,
}

/// Asks of a kind: its word and its numbers.
struct Asks {
    kind: &'static str,
    numbers: [u64; 7],
}

#[derive(Template)]
#[template(path = "figures.html")]
struct FiguresPage {
    shell: Shell,
    as_of: String,
    heard: String,
    four: Vec<Line>,
    lines: Vec<Line>,
    possible_duplicates: u64,
    ladder: String,
    rungs: Vec<(String, u64)>,
    weeks_chart: String,
    weeks: Vec<(String, u64)>,
    asks: Vec<Asks>,
    sees_people: bool,
    may_edit: bool,
}

/// The route of the figures' page.
pub(crate) fn figure_pages() -> Pages<Site> {
    Pages::default().get("/figures", Access::Needs(Right::SeeTotals), page)
}

fn lines(metrics: &Metrics) -> Vec<Line> {
    let line = |figure: &web::Figure| Line {
        name: figure.name,
        label: figure.label,
        value: figure.amount.words(),
        beside: figure.beside.clone(),
        against: figure.against(),
        counts: figure.counts.clone(),
        doubtful: figure.doubtful,
    };
    metrics.figures.iter().map(line).collect()
}

fn build(site: &Site, who: &Who) -> Result<FiguresPage, WebError> {
    let made = metrics(&site.node, None)?;
    let mut four = lines(&made);
    let lines = four.split_off(FOUR.min(four.len()));
    let asks = made.asks.iter().map(|(kind, asks)| Asks {
        kind: kind.word(),
        numbers: [asks.asked, asks.yes, asks.declined, asks.due(), asks.kept, asks.missed, asks.unrecorded],
    });
    Ok(FiguresPage {
        shell: site.shell("Figures", "/figures", who)?,
        as_of: made.as_of.for_people(),
        heard: ago(made.heard, made.as_of),
        four,
        lines,
        possible_duplicates: made.possible_duplicates,
        ladder: chart_of_parts("ladder", "Supporters by rung", &made.rungs),
        weeks_chart: chart_of_weeks("talks", "One-to-ones a week", &made.weeks),
        asks: asks.collect(),
        rungs: made.rungs,
        weeks: made.weeks,
        sees_people: who.role.may(Right::SeePeople),
        may_edit: who.role.may(Right::EditPeople),
    })
}

async fn page(State(site): State<Site>, Extension(who): Extension<Who>) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &who)).await?))
}

/// `metrics`: the figures, as JSON or as a table.
///
/// # Errors
/// When one day of two is missing, or the database can't be read.
pub(crate) fn command(node: &Node, days: (Option<Date>, Option<Date>), out: Out) -> Result<(), Failure> {
    let period = match days {
        (None, None) => None,
        (Some(from), to) => Some(Period { from, to: to.unwrap_or_else(|| node.now().date()) }),
        (None, Some(_)) => return Err(Failure::usage("--to needs --from: give both days")),
    };
    let made = metrics(node, period)?;
    out.result(&made.json(), || {
        let row = |line: &Line| {
            let doubtful = if line.doubtful { " (doubtful: too much is not recorded)" } else { "" };
            vec![
                line.name.to_owned(),
                format!("{}{doubtful}", line.value),
                line.beside.clone(),
                line.against.clone(),
                line.counts.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = lines(&made).iter().map(row).collect();
        let head = ["figure", "here", "beside it", "the network's median", "what it counts"];
        format!("as of {} UTC\n{}", made.as_of.for_people(), table(&head, &rows))
    });
    Ok(())
}
