//! `config.toml` in the node's directory: what flags and environment leave open.

use std::path::Path;

use node::SignUpLimits;
use serde::Deserialize;

use crate::Failure;

/// The file's name.
const CONFIG_FILE: &str = "config.toml";

/// Settings of one node's program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where pages are served: `127.0.0.1:8080`.
    pub http: Option<String>,
    /// Where children are accepted, at a hub.
    pub grpc: Option<String>,
    /// Reverse proxies in front of a hub, as networks: `["10.0.0.0/8"]`. Whom they forward for is believed from them only.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
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
}
