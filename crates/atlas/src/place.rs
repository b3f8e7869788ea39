//! Deciding: evidence, then rules, then one total order; every step has a name and is in the explanation.
//!
//! Order: her own choice; descendant before ancestor; evidence tier (full postal code, longest prefix, county, region,
//! country); narrower rule; priority; chapter id (these last two mark the placement contested). What contradicts itself
//! waits: a wrong chapter is worse than the queue.

use std::cmp::Reverse;

use model::{PlacementFact, PostalAddress, ScopeId};
use serde::Serialize;

use crate::evidence::{Evidence, Flag};
use crate::gazetteer::{Gazetteer, state_name};
use crate::rule::Rule;
use crate::territory::{Atlas, Claim, Territory};

/// Why a place was decided so: a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// She chose the chapter.
    OwnChoice,
    /// A rule names her postal code.
    PostalCode,
    /// A rule's range holds her postal code.
    PostalRange,
    /// A rule's prefix begins her postal code.
    PostalPrefix,
    /// A rule names the county of her postal code.
    County,
    /// A rule names her region.
    Region,
    /// A rule names her country.
    Country,
    /// Waiting: nothing was given that says where she is.
    NoPlace,
    /// Waiting: what was given as postal code can't be read.
    UnreadableCode,
    /// Waiting: the postal code is in no gazetteer and no rule.
    UnknownCode,
    /// Waiting: postal code and region contradict each other.
    Conflict,
    /// Waiting: the code belongs to no area.
    NonGeographic,
    /// Waiting: no chapter works there.
    NoChapter,
    /// Waiting: her chapter takes nobody for now.
    ChapterPaused,
}

impl Reason {
    /// The code in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OwnChoice => "own_choice",
            Self::PostalCode => "postal_code",
            Self::PostalRange => "postal_range",
            Self::PostalPrefix => "postal_prefix",
            Self::County => "county",
            Self::Region => "region",
            Self::Country => "country",
            Self::NoPlace => "no_place",
            Self::UnreadableCode => "unreadable_code",
            Self::UnknownCode => "unknown_code",
            Self::Conflict => "conflict",
            Self::NonGeographic => "non_geographic",
            Self::NoChapter => "no_chapter",
            Self::ChapterPaused => "chapter_paused",
        }
    }

    /// How sure a placement by this reason is: `certain`, `high`, `low`, `none`.
    const fn confidence(self) -> &'static str {
        match self {
            Self::OwnChoice | Self::PostalCode => "certain",
            Self::PostalRange | Self::PostalPrefix | Self::County => "high",
            Self::Region | Self::Country => "low",
            Self::NoPlace
            | Self::UnreadableCode
            | Self::UnknownCode
            | Self::Conflict
            | Self::NonGeographic
            | Self::NoChapter
            | Self::ChapterPaused => "none",
        }
    }
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name.
    pub step: &'static str,
    /// What it found.
    pub found: String,
}

/// A chapter that also claimed the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunnerUp {
    /// Its slug.
    pub chapter: String,
    /// The rule by which.
    pub rule: String,
    /// The step where it lost.
    pub lost_at: &'static str,
}

/// Where someone belongs, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// `chapter` or `waiting`.
    pub placement: &'static str,
    /// The chapter's slug.
    pub chapter: Option<String>,
    /// Its scope.
    #[serde(skip)]
    pub scope: Option<ScopeId>,
    /// Its name.
    #[serde(skip)]
    pub chapter_name: Option<String>,
    /// The reason's code.
    pub reason: Reason,
    /// How sure it is.
    pub confidence: &'static str,
    /// One sentence for a person.
    pub explanation: String,
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// Who else claimed the place.
    pub runners_up: Vec<RunnerUp>,
    /// What was assumed.
    pub flags: Vec<Flag>,
    /// Which territories decided.
    pub territory_version: u64,
    /// Which gazetteer was read.
    pub gazetteer_version: String,
}

impl Placement {
    /// The fact as it stands in her record.
    pub fn fact(&self) -> PlacementFact {
        PlacementFact {
            chapter: self.scope,
            reason: self.reason.code().to_owned(),
            explanation: self.explanation.clone(),
            flags: self.flags.iter().map(|flag| flag.word().to_owned()).collect(),
            territory_version: self.territory_version,
            gazetteer_version: self.gazetteer_version.clone(),
        }
    }
}

