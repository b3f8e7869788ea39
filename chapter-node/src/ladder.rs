//! The ladder: a column a rung, a card a person, and the page that asks what shows a move.
//!
//! **Invariant:** numbers come from counters and indexes; only the records of the cards that are shown are read.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{
    AnswerKind, Body, DocId, Event, EventId, Evidence, EvidenceRule, FollowUp, MoveKind, Personal, Relation, Right,
    RungId, Supporter, Timestamp,
};
use node::{NodeError, Who};
use store::{Card, Column, PersonRow};
use web::{Form, Shell, Site, WebError, Wording, ago, blocking, describe, encoded, html};

/// Cards of a column while all are shown: what fits beside the others.
const CARDS: usize = 20;
/// Cards of a column that is shown alone.
const CARDS_ALONE: usize = 100;
/// The tokens have so many tints: rungs above share the last.
const TINTS: usize = 4;

/// Whose cards, as the address says it; it comes back after a move.
struct View {
    mine: bool,
    tag: String,
}

impl View {
    fn of(form: &Form) -> Self {
        Self { mine: form.get("mine").is_some(), tag: form.get("tag").unwrap_or_default().to_owned() }
    }

    /// Its address.
    fn address(&self) -> String {
        format!("/ladder?{}", self.query()).trim_end_matches(['?', '&']).to_owned()
    }

    /// As the beginning of an address's query: to be followed by another field.
    fn query(&self) -> String {
        let mine = if self.mine { "mine=1&" } else { "" };
        let tag = if self.tag.is_empty() { String::new() } else { format!("tag={}&", encoded(&self.tag)) };
        format!("{mine}{tag}")
    }
}

struct CardView {
    id: String,
    name: String,
    talked: String,
    exact: String,
    next: String,
    due: String,
    late: bool,
    organiser: String,
    skipped: bool,
    peak: String,
    /// The rung of its link: one up; one down from the top.
    to: String,
}

struct ColumnView {
    id: String,
    label: String,
    class: String,
    shown_by: &'static str,
    count: String,
    arrived: String,
    cards: Vec<CardView>,
    more: Option<String>,
}

#[derive(Template)]
#[template(path = "ladder.html")]
struct LadderPage {
    shell: Shell,
    view: View,
    query: String,
    alone: bool,
    may_move: bool,
    columns: Vec<ColumnView>,
}

/// How a rung is tinted.
pub(crate) fn tint(position: usize) -> String {
    format!("rung-{}", (position + 1).min(TINTS))
}

/// What is to be done next with her, in words.
pub(crate) fn next_step(her: &Supporter, due: &FollowUp) -> String {
    let told = |text: &Personal| text.expose().to_owned();
    match her.event(due.event).map(|event| &event.body) {
        Some(Body::OneToOne { next, .. }) => next.as_ref().map_or_else(|| "One-to-one".to_owned(), told),
        Some(Body::Ask { text, .. }) => format!("Asked: {}", text.expose()),
        Some(Body::Attempt { .. }) => "Try again".to_owned(),
        Some(_) | None => "Be in touch".to_owned(),
    }
}

/// The organiser who looks after her.
pub(crate) fn organiser(her: &Supporter) -> String {
    her.looked_after_by.as_ref().map_or_else(String::new, |who| who.expose().to_owned())
}

fn card(card: &Card, ladder: &model::Ladder, now: Timestamp) -> CardView {
    let her = &card.person.supporter;
    let (work, here) = (her.work(), ladder.position(&her.rung));
    let last = her.events.iter().rev().find_map(|event| {
        if let Body::Move { to, how, .. } = &event.body { (*to == her.rung).then_some(*how) } else { None }
    });
    let rungs = ladder.rungs();
    let to = rungs.get(here + 1).or_else(|| rungs.get(here.saturating_sub(1)));
    let peak = ladder.position(&her.peak_rung) > here;
    CardView {
        id: her.id.to_string(),
        name: her.display_name(),
        talked: work.spoken.map_or_else(|| "never talked".to_owned(), |at| format!("talked {}", ago(Some(at), now))),
        exact: work.spoken.map_or_else(String::new, Timestamp::for_people),
        next: work.follow_up.as_ref().map_or_else(String::new, |due| next_step(her, due)),
        due: work.follow_up.map_or_else(String::new, |due| due.on.to_string()),
        late: work.follow_up.is_some_and(|due| due.on < now.date()),
        organiser: organiser(her),
        skipped: last == Some(MoveKind::Skip),
        peak: if peak { ladder.label(&her.peak_rung).to_owned() } else { String::new() },
        to: to.map_or_else(String::new, |rung| rung.id.to_string()),
    }
}

