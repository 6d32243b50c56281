//! Which server is meant: a configuration file, a data directory, or what is found.

use std::path::{Path, PathBuf};

use postrider::config::{Config, DEFAULT_FILE, EMBEDDED_DATA_DIR};

use crate::{Failure, cli::PlaceArgs};

/// Which server is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// The one that this file configures.
    File(PathBuf),
    /// The embedded default with its data here.
    Embedded(PathBuf),
}

impl Place {
    /// What the arguments say; without any, the configuration of this system if it has one, or the embedded default.
    pub fn of(arguments: &PlaceArgs) -> Self {
        match (&arguments.config, &arguments.data) {
            (Some(file), _) => Self::File(file.clone()),
            (None, Some(folder)) => Self::Embedded(folder.clone()),
            (None, None) if Path::new(DEFAULT_FILE).exists() => Self::File(DEFAULT_FILE.into()),
            (None, None) => Self::Embedded(EMBEDDED_DATA_DIR.into()),
        }
    }

    /// The checked configuration.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn config(&self) -> Result<Config, Failure> {
        match self {
            Self::File(file) => {
                Config::load(file).map_err(|problems| Failure::configuration(&problems))
            }
            Self::Embedded(folder) => Ok(Config::embedded(folder)),
        }
    }
}