/// A claim with its place in the order; the least wins.
struct Candidate {
    claim: Claim,
    tier: u8,
    breadth: u64,
    depth: Reverse<usize>,
    priority: Reverse<i32>,
    reason: Reason,
}

impl Atlas {
    /// Decides where an address belongs. `choice` is the slug of the chapter that she chose herself.
    pub fn place(&self, address: &PostalAddress, choice: Option<&str>) -> Placement {
        let evidence = Evidence::read(address, &self.home);
        let mut steps = vec![Step { step: "evidence", found: in_words(&evidence) }];
        if let Some(slug) = choice {
            let chosen = self.set.territories.iter().position(|territory| territory.slug.as_str() == slug);
            steps.push(Step { step: "own_choice", found: slug.to_owned() });
            let takes = |at: &usize| !self.set.territories[*at].paused && !self.set.territories[*at].left;
            if let Some(at) = chosen.filter(takes) {
                let words = format!("She chose {} herself.", self.set.territories[at].name);
                return self.placed(at, Reason::OwnChoice, words, steps, Vec::new(), evidence.flags);
            }
        }
        if evidence.flags.contains(&Flag::Conflict) {
            let (code, region) = (shown_code(&evidence), evidence.region.clone().unwrap_or_default());
            let words = format!("The postal code {code} is not in {region}: a person has to look at it.");
            return self.waiting(Reason::Conflict, words, steps, Vec::new(), evidence.flags);
        }
        if evidence.unreadable_code.is_some() {
            let words = "What was given as postal code can't be read: a person has to look at it.".to_owned();
            return self.waiting(Reason::UnreadableCode, words, steps, Vec::new(), evidence.flags);
        }
        let mut candidates = self.candidates(&evidence);
        candidates.sort_by_key(|c| (c.depth, c.tier, c.breadth, c.priority, self.scopes[c.claim.territory]));
        let rules: Vec<String> = candidates.iter().map(|c| self.rule_of(c.claim).to_string()).collect();
        steps.push(Step { step: "rules", found: if rules.is_empty() { "none".to_owned() } else { rules.join(" ") } });
        let Some((first, rest)) = candidates.split_first() else {
            let reason = self.why_nobody(&evidence);
            return self.waiting(reason, self.waiting_words(reason, &evidence), steps, Vec::new(), evidence.flags);
        };
        let runners_up = self.runners_up(first, rest);
        if let Some(last) = runners_up.first() {
            steps.push(Step { step: last.lost_at, found: self.territory(first).slug.to_string() });
        }
        let territory = self.territory(first);
        if territory.paused {
            let words = format!("{} serves this place and takes nobody for now.", territory.name);
            return self.waiting(Reason::ChapterPaused, words, steps, runners_up, evidence.flags);
        }
        let words = self.placed_words(first, &evidence);
        self.placed(first.claim.territory, first.reason, words, steps, runners_up, evidence.flags)
    }

    fn territory(&self, candidate: &Candidate) -> &Territory {
        &self.set.territories[candidate.claim.territory]
    }

    fn rule_of(&self, claim: Claim) -> &Rule {
        &self.rules[claim.territory][claim.rule]
    }

