//! Today at a terminal: the same lists as on the page, as tables or as JSON.

use cli::{Failure, Out, table};
use model::Due;
use node::Node;
use serde_json::{Map, Value, json};
use web::{Goals, ago, link_json, link_words, person_json, result_words};

use super::gather::{FIRST_CALL_MS, Held, Need, Panel, Row, SHOWN, Today, Whose, gather};
use super::{day_words, due_words, is_late};

/// Prints what there is to do: of the whole chapter, or of one organiser.
pub(crate) fn tell(node: &Node, mine: Option<&str>, goals: Goals, out: Out) -> Result<(), Failure> {
    let whose = mine.map_or(Whose::Chapter, |login| Whose::Mine(login.to_owned()));
    let today = gather(node, &whose, goals, SHOWN)?;
    out.result(&as_json(&today), || as_text(&today));
    Ok(())
}

/// A person with what there is to do about her.
fn row_json(row: &Row, today: &Today) -> Value {
    let mut made = person_json(&row.person);
    let work = &row.work;
    let tried = work.tried.as_ref().map(|tried| json!({"at": tried.at, "by": tried.by, "result": tried.result}));
    let due = work.follow_up.zip(row.due_event()).map(|(due, event)| {
        let why = if due.why == Due::Ask { "ask" } else { "contact" };
        json!({"on": due.on, "why": why, "what": due_words(&event.body), "by": event.by, "event": due.event.to_string()})
    });
    let more = json!({
        "why": row.why(), "late": is_late(row, today.now), "willing": work.new == model::New::Willing,
        "tried": tried, "due": due, "not_before": work.not_before, "spoken_at": work.spoken, "kept_at": work.kept,
    });
    if let (Some(object), Value::Object(more)) = (made.as_object_mut(), more) {
        object.extend(more);
    }
    made
}

fn as_json(today: &Today) -> Value {
    let rows = |rows: &[Row]| rows.iter().map(|row| row_json(row, today)).collect::<Vec<_>>();
    let panels: [(&str, &Panel); 4] =
        [("new", &today.new), ("follow_ups", &today.follow_ups), ("ready", &today.ready), ("quiet", &today.quiet)];
    let counts: Map<String, Value> =
        panels.iter().map(|(name, panel)| ((*name).to_owned(), json!(panel.count))).collect();
    let held = |held: &Held| {
        let her = &held.person.supporter;
        json!({"person": her.id, "name": her.display_name(), "by": held.by, "at": held.at})
    };
    let need = |need: &Need| {
        let people: Vec<String> = need.people.iter().map(|(id, _)| id.to_string()).collect();
        json!({"what": need.what, "count": need.count, "words": need.told(), "people": people})
    };
    let link = today.links.first().map(|link| {
        let mut made = link_json(link, today.now);
        made["words"] = json!(link_words(&today.links, today.now).0);
        made
    });
    let one_to_ones = &today.one_to_ones;
    let mut made = json!({
        "day": today.day, "as_of": today.now, "counts": counts,
        "one_to_ones": {
            "count": one_to_ones.count, "goal": one_to_ones.goal,
            "held": one_to_ones.held.iter().map(held).collect::<Vec<_>>(), "planned": rows(&one_to_ones.planned),
        },
        "needs_you": today.needs.iter().map(need).collect::<Vec<_>>(), "link": link,
    });
    if let Some(object) = made.as_object_mut() {
        object.extend(panels.iter().map(|(name, panel)| ((*name).to_owned(), json!(rows(&panel.rows)))));
    }
    made
}

/// A list with its head, or a line that there is nothing.
fn panel_text(
    name: &str,
    panel: &Panel,
    (head, empty): (&[&str], &str),
    cells: impl Fn(&Row) -> Vec<String>,
) -> String {
    if panel.rows.is_empty() {
        return format!("{name}: {empty}");
    }
    let row = |row: &Row| {
        let her = &row.person.supporter;
        let id = her.id.to_string();
        let phone = her.phones.first().map_or("", |phone| phone.number.as_str().trim_start_matches("raw:"));
        let first = vec![id[id.len() - 8..].to_owned(), her.display_name(), phone.to_owned()];
        [first, cells(row)].concat()
    };
    let rows: Vec<Vec<String>> = panel.rows.iter().map(row).collect();
    let head = [["id", "who", "phone"].as_slice(), head].concat();
    format!("{name} ({})\n{}", panel.count, table(&head, &rows))
}

fn as_text(today: &Today) -> String {
    let now = today.now;
    let tried = |row: &Row| {
        row.work.tried.as_ref().map_or_else(String::new, |tried| {
            let what = tried.result.map_or("a one-to-one", result_words);
            format!("{}, {}: {what}", tried.by, ago(Some(tried.at), now))
        })
    };
    let care = |row: &Row| {
        let by = row.person.supporter.looked_after_by.as_ref();
        by.map_or_else(String::new, |by| by.expose().to_owned())
    };
    let label = |row: &Row| today.ladder.label(&row.person.supporter.rung).to_owned();
    let new = panel_text("To call, new", &today.new, (&["signed up", "looked after by"], "nobody"), |row| {
        let late = if is_late(row, now) { format!(" (over {} h)", FIRST_CALL_MS / 3_600_000) } else { String::new() };
        vec![format!("{}{late}", ago(Some(row.person.supporter.id.created_at()), now)), care(row)]
    });
    let head: &[&str] = &["due", "what", "promised by", "last tried"];
    let due = panel_text("Follow-ups due", &today.follow_ups, (head, "nothing"), |row| {
        let day = row.work.follow_up.map_or_else(String::new, |due| day_words(due.on, today.day));
        let event = row.due_event();
        let by = event.and_then(|event| event.by.as_ref()).map_or_else(String::new, |by| by.expose().to_owned());
        vec![day, event.map_or_else(String::new, |event| due_words(&event.body)), by, tried(row)]
    });
    let ready = panel_text("Ready for the next ask", &today.ready, (&["rung", "last kept"], "nobody"), |row| {
        vec![label(row), ago(row.work.kept, now)]
    });
    let quiet = panel_text("Going quiet", &today.quiet, (&["rung", "last talked with"], "nobody"), |row| {
        vec![label(row), ago(row.work.spoken.or(row.work.tended), now)]
    });
    let one_to_ones = format!("One-to-ones this week: {} of {}", today.one_to_ones.count, today.one_to_ones.goal);
    let needs: Vec<String> = today.needs.iter().map(|need| format!("  {}", need.told())).collect();
    let needs =
        if needs.is_empty() { "Needs you: nothing".to_owned() } else { format!("Needs you\n{}", needs.join("\n")) };
    let link = format!("Link: {}", link_words(&today.links, now).0);
    [new, due, one_to_ones, ready, quiet, needs, link].join("\n\n")
}
