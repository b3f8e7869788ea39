//! The story that must work, told with the real programs and checked at every step.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::harness::{Node, say, until};
use crate::http;
use crate::sign_ups;

/// What is private in the story: it must be in none of the hub's files.
pub const STORY: &str = "her mother lost the flat on Hope Street";
/// The same.
pub const INTEREST: &str = "wants her children to stay in their school";
const SIGN_UP: &str = "/api/v1/people/person_signup_helper";
/// Within this a sign-up is at its chapter.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// The network of the story.
#[derive(Debug)]
pub struct Story {
    /// The hub.
    pub hub: Node,
    /// Los Angeles, San Francisco, Chicago.
    pub chapters: Vec<Node>,
    mary: String,
    tell: bool,
}

fn post(hub: &Node, body: &str) -> Result<Value> {
    let answer = http::post_json(hub.http(), SIGN_UP, body)?;
    ensure!(answer.status == 200, "the sign-up was answered {}: {}", answer.status, answer.body);
    answer.json()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// With ids and times masked: what is left must not tell whether an address was known.
fn masked(body: &str) -> String {
    let mut masked = String::new();
    let mut run = String::new();
    for c in body.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() || (!run.is_empty() && "-:.TZ".contains(c)) {
            run.push(c);
            continue;
        }
        // A UUID has 36 characters, a time in RFC 3339 24.
        let id = run.len() >= 36 && run.matches('-').count() == 4;
        let time = run.len() == 24 && run.ends_with('Z');
        masked.push_str(if id || time { "*" } else { &run });
        run.clear();
        masked.push(c);
    }
    masked
}

impl Story {
    /// A network in a directory. `tell` prints each command for a person who looks on.
    pub fn new(directory: &Path, tell: bool) -> Self {
        let node = |mut node: Node| {
            node.tell = tell;
            node
        };
        Self {
            hub: node(Node::hub(&directory.join("hub"))),
            chapters: ["la", "sf", "chicago"].iter().map(|slug| node(Node::chapter(&directory.join(slug)))).collect(),
            mary: String::new(),
            tell,
        }
    }

    /// Lets every program log whatever it can.
    pub fn log_everything(&mut self) {
        self.hub.logs_everything = true;
        self.chapters.iter_mut().for_each(|chapter| chapter.logs_everything = true);
    }

    /// Tells the whole story.
    ///
    /// # Errors
    /// Names the step that failed.
    pub fn tell(&mut self, further_sign_ups: usize) -> Result<()> {
        self.chapter("1. A hub and three chapters", Self::found)?;
        self.chapter("2. Sign-ups find their chapters", Self::sign_ups)?;
        self.chapter("3. Cut off, the chapter goes on", Self::cut_off)?;
        self.chapter("4. Two corrections, one conflict, settled", Self::conflict)?;
        self.chapter("5. The network sees it", Self::seen)?;
        self.chapter("6. Both hold the same", Self::same)?;
        self.chapter("7. A list of sign-ups", |story| story.list(further_sign_ups))
    }

    fn chapter(&mut self, title: &str, part: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.tell {
            say(&format!("\n== {title}"));
        }
        part(self).with_context(|| format!("the step that failed: {title}"))
    }

    fn found(&mut self) -> Result<()> {
        self.hub.run(&["init", "--name", "Tenants United", "--country", "US"])?;
        self.hub.serve()?;
        self.hub.run(&[
            "chapter",
            "add",
            "la",
            "--name",
            "Los Angeles",
            "--county",
            "06037",
            "--postal",
            "90012,900*",
        ])?;
        self.hub.run(&["chapter", "add", "sf", "--name", "San Francisco", "--postal", "94000-94199"])?;
        self.hub.run(&["chapter", "add", "chicago", "--name", "Chicago", "--county", "17031", "--postal", "606*"])?;
        for (chapter, slug) in self.chapters.iter_mut().zip(["la", "sf", "chicago"]) {
            let invite = self.hub.run(&["invite", slug])?;
            ensure!(invite.lines().count() == 1, "an invitation is one line");
            chapter.run(&["join", &invite, "--accept-statement"])?;
            chapter.serve()?;
        }
        for chapter in &self.chapters {
            until("the chapter is connected", || {
                let status = chapter.json(&["status"])?;
                Ok((text(&status, "/links/0/state") == "connected").then_some(()))
            })?;
        }
        self.chapters[0].run(&[
            "card",
            "edit",
            "next_meeting=Tuesday 7 pm, Union Hall",
            "call_by=Ana, within two days",
        ])?;
        until("the card is at the hub", || {
            let shown = self.hub.json(&["chapter", "show", "la"])?;
            Ok((text(&shown, "/card/next_meeting") == "Tuesday 7 pm, Union Hall").then_some(()))
        })
    }