    /// Every claim to the place, each chapter by its best rule. A code outside every gazetteer is placed by a rule that
    /// names it, never by a wider one.
    fn candidates(&self, evidence: &Evidence) -> Vec<Candidate> {
        let mut found: Vec<(Claim, u8, u64, Reason)> = Vec::new();
        let country = &evidence.country;
        if let Some(code) = &evidence.code {
            let code = code.as_str();
            let exact = self.codes.get(&format!("{country}{code}"));
            found.extend(exact.into_iter().flatten().map(|claim| (*claim, 0, 0, Reason::PostalCode)));
            for range in self.ranges.get(country).into_iter().flatten() {
                let within = range.first.len() == code.len() && *range.first <= *code && *code <= *range.last;
                if within {
                    found.push((range.claim, 0, 1 + width(&range.first, &range.last), Reason::PostalRange));
                }
            }
            for length in (1..=code.len()).rev() {
                let claims = self.prefixes.get(&format!("{country}{}", &code[..length]));
                let breadth = (code.len() - length) as u64;
                found.extend(claims.into_iter().flatten().map(|claim| (*claim, 1, breadth, Reason::PostalPrefix)));
            }
        }
        let military = evidence.flags.contains(&Flag::NonGeographic);
        let unknown = evidence.flags.contains(&Flag::UnknownCode);
        if !military && !unknown {
            let region = evidence.entry.map(|entry| entry.region.to_owned()).or_else(|| evidence.region.clone());
            let county = evidence.entry.map(|entry| Rule::County(entry.county.to_owned()));
            let region = region.map(|region| Rule::Region(country.clone(), region));
            let areas = [(county, 2, Reason::County), (region, 3, Reason::Region)];
            for (area, tier, reason) in areas {
                let claims = area.and_then(|area| self.areas.get(&area.to_string()));
                found.extend(claims.into_iter().flatten().map(|claim| (*claim, tier, 0, reason)));
            }
            if evidence.code.is_some() || evidence.region.is_some() {
                let claims = self.areas.get(&Rule::Country(country.clone()).to_string());
                found.extend(claims.into_iter().flatten().map(|claim| (*claim, 4, 0, Reason::Country)));
            }
        }
        found.sort_by_key(|(claim, tier, breadth, _)| (claim.territory, *tier, *breadth));
        found.dedup_by_key(|(claim, ..)| claim.territory);
        let claimants: Vec<usize> = found.iter().map(|(claim, ..)| claim.territory).collect();
        found
            .into_iter()
            .map(|(claim, tier, breadth, reason)| {
                // How many of the other claimants stand above this one: a descendant beats its ancestors.
                let above = self.ancestors[claim.territory].iter().filter(|at| claimants.contains(at)).count();
                let priority = Reverse(self.set.territories[claim.territory].priority);
                Candidate { claim, tier, breadth, depth: Reverse(above), priority, reason }
            })
            .collect()
    }

    fn runners_up(&self, first: &Candidate, rest: &[Candidate]) -> Vec<RunnerUp> {
        let lost_at = |other: &Candidate| {
            if other.depth != first.depth {
                "descendant"
            } else if other.tier != first.tier {
                "evidence_tier"
            } else if other.breadth != first.breadth {
                "narrower_rule"
            } else if other.priority != first.priority {
                "priority"
            } else {
                "chapter_id"
            }
        };
        let entry = |other: &Candidate| RunnerUp {
            chapter: self.territory(other).slug.to_string(),
            rule: self.rule_of(other.claim).to_string(),
            lost_at: lost_at(other),
        };
        rest.iter().map(entry).collect()
    }

    fn why_nobody(&self, evidence: &Evidence) -> Reason {
        if evidence.is_empty() {
            Reason::NoPlace
        } else if evidence.flags.contains(&Flag::NonGeographic) {
            Reason::NonGeographic
        } else if evidence.flags.contains(&Flag::UnknownCode) {
            Reason::UnknownCode
        } else {
            Reason::NoChapter
        }
    }

    fn waiting_words(&self, reason: Reason, evidence: &Evidence) -> String {
        match reason {
            Reason::NoPlace => "Nothing was given that says where she is.".to_owned(),
            Reason::NonGeographic => {
                format!(
                    "The postal code {} is a military post office, which is in no chapter's area.",
                    shown_code(evidence)
                )
            }
            Reason::UnknownCode => format!("We don't know the postal code {}.", shown_code(evidence)),
            Reason::OwnChoice
            | Reason::PostalCode
            | Reason::PostalRange
            | Reason::PostalPrefix
            | Reason::County
            | Reason::Region
            | Reason::Country
            | Reason::UnreadableCode
            | Reason::Conflict
            | Reason::NoChapter
            | Reason::ChapterPaused => format!("No chapter serves {} yet.", in_words(evidence)),
        }
    }

    fn placed_words(&self, first: &Candidate, evidence: &Evidence) -> String {
        let name = &self.territory(first).name;
        let code = shown_code(evidence);
        match (first.reason, self.rule_of(first.claim)) {
            (Reason::PostalCode, _) => format!("{code} is in \u{201c}{name}\u{201d}."),
            (_, Rule::Range(_, from, to)) => {
                format!("{code} is between {from} and {to}, which \u{201c}{name}\u{201d} serves.")
            }
            (_, Rule::Prefix(_, prefix)) => {
                format!("{code} begins with {prefix}, which \u{201c}{name}\u{201d} serves.")
            }
            (_, Rule::County(county)) => {
                let county = Gazetteer::us().county_name(county).unwrap_or(county.as_str());
                format!("{code} is in {county} County, which \u{201c}{name}\u{201d} serves.")
            }
            (_, Rule::Region(_, region)) => {
                let region = state_name(region).filter(|_| evidence.country == "US").unwrap_or(region.as_str());
                format!("She is in {region}, which \u{201c}{name}\u{201d} serves.")
            }
            (_, Rule::Country(_) | Rule::Postal(..)) => {
                format!("She is in {}, which \u{201c}{name}\u{201d} serves.", evidence.country)
            }
        }
    }

