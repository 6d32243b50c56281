//! What the last `fsck` found, kept in a file of `data_dir` for the metrics of the servers beside it: `fsck` itself is gone when it is asked for.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use metrics::gauge;

use super::metrics::{FSCK_COMPLETE, FSCK_ENDED, FSCK_FINDINGS, FSCK_REPAIRED, FSCK_TOOK};

/// Its name.
const NAME: &str = "fsck.last";
/// Where this process looks for it.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// A check that came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Checked {
    /// When, in seconds since 1970.
    pub ended: i64,
    /// How long it took, in seconds.
    pub took: f64,
    /// Rows without a body.
    pub missing: u64,
    /// Bodies that are not what the index says.
    pub damaged: u64,
    /// Bodies without a row.
    pub left_over: u64,
    /// Accounts whose used quota is wrong.
    pub quota: u64,
    /// Findings that were put right.
    pub repaired: u64,
    /// Whether it saw both sides.
    pub complete: bool,
}

impl Checked {
    /// Keeps it for the servers on this `data_dir`, in place of what was kept before.
    ///
    /// # Errors
    /// Those of the file system; what was kept before stays.
    pub fn keep(&self, data_dir: &Path) -> std::io::Result<()> {
        let new = data_dir.join(format!("{NAME}.{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        // Whoever runs the check, a server of another user reads it.
        let options = options.write(true).create(true).truncate(true).mode(0o644);
        let text = self.text();
        let written = options
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&new, data_dir.join(NAME)));
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written
    }

    /// What was kept last.
    pub fn kept(data_dir: &Path) -> Option<Self> {
        let text = fs::read_to_string(data_dir.join(NAME)).ok()?;
        Self::parse(&text)
    }

    fn text(&self) -> String {
        let Self {
            ended,
            took,
            missing,
            damaged,
            left_over,
            quota,
            repaired,
            complete,
        } = self;
        format!("{ended} {took} {missing} {damaged} {left_over} {quota} {repaired} {complete}\n")
    }

    /// What [`Checked::text`] made this of; none if it did not make it.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut next = || words.next();
        let checked = Self {
            ended: next()?.parse().ok()?,
            took: next()?.parse().ok()?,
            missing: next()?.parse().ok()?,
            damaged: next()?.parse().ok()?,
            left_over: next()?.parse().ok()?,
            quota: next()?.parse().ok()?,
            repaired: next()?.parse().ok()?,
            complete: next()?.parse().ok()?,
        };
        next().is_none().then_some(checked)
    }
}

/// This process shows what is kept there; the first place counts.
pub(crate) fn watch(data_dir: &Path) {
    let _ = PLACE.set(data_dir.to_owned());
}

/// Brings the numbers as they are now; none before the first check.
pub(super) fn record() {
    let Some(checked) = PLACE.get().and_then(|it| Checked::kept(it)) else {
        return;
    };
    show(&checked);
}

fn show(checked: &Checked) {
    for (kind, count) in [
        ("missing", checked.missing),
        ("damaged", checked.damaged),
        ("left_over", checked.left_over),
        ("quota", checked.quota),
    ] {
        gauge!(FSCK_FINDINGS, "kind" => kind).set(count as f64);
    }
    gauge!(FSCK_REPAIRED).set(checked.repaired as f64);
    gauge!(FSCK_COMPLETE).set(f64::from(u8::from(checked.complete)));
    gauge!(FSCK_ENDED).set(checked.ended as f64);
    gauge!(FSCK_TOOK).set(checked.took);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_kept_is_there_and_the_last_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Checked::kept(dir.path()), None);
        let mut checked = Checked {
            ended: 1_700_000_000,
            took: 1.5,
            missing: 2,
            complete: true,
            ..Checked::default()
        };
        checked.keep(dir.path()).unwrap();
        checked.missing = 0;
        checked.keep(dir.path()).unwrap();
        assert_eq!(Checked::kept(dir.path()), Some(checked));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(dir.path().join(NAME), "1700000000 1.5 2").unwrap();
        assert_eq!(Checked::kept(dir.path()), None);
        assert!(checked.keep(&dir.path().join("nowhere")).is_err());
    }
}