/// Where a page of a column goes on, as the address says it: when she was tended, and who she is.
fn place(text: &str) -> Option<(Option<Timestamp>, DocId)> {
    let (at, id) = text.split_once('.')?;
    let at = if at.is_empty() { None } else { Some(Timestamp::from_millis(at.parse().ok()?)) };
    Some((at, id.parse().ok()?))
}

fn place_of(card: &Card) -> String {
    let at = card.tended.map_or_else(String::new, |at| at.as_millis().to_string());
    format!("{at}.{}", card.person.supporter.id)
}

/// Everything that the columns are made of, read at one moment.
struct Material {
    settings: model::NetworkSettings,
    counts: Option<store::RungCounts>,
    arrivals: store::RungCounts,
    columns: Vec<(usize, Vec<Card>)>,
}

fn material(site: &Site, form: &Form, view: &View, who: &Who, limit: usize) -> Result<Material, WebError> {
    let month = site.node.now().date().first_of_month().begins();
    let alone = form.get("rung");
    let after = form.get("after").and_then(place);
    let mine = view.mine.then(|| who.by.clone());
    let tag = Some(view.tag.clone()).filter(|tag| !tag.is_empty());
    let read = site.node.read(|read| {
        let settings = read.settings()?;
        let counts = match (&tag, &mine) {
            (None, None) => Some(read.tally()?.rungs),
            (None, Some(login)) => Some(read.rungs_of_login(login)?),
            (Some(_), _) => None,
        };
        let everybody = tag.is_none() && mine.is_none();
        let arrivals =
            if everybody { read.arrivals(month, settings.ladder.lowest())? } else { store::RungCounts::new() };
        let mut columns = Vec::new();
        for (position, rung) in settings.ladder.rungs().iter().enumerate() {
            if alone.is_some_and(|alone| alone != rung.id.as_str()) {
                continue;
            }
            let column = Column { rung: rung.id.clone(), mine: mine.clone(), tag: tag.clone() };
            columns.push((position, read.column(&column, after.filter(|_| alone.is_some()), limit + 1)?));
        }
        Ok(Material { counts, arrivals, columns, settings })
    });
    Ok(read?)
}

fn build(site: &Site, form: &Form, who: &Who) -> Result<LadderPage, WebError> {
    site.node.settle()?;
    let (view, alone, now) = (View::of(form), form.get("rung").is_some(), site.node.now());
    let limit = if alone { CARDS_ALONE } else { CARDS };
    let Material { settings, counts, arrivals, columns } = material(site, form, &view, who, limit)?;
    let (ladder, query) = (&settings.ladder, view.query());
    let of = |counts: &store::RungCounts, rung: &RungId| {
        counts.iter().find(|(id, _)| id == rung.as_str()).map_or(0, |(_, count)| *count)
    };
    let column = |(position, mut cards): (usize, Vec<Card>)| {
        let rung = &ladder.rungs()[position];
        let more = cards.len() > limit;
        cards.truncate(limit);
        let next = cards.last().filter(|_| more).map(place_of);
        let shown = || format!("{}{}", cards.len(), if more { "+" } else { "" });
        ColumnView {
            id: rung.id.to_string(),
            label: rung.label.clone(),
            class: tint(position),
            shown_by: rung.shown_by.in_words(),
            count: counts.as_ref().map_or_else(shown, |counts| of(counts, &rung.id).to_string()),
            arrived: match of(&arrivals, &rung.id) {
                0 => String::new(),
                many => format!("{many} {} this month", if position == 0 { "new" } else { "came up" }),
            },
            more: next.map(|next| format!("/ladder?{query}rung={}&after={next}", encoded(rung.id.as_str()))),
            cards: cards.iter().map(|each| card(each, ladder, now)).collect(),
        }
    };
    let columns = columns.into_iter().map(column).collect();
    let mut shell = site.shell("Ladder", "/ladder", who)?;
    shell.notice = site.notice(form.get("did"), &view.address(), who);
    Ok(LadderPage { shell, query, alone, may_move: who.role.may(Right::MoveRungs), columns, view })
}

/// The page of the ladder.
pub(crate) async fn page(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build(&site, &form, &who)).await?))
}

/// Something that shows a move.
struct Piece {
    id: String,
    words: String,
    when: String,
}

struct Target {
    id: String,
    label: String,
    here: bool,
}

#[derive(Template)]
#[template(path = "move.html")]
struct MovePage {
    shell: Shell,
    id: String,
    name: String,
    from: String,
    from_class: String,
    to: String,
    to_label: String,
    /// One rung up: what shows it can be cited.
    one_up: bool,
    down: bool,
    rule: &'static str,
    pieces: Vec<Piece>,
    because: String,
    targets: Vec<Target>,
    view: View,
    query: String,
    back: bool,
    problem: Option<String>,
    elsewhere: bool,
}