    fn placed(
        &self,
        at: usize,
        reason: Reason,
        explanation: String,
        steps: Vec<Step>,
        runners_up: Vec<RunnerUp>,
        flags: Vec<Flag>,
    ) -> Placement {
        let territory = &self.set.territories[at];
        let contested = runners_up.iter().any(|other| matches!(other.lost_at, "priority" | "chapter_id"));
        Placement {
            placement: "chapter",
            chapter: Some(territory.slug.to_string()),
            scope: Some(self.scopes[at]),
            chapter_name: Some(territory.name.clone()),
            confidence: if contested { "contested" } else { reason.confidence() },
            ..self.waiting(reason, explanation, steps, runners_up, flags)
        }
    }

    fn waiting(
        &self,
        reason: Reason,
        explanation: String,
        steps: Vec<Step>,
        runners_up: Vec<RunnerUp>,
        flags: Vec<Flag>,
    ) -> Placement {
        Placement {
            placement: "waiting",
            chapter: None,
            scope: None,
            chapter_name: None,
            reason,
            confidence: reason.confidence(),
            explanation,
            steps,
            runners_up,
            flags,
            territory_version: self.set.version,
            gazetteer_version: Gazetteer::us().version().to_owned(),
        }
    }
}

/// How many codes a range spans, as far as they are numbers.
fn width(first: &str, last: &str) -> u64 {
    let number = |text: &str| u64::from_str_radix(text, 36).unwrap_or(0);
    number(last).saturating_sub(number(first))
}

/// The code as an explanation shows it: the whole code where it is an area's, three characters of anything longer.
fn shown_code(evidence: &Evidence) -> String {
    let code = evidence.code.as_ref().map_or("", |code| code.as_str());
    if evidence.country == "US" { code.to_owned() } else { code.chars().take(3).collect() }
}

