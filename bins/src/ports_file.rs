//! The file that says which ports were taken, as JSON by service: for programs that start a server on free ports.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::Failure;

/// Where the ports are written to.
#[derive(Debug)]
pub struct PortsFile(PathBuf);

impl PortsFile {
    /// Takes the place: a file of an earlier start goes, so that nobody reads it for this one's.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn claim(path: &Path) -> Result<Self, Failure> {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("cannot replace {}: {error}", path.display());
                return Err(Failure::new(message));
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// Writes the ports; the file appears at once and whole.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn write(&self, ports: &BTreeMap<String, u16>) -> Result<(), Failure> {
        let cannot =
            |error: io::Error| Failure::new(format!("cannot write {}: {error}", self.0.display()));
        let text = serde_json::to_string(ports).map_err(|error| cannot(error.into()))?;
        let mut temporary = self.0.clone().into_os_string();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        fs::write(&temporary, text + "\n").map_err(cannot)?;
        fs::rename(&temporary, &self.0).map_err(cannot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_and_of_this_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ports.json");
        fs::write(&path, "old").expect("written");
        let file = PortsFile::claim(&path).expect("claimed");
        assert!(!path.exists());
        let ports = BTreeMap::from([("imaps".to_owned(), 40123), ("smtp".to_owned(), 25)]);
        file.write(&ports).expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "{\"imaps\":40123,\"smtp\":25}\n"
        );
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let nowhere =
            PortsFile::claim(&folder.path().join("no/ports.json")).expect("nothing to remove");
        assert!(nowhere.write(&ports).is_err());
    }
}