/// What shows that she stands on a rung: of her own, or of whom she recruited or develops; the newest first.
fn pieces(site: &Site, her: &Supporter, rule: EvidenceRule, ladder: &model::Ladder) -> Result<Vec<Piece>, WebError> {
    let now = site.node.now();
    let piece =
        |event: &Event, words: String| Piece { id: event.id.to_string(), words, when: ago(Some(event.at), now) };
    let actions = site.node.read(|read| read.action_names(her.parts().into_keys()))?;
    let said = |event: &Event, her: &Supporter| describe(event, &Wording { her, ladder, actions: &actions });
    let shows = |event: &&Event| rule.shown_by(&Evidence { event, relation: Relation::Own });
    let own = her.events.iter().rev().filter(shows).map(|event| piece(event, said(event, her)));
    let mut pieces: Vec<Piece> = own.collect();
    if rule != EvidenceRule::Leadership {
        return Ok(pieces);
    }
    let ids: Vec<DocId> = her.ids().collect();
    let raised: Vec<(EventId, Supporter)> = site.node.read(|read| {
        let kept = read.kept_by_raised(&ids)?;
        kept.into_iter().map(|(ask, person)| Ok((ask, read.record(person)?.supporter))).collect()
    })?;
    for (ask, other) in &raised {
        let kept =
            |event: &&Event| matches!(&event.body, Body::Answer { of, answer: AnswerKind::Kept, .. } if of == ask);
        if let Some(event) = other.events.iter().rev().find(kept) {
            pieces.push(piece(event, format!("{}. {}", other.display_name(), said(event, other))));
        }
    }
    Ok(pieces)
}

fn build_move(site: &Site, id: &str, form: &Form, who: &Who, problem: Option<String>) -> Result<MovePage, WebError> {
    site.node.settle()?;
    let person: PersonRow = site.node.read(|read| read.person(read.resolve(id)?.document))?;
    let (her, settings) = (&person.supporter, site.node.read(|read| read.settings())?);
    let (ladder, here) = (&settings.ladder, settings.ladder.position(&person.supporter.rung));
    let wanted = form.get("to").map(RungId::new);
    let next = ladder.rungs().get(here + 1).or_else(|| ladder.rungs().get(here.saturating_sub(1)));
    let to = wanted.as_ref().and_then(|to| ladder.get(to)).filter(|to| to.id != her.rung).or(next);
    let to = to.ok_or_else(|| NodeError::Refused("this ladder has one rung only".to_owned()))?;
    let there = ladder.position(&to.id);
    let one_up = there == here + 1;
    let target =
        |rung: &model::Rung| Target { id: rung.id.to_string(), label: rung.label.clone(), here: rung.id == to.id };
    let view = View::of(form);
    Ok(MovePage {
        shell: site.shell(&format!("Move {}", her.display_name()), "/ladder", who)?,
        id: her.id.to_string(),
        name: her.display_name(),
        from: ladder.label(&her.rung).to_owned(),
        from_class: tint(here),
        to: to.id.to_string(),
        to_label: to.label.clone(),
        one_up,
        down: there < here,
        rule: to.shown_by.in_words(),
        pieces: if one_up { pieces(site, her, to.shown_by, ladder)? } else { Vec::new() },
        because: form.get("because").unwrap_or_default().to_owned(),
        targets: ladder.rungs().iter().filter(|rung| rung.id != her.rung).map(target).collect(),
        query: view.query(),
        view,
        back: form.get("back").is_some(),
        problem,
        elsewhere: person.elsewhere,
    })
}

/// What a move asks for.
pub(crate) async fn ask(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    Ok(html(&blocking(move || build_move(&site, &id, &form, &who, None)).await?))
}

fn carry_out(site: &Site, id: &str, form: &Form, who: &Who) -> Result<String, WebError> {
    let person = site.node.read(|read| read.resolve(id))?.document;
    let rung = RungId::new(form.need("to", "choose the rung")?);
    let cite = |event: &str| site.node.read(|read| read.resolve(event));
    let cited = form.all("evidence").filter(|event| !event.is_empty()).map(cite).collect::<Result<Vec<_>, _>>()?;
    let because = form.get("because").map(Personal::from);
    let (event, _) = site.node.move_to(person, &rung, &cited, because, &who.by)?;
    let did = format!("did={person}:{event}");
    Ok(match form.get("back") {
        Some(_) => format!("/ladder?{}{did}", View::of(form).query()),
        None => format!("/people/{person}?{did}"),
    })
}

/// Moves her, and goes back to where that began; or says on the page why not.
pub(crate) async fn act(
    State(site): State<Site>,
    Path(id): Path<String>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || match carry_out(&site, &id, &form, &who) {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(WebError(problem)) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
            let page = build_move(&site, &id, &form, &who, Some(problem.detail))?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response())
        }
        Err(error) => Err(error),
    })
    .await
}
