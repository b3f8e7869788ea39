//! The case on paper: drawn up for a selection, kept, and shown as it was kept.
//!
//! **Invariant:** what is kept is what was shown: a sheet is drawn up once for its number, and never again.

use std::collections::BTreeMap;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use clap::Subcommand;
use cli::{Failure, Out, table};
use model::Right;
use node::{Node, NodeError, Who};
use serde_json::{Value, json};
use store::CaseSheet;
use web::{Access, Choice, Form, Pages, Problem, Sheet, Shell, Site, WebError, blocking, html};

/// Kept sheets that are listed: more than anybody looks through.
const KEPT_SHOWN: usize = 200;

/// `case`.
#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// Draw a sheet up and keep it: prints its number
    #[command(after_help = "Example:\n  chapter-node case new --title \"Rent freeze\" --area 900 --tag tenant")]
    New {
        /// What it is for
        #[arg(long)]
        title: String,
        /// Only people whose postal code begins so
        #[arg(long, default_value = "", hide_default_value = true)]
        area: String,
        /// Only people with this tag
        #[arg(long, default_value = "", hide_default_value = true)]
        tag: String,
        /// Only actions with this tag
        #[arg(long, default_value = "", hide_default_value = true)]
        actions: String,
    },
    /// Show a sheet as it was kept
    #[command(after_help = "Example:\n  chapter-node case show 1")]
    Show {
        /// Its number
        number: u64,
    },
    /// List the sheets that were kept
    #[command(after_help = "Example:\n  chapter-node case list")]
    List,
}

/// A sheet in the list: its number, what it is for, and when it was kept.
struct Kept {
    number: u64,
    title: String,
    when: String,
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    shell: Shell,
    problem: Option<String>,
    title: String,
    choice: Choice,
    sheet: Option<Sheet>,
    kept: Vec<Kept>,
    may_keep: bool,
}

#[derive(Template)]
#[template(path = "case_kept.html")]
struct KeptPage {
    shell: Shell,
    number: u64,
    title: String,
    by: String,
    when: String,
    sheet: Sheet,
}

/// The routes of the case.
pub(crate) fn case_pages() -> Pages<Site> {
    let totals = Access::Needs(Right::SeeTotals);
    Pages::default().get("/case", totals, page).post("/case", Access::Needs(Right::EditPeople), keep).get(
        "/case/{id}",
        totals,
        kept,
    )
}

/// What the page is asked for: what was chosen, and whether it is drawn up.
struct Asked {
    title: String,
    choice: Choice,
    draw: bool,
    problem: Option<String>,
}

fn build(site: &Site, who: &Who, asked: Asked) -> Result<CasePage, WebError> {
    let Asked { title, choice, draw, mut problem } = asked;
    let sheet = match draw.then(|| Sheet::draw_up(&site.node, &choice)).transpose() {
        Ok(sheet) => sheet,
        Err(NodeError::Refused(words)) => {
            problem = Some(words);
            None
        }
        Err(error) => return Err(error.into()),
    };
    let kept = site.node.read(|read| read.case_sheets(KEPT_SHOWN))?;
    let one = |kept: CaseSheet| Kept { number: kept.number, title: kept.title, when: kept.made.for_people() };
    Ok(CasePage {
        shell: site.shell("The case on paper", "/figures", who)?,
        problem,
        title,
        choice,
        sheet,
        kept: kept.into_iter().map(one).collect(),
        may_keep: who.role.may(Right::EditPeople),
    })
}

async fn page(
    State(site): State<Site>,
    Query(wanted): Query<BTreeMap<String, String>>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let text = |name: &str| wanted.get(name).map_or_else(String::new, |text| text.trim().to_owned());
    let choice = Choice { area: text("area"), tag: text("tag"), actions: text("actions") };
    let asked = Asked { title: text("title"), choice, draw: wanted.contains_key("draw"), problem: None };
    Ok(html(&blocking(move || build(&site, &who, asked)).await?))
}

/// Draws a sheet up and keeps it; gives its number.
fn keep_sheet(node: &Node, title: &str, choice: &Choice, by: &str) -> Result<u64, NodeError> {
    if title.trim().is_empty() {
        return Err(NodeError::Refused("give the sheet a title: what it is for".to_owned()));
    }
    let body = Sheet::draw_up(node, choice)?.body()?;
    node.keep_case(title, body, by)
}

async fn keep(State(site): State<Site>, Extension(who): Extension<Who>, form: Form) -> Result<Response, WebError> {
    blocking(move || {
        let text = |name: &str| form.get(name).unwrap_or_default().to_owned();
        let choice = Choice { area: text("area"), tag: text("tag"), actions: text("actions") };
        let title = text("title");
        match keep_sheet(&site.node, &title, &choice, &who.by) {
            Ok(number) => Ok(Redirect::to(&format!("/case/{number}")).into_response()),
            Err(NodeError::Refused(words)) => {
                let page = build(&site, &who, Asked { title, choice, draw: false, problem: Some(words) })?;
                Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
            }
            Err(error) => Err(error.into()),
        }
    })
    .await
}

async fn kept(
    State(site): State<Site>,
    Path(number): Path<String>,
    Extension(who): Extension<Who>,
) -> Result<Response, WebError> {
    let nowhere = || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no sheet with this number");
    let number: u64 = number.parse().map_err(|_| nowhere())?;
    let made = blocking(move || {
        let kept = site.node.read(|read| read.case_sheet(number))?;
        Ok(KeptPage {
            shell: site.shell(&kept.title, "/figures", &who)?,
            sheet: Sheet::kept(&kept.body)?,
            number,
            when: kept.made.for_people(),
            title: kept.title,
            by: kept.by,
        })
    });
    Ok(html(&made.await?))
}

/// Runs `case`.
///
/// # Errors
/// When the sheet can't be drawn up, or there is none of this number.
pub(crate) fn command(node: &Node, command: &Case, out: Out, by: &str) -> Result<(), Failure> {
    match command {
        Case::New { title, area, tag, actions } => {
            let [area, tag, actions] = [area, tag, actions].map(|text| text.trim().to_owned());
            let choice = Choice { area, tag, actions };
            let number = keep_sheet(node, title, &choice, by)?;
            out.result(&json!({"id": number.to_string(), "number": number}), || number.to_string());
        }
        Case::Show { number } => {
            let kept = node.read(|read| read.case_sheet(*number))?;
            let sheet = Sheet::kept(&kept.body)?;
            let made = json!({
                "number": kept.number, "title": kept.title, "by": kept.by, "made": kept.made, "sheet": sheet,
            });
            out.result(&made, || format!("{} (sheet {})\n{}", kept.title, kept.number, sheet.text()));
        }
        Case::List => {
            let kept = node.read(|read| read.case_sheets(KEPT_SHOWN))?;
            let one = |kept: &CaseSheet| json!({"number": kept.number, "title": kept.title, "by": kept.by, "made": kept.made});
            out.result(&json!({"cases": kept.iter().map(one).collect::<Vec<Value>>()}), || {
                let row = |kept: &CaseSheet| vec![kept.number.to_string(), kept.made.for_people(), kept.title.clone()];
                let rows: Vec<Vec<String>> = kept.iter().map(row).collect();
                if rows.is_empty() {
                    "no sheet was kept yet".to_owned()
                } else {
                    table(&["sheet", "kept", "for"], &rows)
                }
            });
        }
    }
    Ok(())
}
