//! Names of bodies: `<domain>/<user>/Maildir/[.Folder.Sub/]cur/<unique>`, safe on every file system and store.

/// Longest key, in octets (the limit of S3).
pub const KEY_LIMIT: usize = 1024;

/// The name of a body in the store.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlobKey(String);

impl BlobKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