    fn sign_ups(&mut self) -> Result<()> {
        let mary = r#"{"person":{"given_name":"Mary","family_name":"Brown","email_addresses":[{"address":"mary@example.org"}],"phone_numbers":[{"number":"213 555 0142"}],"postal_addresses":[{"postal_code":"90012","country":"US"}]}}"#;
        // Before the clock runs: making a login and hashing its password takes a while.
        self.chapters[0].login()?;
        let began = Instant::now();
        let answer = post(&self.hub, mary)?;
        ensure!(text(&answer, "/chapterhouse:placement/chapter") == "la", "Mary is placed into la: {answer}");
        ensure!(
            text(&answer, "/chapterhouse:placement/card/next_meeting").contains("Union Hall"),
            "the card is in the answer"
        );
        let la = &self.chapters[0];
        let found = until("Mary is at the Los Angeles node", || {
            let people = la.get("/api/v1/people?query=mary")?.json()?;
            Ok(people["people"].as_array().and_then(|people| people.first().cloned()))
        })?;
        ensure!(began.elapsed() < ONE_SECOND, "she came after {:?}", began.elapsed());
        self.mary = text(&found, "/id").to_owned();
        let page = la.get(&format!("/people/{}", self.mary))?.body;
        ensure!(page.contains("90012 is in"), "her page says why she is here");
        let today = la.get("/")?.body;
        ensure!(today.contains("Mary Brown") && today.contains("90012 is in"), "the first page shows her, and why");
        self.elsewhere()?;
        self.once_more()?;
        self.stranger()
    }

    fn elsewhere(&self) -> Result<()> {
        let body = |name: &str, code: &str| {
            format!(
                r#"{{"person":{{"given_name":"{name}","email_addresses":[{{"address":"{name}@example.org"}}],"postal_addresses":[{{"postal_code":"{code}","country":"US"}}]}}}}"#
            )
        };
        let carl = post(&self.hub, &body("carl", "60614"))?;
        ensure!(text(&carl, "/chapterhouse:placement/chapter") == "chicago", "60614 is in Chicago: {carl}");
        let chicago = &self.chapters[2];
        until("Carl is at the Chicago node", || {
            let people = chicago.json(&["people", "list", "--query", "carl"])?;
            Ok(people["people"].get(0).cloned())
        })?;
        let wanda = post(&self.hub, &body("wanda", "59937"))?;
        ensure!(text(&wanda, "/chapterhouse:placement/placement") == "waiting", "nobody serves Whitefish: {wanda}");
        let waiting = self.hub.json(&["unplaced", "list"])?;
        ensure!(text(&waiting, "/people/0/waiting") == "no_chapter", "she waits with her reason: {waiting}");
        Ok(())
    }

    fn once_more(&self) -> Result<()> {
        let again = r#"{"person":{"given_name":"Mary","family_name":"Brown","email_addresses":[{"address":"MARY@example.org"}]}}"#;
        post(&self.hub, again)?;
        let found = self.hub.json(&["people", "list", "--query", "mary@example.org"])?;
        ensure!(
            found["people"].as_array().is_some_and(|people| people.len() == 1),
            "the same e-mail twice is one person"
        );
        Ok(())
    }