fn in_words(evidence: &Evidence) -> String {
    let code = shown_code(evidence);
    match (evidence.entry, &evidence.region) {
        (Some(entry), _) if !entry.is_military() => {
            let state = state_name(entry.region).unwrap_or(entry.region);
            format!("{code}, {}, {state} ({} County)", entry.place, entry.county_name)
        }
        (_, Some(region)) if code.is_empty() => format!("{region}, {}", evidence.country),
        _ if evidence.is_empty() => "nothing given".to_owned(),
        _ => format!("{code} {}", evidence.country).trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use model::Slug;

    use super::*;
    use crate::territory::TerritorySet;

    fn territory(n: u8, slug: &str, rules: &[&str]) -> Territory {
        Territory {
            chapter: ScopeId::from_bytes([n; 16]).to_string(),
            slug: slug.parse::<Slug>().unwrap(),
            name: slug.to_uppercase(),
            parent: None,
            priority: 0,
            paused: false,
            left: false,
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        }
    }

    fn atlas(territories: Vec<Territory>) -> Atlas {
        Atlas::new(TerritorySet { version: 7, territories }, "US").unwrap()
    }

    fn at(code: &str) -> PostalAddress {
        PostalAddress { postal_code: Some(code.into()), country: Some("US".into()), ..PostalAddress::default() }
    }

    #[test]
    fn a_full_code_beats_a_prefix_beats_a_county_beats_a_region() {
        let atlas = atlas(vec![
            territory(1, "state", &["region:US-CA"]),
            territory(2, "county", &["county:06037"]),
            territory(3, "short", &["prefix:US:9"]),
            territory(4, "long", &["prefix:US:900"]),
            territory(5, "range", &["range:US:90013-90020"]),
            territory(6, "code", &["postal:US:90014"]),
        ]);
        let chosen = |code: &str| atlas.place(&at(code), None).chapter.unwrap();
        assert_eq!(chosen("90014"), "code");
        assert_eq!(chosen("90013"), "range");
        assert_eq!(chosen("90012"), "long");
        assert_eq!(chosen("91001"), "short");
        let placed = atlas.place(&at("90012"), None);
        assert_eq!(placed.reason, Reason::PostalPrefix);
        assert_eq!(placed.runners_up[0].lost_at, "narrower_rule");
        assert_eq!(placed.runners_up.len(), 3);
        assert_eq!((placed.territory_version, placed.flags.len()), (7, 0));
    }

    #[test]
    fn county_and_region_serve_where_nothing_narrower_does() {
        let atlas = atlas(vec![territory(1, "state", &["region:US-CA"]), territory(2, "la", &["county:06037"])]);
        assert_eq!(
            atlas.place(&at("90012"), None).explanation,
            "90012 is in Los Angeles County, which \u{201c}LA\u{201d} serves."
        );
        assert_eq!(atlas.place(&at("94110"), None).chapter.as_deref(), Some("state"));
        let by_name = PostalAddress { region: Some("california".into()), ..PostalAddress::default() };
        let placed = atlas.place(&by_name, None);
        assert_eq!((placed.chapter.as_deref(), placed.flags), (Some("state"), vec![Flag::CountryAssumed]));
    }

    #[test]
    fn a_descendant_beats_its_ancestor_whatever_the_rules() {
        let mut child = territory(2, "child", &["region:US-CA"]);
        child.parent = Some(ScopeId::from_bytes([1; 16]).to_string());
        let atlas = atlas(vec![territory(1, "parent", &["postal:US:90012"]), child]);
        let placed = atlas.place(&at("90012"), None);
        assert_eq!(placed.chapter.as_deref(), Some("child"));
        assert_eq!(placed.runners_up[0].lost_at, "descendant");
    }

    #[test]
    fn equal_claims_are_contested_and_settled_by_priority_then_id() {
        let both = |priority| {
            let mut second = territory(2, "second", &["postal:US:90012"]);
            second.priority = priority;
            atlas(vec![territory(1, "first", &["postal:US:90012"]), second]).place(&at("90012"), None)
        };
        assert_eq!((both(0).chapter.as_deref(), both(0).confidence), (Some("first"), "contested"));
        assert_eq!((both(5).chapter.as_deref(), both(5).runners_up[0].lost_at), (Some("second"), "priority"));
    }

    #[test]
    fn who_can_not_be_placed_waits_with_a_reason() {
        let atlas = atlas(vec![territory(1, "la", &["county:06037", "prefix:US:900"])]);
        let reason = |address: &PostalAddress| {
            let placement = atlas.place(address, None);
            assert_eq!(placement.placement, "waiting");
            placement.reason
        };
        assert_eq!(reason(&at("59937")), Reason::NoChapter);
        assert!(atlas.place(&at("59937"), None).explanation.contains("Whitefish, Montana"));
        assert_eq!(reason(&PostalAddress::default()), Reason::NoPlace);
        assert_eq!(reason(&at("9001")), Reason::UnreadableCode);
        assert_eq!(reason(&at("99999")), Reason::UnknownCode);
        assert_eq!(reason(&at("09001")), Reason::NonGeographic);
        let contradicting = PostalAddress { region: Some("NY".into()), ..at("90012") };
        assert_eq!(reason(&contradicting), Reason::Conflict);
    }

    #[test]
    fn her_own_choice_beats_geography_and_a_paused_chapter_takes_nobody() {
        let mut paused = territory(2, "sf", &["prefix:US:941"]);
        paused.paused = true;
        let atlas = atlas(vec![territory(1, "la", &["prefix:US:900"]), paused]);
        assert_eq!(atlas.place(&at("94110"), Some("la")).reason, Reason::OwnChoice);
        assert_eq!(atlas.place(&at("94110"), None).reason, Reason::ChapterPaused);
        assert_eq!(atlas.place(&at("90012"), Some("sf")).chapter.as_deref(), Some("la"));
    }

    #[test]
    fn who_was_a_chapters_that_left_is_the_regions_own_or_waits_whatever_she_chooses() {
        let mut left = territory(1, "la", &["prefix:US:900"]);
        left.left = true;
        let alone = atlas(vec![left.clone()]);
        assert_eq!(alone.place(&at("90012"), Some("la")).reason, Reason::NoChapter);
        let state = territory(2, "state", &["region:US-CA"]);
        assert_eq!(atlas(vec![left, state]).place(&at("90012"), Some("la")).chapter.as_deref(), Some("state"));
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let atlas = atlas(vec![territory(1, "la", &["prefix:US:900", "county:06037"])]);
        let once = serde_json::to_string(&atlas.place(&at("90012"), None)).unwrap();
        assert_eq!(once, serde_json::to_string(&atlas.place(&at(" 90012-0001 "), None)).unwrap());
    }
}
