//! yescrypt (`$y$`), what crypt(3) of Debian and Fedora makes: `$y$j9T$salt$digest`.
//!
//! **Bounds.** One hash asks for at most [`MEMORY_LIMIT`], and shares with Argon2 what all may take together. Of its settings those are
//! taken that crypt(3) can be told: block count and block size.

use yescrypt::password_hash::Error;
use yescrypt::{Mode, Params, PasswordVerifier, Yescrypt};

use super::VerifyError;
use super::argon2::Share;

/// Most memory of one hash, in KiB: 16 times the usual.
pub const MEMORY_LIMIT: u64 = 256 * 1024;
/// Characters of a digest.
const DIGEST: usize = 43;
/// Most characters of a salt: 64 octets.
const SALT_LIMIT: usize = 86;
/// Blocks of 128 octets that are computed in a unit of work.
const BLOCKS_A_UNIT: u64 = 256;

const MALFORMED: VerifyError = VerifyError::Malformed("not the form of yescrypt");

/// A hash of yescrypt.
pub(super) struct YescryptHash {
    text: String,
    /// Of 128 octets.
    blocks: u64,
}

impl YescryptHash {
    /// `params "$" 1*86salt "$" 43digest`, behind `$y$`
    pub(super) fn parse(rest: &str) -> Result<Self, VerifyError> {
        let mut fields = rest.split('$');
        let (Some(costs), Some(salt), Some(digest), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(MALFORMED);
        };
        let good = |text: &str| text.bytes().all(super::crypt::is_crypt);
        let lengths = (1..=SALT_LIMIT).contains(&salt.len()) && digest.len() == DIGEST;
        if !lengths || ![costs, salt, digest].into_iter().all(good) {
            return Err(MALFORMED);
        }
        Ok(Self {
            text: format!("$y${rest}"),
            blocks: blocks(costs)?,
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, VerifyError> {
        let kib = u32::try_from(kib(self.blocks)).map_err(|_| MALFORMED)?;
        let _share = Share::take(kib);
        match Yescrypt::default().verify_password(password, self.text.as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(MALFORMED),
        }
    }

    pub(super) fn work(&self) -> u64 {
        self.blocks / BLOCKS_A_UNIT
    }
}

fn kib(blocks: u64) -> u64 {
    blocks.saturating_mul(128).div_ceil(1024)
}

/// What the settings ask for.
fn blocks(costs: &str) -> Result<u64, VerifyError> {
    let params: Params = costs.parse().map_err(|_| MALFORMED)?;
    let blocks = params.n().saturating_mul(params.r().into());
    if kib(blocks) > MEMORY_LIMIT {
        return Err(VerifyError::TooCostly {
            what: "KiB of yescrypt:",
            asked: kib(blocks),
            limit: MEMORY_LIMIT,
        });
    }
    // Rounds and threads that could be added would not show in the memory.
    let plain = Params::new(Mode::default(), params.n(), params.r(), 1).map_err(|_| MALFORMED)?;
    match plain == params {
        true => Ok(blocks),
        false => Err(VerifyError::Malformed(
            "settings of yescrypt that crypt(3) does not make",
        )),
    }
}