    fn stranger(&self) -> Result<()> {
        let body = |email: &str| {
            format!(
                r#"{{"person":{{"given_name":"Otto","family_name":"Stranger","email_addresses":[{{"address":"{email}","status":"subscribed"}}],"phone_numbers":[{{"number":"312 555 0199"}}],"postal_addresses":[{{"postal_code":"60614","country":"US"}}]}}}}"#
            )
        };
        let before = self.hub.json(&["people", "history", &self.mary])?;
        // Of the same length, so that only what is known could make a difference.
        let known = http::post_json(self.hub.http(), SIGN_UP, &body("mary@example.org"))?;
        let unknown = http::post_json(self.hub.http(), SIGN_UP, &body("jane@example.org"))?;
        let said = |answer: &http::Answer| masked(&answer.body).replace("mary@", "@").replace("jane@", "@");
        ensure!(said(&known) == said(&unknown), "the answers differ:\n{}\n{}", known.body, unknown.body);
        ensure!(masked(&known.body) != known.body, "ids and times were masked");
        let la = &self.chapters[0];
        for node in [&self.hub, la] {
            until("the sign-up event is there", || {
                let events = node.json(&["people", "history", &self.mary])?;
                let count = |value: &Value| value["events"].as_array().map_or(0, Vec::len);
                Ok((count(&events) == count(&before) + 1).then_some(()))
            })?;
            let her = node.json(&["people", "show", &self.mary])?;
            ensure!(
                text(&her, "/given_name") == "Mary" && text(&her, "/family_name") == "Brown",
                "her name stands: {her}"
            );
            ensure!(
                her["phone_numbers"].as_array().is_some_and(|phones| phones.len() == 1),
                "his phone is not hers: {her}"
            );
            ensure!(her["postal_addresses"].as_array().is_some_and(|all| all.len() == 1), "his address is not hers");
            ensure!(her["consents"].as_array().is_some_and(Vec::is_empty), "his consent is not hers: {her}");
            ensure!(text(&her, "/chapter") == "la", "she stays where she is");
            until("what he posted waits as proposals", || {
                let waiting = node.json(&["proposals", "list"])?;
                let mut fields: Vec<&str> =
                    waiting["proposals"].as_array().into_iter().flatten().map(|p| text(p, "/field")).collect();
                fields.sort_unstable();
                let wanted = ["consent/email/network", "family_name", "given_name", "phone/+13125550199"];
                let there = wanted.iter().all(|field| fields.contains(field));
                Ok((there && fields.iter().any(|field| field.starts_with("address/"))).then_some(()))
            })?;
        }
        Ok(())
    }

    fn cut_off(&mut self) -> Result<()> {
        self.hub.stop()?;
        let mary = self.mary.clone();
        let la = &self.chapters[0];
        let id = |value: Value| text(&value, "/id").to_owned();
        let refused = la.try_run(&["ladder", "move", &mary, "conversation"])?;
        ensure!(refused.code == 4, "a move without evidence is refused: {refused:?}");
        la.json(&["attempt", "log", &mary, "--how", "call", "--result", "no-answer"])?;
        let talked =
            ["attempt", "log", &mary, "--how", "call", "--result", "talked", "--line", "glad that somebody called"];
        let talked = id(la.json(&talked)?);
        la.json(&[
            "one-to-one",
            "log",
            &mary,
            "--minutes",
            "40",
            "--story",
            STORY,
            "--interest",
            INTEREST,
            "--ask",
            "come on Tuesday",
        ])?;
        let ask = id(la.json(&["ask", "add", &mary, "bring two neighbours", "--kind", "recruit"])?);
        let kept = id(la.json(&["ask", "answer", &ask, "kept"])?);
        la.json(&["ladder", "move", &mary, "conversation", "--evidence", &talked])?;
        let moved = la.json(&["ladder", "move", &mary, "commitment", "--evidence", &kept])?;
        ensure!(text(&moved, "/how") == "up", "a move with what shows it is no skip: {moved}");
        let skip =
            la.json(&["people", "add", "--given-name", "Sol", "--email", "sol@example.org", "--postal-code", "90012"])?;
        let skipped = la.json(&["ladder", "move", &id(skip), "leadership", "--because", "led the last drive"])?;
        ensure!(text(&skipped, "/how") == "skip", "a reason in place of evidence is a skip: {skipped}");
        let status = la.json(&["status"])?;
        ensure!(status.pointer("/links/0/pending").and_then(Value::as_u64).unwrap_or(0) > 0, "changes wait: {status}");
        until("the chapter says that it is offline", || {
            Ok((text(&la.json(&["status"])?, "/links/0/state") == "offline").then_some(()))
        })
    }

