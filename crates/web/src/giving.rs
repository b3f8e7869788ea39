//! Giving people out among organisers: as many to each, one after another or neighbours together.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{Date, DocId, Personal};
use node::{Node, Who};
use store::StoreError;

use crate::entry::local;
use crate::forms::{Form, refused};
use crate::{Site, WebError, blocking};

/// Gives the people of a form (`person`, several) out among organisers: logins (`who`, several) and typed names (`others`,
/// with commas between); with `split` as `place` those who live near each other go to the same one.
pub(crate) async fn give_out(
    State(site): State<Site>,
    Extension(who): Extension<Who>,
    form: Form,
) -> Result<Response, WebError> {
    blocking(move || {
        let read = |id: &str| id.parse::<DocId>().map_err(|error| refused(&error.to_string()));
        let mut people = form.all("person").map(read).collect::<Result<Vec<DocId>, WebError>>()?;
        let (organisers, on): (Vec<String>, Option<Date>) = (organisers(&form), form.parse("on")?);
        if form.get("split") == Some("place") && !organisers.is_empty() {
            people = neighbours(&from_place_to_place(&site.node, &people)?, organisers.len());
        }
        let given = site.node.give_out(&people, &organisers, on, &who.by)?;
        let done = site.batches.keep(&who.by, given);
        Ok(Redirect::to(&done.back(local(form.get("back").unwrap_or_default()))).into_response())
    })
    .await
}

/// To whom they are given, each once.
fn organisers(form: &Form) -> Vec<String> {
    let typed = form.all("others").flat_map(|names| names.split(','));
    let mut organisers: Vec<String> = Vec::new();
    for name in form.all("who").chain(typed).map(str::trim).filter(|name| !name.is_empty()) {
        if !organisers.iter().any(|known| known == name) {
            organisers.push(name.to_owned());
        }
    }
    organisers
}

/// People in the order of their postal codes.
fn from_place_to_place(node: &Node, people: &[DocId]) -> Result<Vec<DocId>, WebError> {
    let mut placed = node.read(|read| {
        let place = |person: &DocId| {
            let her = read.record(*person)?.supporter;
            let code = her.addresses.first().and_then(|address| address.postal_code.as_ref());
            Ok::<_, StoreError>((code.map_or_else(String::new, |code| Personal::expose(code).to_owned()), *person))
        };
        people.iter().map(place).collect::<Result<Vec<_>, _>>()
    })?;
    placed.sort();
    Ok(placed.into_iter().map(|(_, person)| person).collect())
}

/// Whoever stands beside each other, dealt out so that each of so many organisers gets a stretch of them.
fn neighbours<T: Copy>(sorted: &[T], among: usize) -> Vec<T> {
    let (each, more) = (sorted.len() / among, sorted.len() % among);
    let begins = |organiser: usize| organiser * each + organiser.min(more);
    (0..sorted.len()).map(|nth| sorted[begins(nth % among) + nth / among]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_go_to_the_same_organiser_and_each_gets_as_many() {
        for (people, among) in [(5, 2), (4, 2), (7, 3), (2, 3), (1, 1), (0, 2)] {
            let sorted: Vec<usize> = (0..people).collect();
            let dealt = neighbours(&sorted, among);
            let share = |organiser: usize| dealt.iter().skip(organiser).step_by(among).copied().collect::<Vec<_>>();
            let shares: Vec<Vec<usize>> = (0..among).map(share).collect();
            assert_eq!(shares.concat(), sorted, "{people} among {among}");
            let most = shares.iter().map(Vec::len).max().unwrap();
            assert!(shares.iter().all(|share| share.len() + 1 >= most), "{people} among {among}: {shares:?}");
        }
    }
}
