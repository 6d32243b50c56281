//! Secrets of the configuration: from the environment, from a file of their own, or (with a warning if others can read
//! the file) from the configuration itself.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use postrider_protocol::secret::Secret;

use super::source::{Found, Source, Table};

/// Longest secret, in octets.
const SECRET_LIMIT: u64 = 64 * 1024;

/// Reads the secret `key`, or the file that `key_file` names.
pub(super) fn secret(table: &Table<'_>, key: &str) -> Option<Secret<String>> {
    let inline = table.value(key);
    let file_key = format!("{key}_file");
    let file = table.get::<PathBuf>(&file_key);
    let source = table.source;
    if let (Some(inline), Some(file)) = (&inline, &file) {
        let (inline_path, file_path) = (&inline.path, table.path(&file_key));
        let message = format!("{inline_path} and {file_path} are both given; keep one");
        source.error(Some(file.at), message);
        return None;
    }
    if let Some(Found { value: path, at }) = file {
        return from_file(source, &table.path(&file_key), &path, at);
    }
    let inline = inline?;
    if !inline.is_substituted() {
        warn_if_others_read_the_configuration(source, inline.at, &inline.path);
    }
    let found = table.get::<String>(key)?;
    Some(Secret::new(found.value))
}

fn from_file(source: &Source<'_>, key: &str, path: &Path, at: usize) -> Option<Secret<String>> {
    match read_secret(path) {
        Ok(text) if text.expose().is_empty() => {
            let path = path.display();
            source.error(Some(at), format!("{key}: {path} is empty"));
            None
        }
        Ok(text) => {
            check_mode(source, key, path, at);
            Some(text)
        }
        Err(error) => {
            source.error(Some(at), unreadable(key, path, &error));
            None
        }
    }
}

fn read_secret(path: &Path) -> io::Result<Secret<String>> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(SECRET_LIMIT + 1)
        .read_to_string(&mut text);
    let text = Secret::new(text);
    if read? as u64 > SECRET_LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "longer than 64KiB",
        ));
    }
    // The line end that editors and `echo` leave is no part of it.
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Ok(Secret::new(line.to_owned()))
}

/// "key: cannot read PATH: why".
pub(super) fn unreadable(key: &str, path: &Path, error: &io::Error) -> String {
    format!("{key}: cannot read {}: {error}", path.display())
}

/// Looks at the mode of a file that holds a secret: others writing it is an error, others reading it a warning
/// (container platforms mount secrets that way).
pub(super) fn check_mode(source: &Source<'_>, key: &str, path: &Path, at: usize) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode();
    let shown = path.display();
    if mode & 0o002 != 0 {
        let message = format!(
            "{key}: {shown} can be written by everyone (mode {:04o}); run: chmod o-rwx {shown}",
            mode & 0o7777
        );
        source.error(Some(at), message);
    } else if mode & 0o004 != 0 {
        let message = format!(
            "{key}: {shown} can be read by everyone (mode {:04o}); run: chmod o-rwx {shown}",
            mode & 0o7777
        );
        source.warning(Some(at), message);
    }
}

fn warn_if_others_read_the_configuration(source: &Source<'_>, at: usize, key: &str) {
    let Ok(metadata) = fs::metadata(source.file()) else {
        return;
    };
    if metadata.permissions().mode() & 0o004 != 0 {
        let message = format!(
            "{key}: everyone can read this file; use {key}_file or \"${{ENV_NAME}}\", or run: chmod o-rwx {}",
            source.file().display()
        );
        source.warning(Some(at), message);
    }
}