    fn conflict(&mut self) -> Result<()> {
        let mary = self.mary.clone();
        self.chapters[0].run(&["people", "edit", &mary, "family_name=Browne"])?;
        self.hub.run(&["people", "edit", &mary, "family_name=Braun"])?;
        self.hub.serve()?;
        let listed = |node: &Node| -> Result<Option<Vec<String>>> {
            let found = node.json(&["conflicts", "list"])?;
            let values = found.pointer("/conflicts/0/values").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut values: Vec<String> = values.iter().map(|value| text(value, "/value").to_owned()).collect();
            values.sort();
            Ok((values == ["Braun", "Browne"]).then_some(values))
        };
        let la = &self.chapters[0];
        until("the hub lists the conflict", || listed(&self.hub))?;
        until("the chapter lists the conflict", || listed(la))?;
        let shown = |node: &Node| {
            Ok::<_, anyhow::Error>(text(&node.json(&["people", "show", &mary])?, "/family_name").to_owned())
        };
        ensure!(shown(&self.hub)? == shown(la)?, "both show the same value");
        la.run(&["conflicts", "settle", &mary, "family_name", "Browne"])?;
        for node in [&self.hub, la] {
            until("the conflict is settled there", || {
                let none = node.json(&["conflicts", "list"])?["conflicts"].as_array().is_some_and(Vec::is_empty);
                Ok((none && shown(node)? == "Browne").then_some(()))
            })?;
        }
        Ok(())
    }

    fn seen(&mut self) -> Result<()> {
        let her = until("the hub shows Mary at commitment", || {
            let her = self.hub.json(&["people", "show", &self.mary])?;
            Ok((text(&her, "/rung") == "commitment").then_some(her))
        })?;
        ensure!(text(&her, "/peak_rung") == "commitment", "and her peak: {her}");
        let status = self.hub.json(&["status"])?;
        ensure!(status.pointer("/counts/commitment").and_then(Value::as_u64) == Some(1), "one at commitment: {status}");
        ensure!(!text(&status, "/as_of").is_empty(), "as of when: {status}");
        let la = status["chapters"].as_array().and_then(|all| all.iter().find(|c| text(c, "/slug") == "la").cloned());
        let la = la.context("la is in the status")?;
        ensure!(la.pointer("/counts/commitment").and_then(Value::as_u64) == Some(1), "la has one at commitment: {la}");
        let page = self.hub.get("/")?.body;
        ensure!(
            page.contains("As of") && page.contains("Los Angeles") && page.contains("Commitment"),
            "the hub's page shows it"
        );
        let page = self.hub.get(&format!("/people/{}", self.mary))?.body;
        ensure!(page.contains("Moved up to Commitment"), "her page at the hub shows the move");
        for private in [STORY, INTEREST] {
            ensure!(!self.hub.files_contain(private)?, "private text is in the hub's files");
            ensure!(self.chapters[0].files_contain(private)?, "and is in the chapter's, where it was looked for too");
        }
        Ok(())
    }

    fn same(&mut self) -> Result<()> {
        for (chapter, slug) in self.chapters.iter().zip(["la", "sf", "chicago"]) {
            until("both print the same state hash", || {
                let (here, there) = (chapter.run(&["state-hash"])?, self.hub.run(&["state-hash", "--scope", slug])?);
                Ok((here == there && here.len() == 64).then_some(()))
            })?;
        }
        Ok(())
    }

    fn list(&mut self, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let file = self.hub.data.join("sign-ups.csv");
        std::fs::write(&file, sign_ups::csv(count, 1))?;
        let printed = self.hub.run(&["signup", "import", &file.display().to_string()])?;
        if self.tell {
            say(&printed);
        }
        self.same()?;
        let status = self.hub.json(&["status"])?;
        let supporters = status["supporters"].as_u64().unwrap_or(0);
        ensure!(supporters >= count as u64, "{supporters} supporters after {count} sign-ups");
        for node in self.chapters.iter().chain([&self.hub]) {
            node.run(&["verify"])?;
        }
        Ok(())
    }
}
