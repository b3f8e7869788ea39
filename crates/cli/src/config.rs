//! `config.toml` in the node's directory: what flags and environment leave open.

use std::path::{Path, PathBuf};

use node::SignUpLimits;
use serde::Deserialize;
use web::{Goals, ONE_TO_ONES_A_WEEK, Proxies, QUIET_AFTER_DAYS, Rules, SecondFactor};

use crate::Failure;

/// The file's name.
const CONFIG_FILE: &str = "config.toml";
/// The longest host name (RFC 1035, 2.3.4), in bytes.
const HOST_BYTES_MAX: usize = 253;

/// Settings of one node's program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where pages are served: `127.0.0.1:8080`.
    pub http: Option<String>,
    /// Where children are accepted, at a hub.
    pub grpc: Option<String>,
    /// Where others reach that, as invitations name it: `["hub.example.org:8443"]`.
    pub addresses: Option<Vec<String>>,
    /// The key file of a hub's authority, if it is not beside the database.
    pub ca_key_file: Option<PathBuf>,
    /// Host names under which a proxy with TLS serves the pages.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Reverse proxies before the pages, as networks: `["10.0.0.0/8"]`. Whom they forward for is believed from them only.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// `optional`: at a hub, administrators need no second factor.
    pub second_factor: Option<String>,
    /// At a chapter: how many one-to-ones an organiser aims at in a week.
    pub one_to_ones_a_week: Option<u32>,
    /// At a chapter: after how many days without a conversation somebody on the upper half of the ladder has gone quiet.
    pub quiet_after_days: Option<u32>,
    /// Beyond which sign-ups at a hub are held for review.
    #[serde(default)]
    pub sign_up_limits: SignUpLimits,
}

impl Config {
    /// Reads the file; an absent one says nothing.
    ///
    /// # Errors
    /// When it can't be read, or has a key that is not known.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(CONFIG_FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::failed(format!("could not read {}: {error}", path.display())))?;
        toml::from_str(&text)
            .map_err(|error| Failure::refused(format!("{} can't be read: {}", path.display(), error.message())))
    }

    /// What a chapter's organisers aim at.
    ///
    /// # Errors
    /// When a goal is none.
    pub fn goals(&self) -> Result<Goals, Failure> {
        let goal = |name: &str, set: Option<u32>, usual: u32| match set {
            Some(0) => Err(Failure::refused(format!("{name} in {CONFIG_FILE} can't be 0: leave it out for {usual}"))),
            set => Ok(set.unwrap_or(usual)),
        };
        Ok(Goals {
            one_to_ones_a_week: goal("one_to_ones_a_week", self.one_to_ones_a_week, ONE_TO_ONES_A_WEEK)?,
            quiet_after_days: goal("quiet_after_days", self.quiet_after_days, QUIET_AFTER_DAYS)?,
        })
    }

    /// What the pages are told: flags beat the file.
    ///
    /// # Errors
    /// When a host name or a network is none, or a word is not known.
    pub fn rules(
        &self,
        hosts: &[String],
        trusted_proxies: &[String],
        second_factor: Option<&str>,
    ) -> Result<Rules, Failure> {
        let hosts = if hosts.is_empty() { self.hosts.as_slice() } else { hosts };
        let hosts = hosts.iter().map(|host| host_name(host)).collect::<Result<Vec<_>, _>>()?;
        let proxies = if trusted_proxies.is_empty() { self.trusted_proxies.as_slice() } else { trusted_proxies };
        let proxies = Proxies::read(proxies).map_err(|text| {
            Failure::refused(format!("{text:?} is not a network of trusted proxies: write it as 10.0.0.0/8"))
        })?;
        let second = match second_factor.or(self.second_factor.as_deref()) {
            None | Some("required") => SecondFactor::OfAdministrators,
            Some("optional") => SecondFactor::Optional,
            Some(other) => {
                let words = format!("{other:?} is not known of the second factor: it is required or optional");
                return Err(Failure::refused(words));
            }
        };
        Ok(Rules { hosts, second, proxies, own_tls: false })
    }
}

/// A host name in small letters, without a port.
fn host_name(text: &str) -> Result<String, Failure> {
    let name = text.trim().to_ascii_lowercase();
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if name.len() <= HOST_BYTES_MAX && name.split('.').all(label) {
        Ok(name)
    } else {
        let hint = "write the name alone, as it stands in the address of the pages: people.example.org";
        Err(Failure::refused(format!("{text:?} is not a host name")).hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_nobody_set_is_the_usual_one_and_none_is_refused() {
        let config = Config { quiet_after_days: Some(30), ..Config::default() };
        assert_eq!(config.goals().unwrap(), Goals { quiet_after_days: 30, ..Goals::default() });
        assert!(Config { one_to_ones_a_week: Some(0), ..Config::default() }.goals().is_err());
    }

    #[test]
    fn flags_beat_the_file_and_what_is_no_host_name_is_refused() {
        let config = Config { hosts: vec!["Hub.example.org".to_owned()], ..Config::default() };
        let rules = config.rules(&[], &[], None).unwrap();
        assert_eq!((rules.hosts, rules.second), (vec!["hub.example.org".to_owned()], SecondFactor::OfAdministrators));
        let rules = config.rules(&["other.example.org".to_owned()], &[], Some("optional")).unwrap();
        assert_eq!((rules.hosts, rules.second), (vec!["other.example.org".to_owned()], SecondFactor::Optional));
        for wrong in ["", "https://hub.example.org", "hub.example.org:443", "hub..org", "*"] {
            assert!(config.rules(&[wrong.to_owned()], &[], None).is_err(), "{wrong:?}");
        }
        assert!(config.rules(&[], &["ten".to_owned()], None).is_err());
        assert!(config.rules(&[], &[], Some("never")).is_err());
    }
}
