//! Argon2 in its text form (RFC 9106 section 3): `$argon2id$v=19$m=65536,t=3,p=1$salt$digest`.
//!
//! **Bounds.** One hash asks for at most [`MEMORY_LIMIT`], for [`WORK_LIMIT`] and for [`LANES_LIMIT`] lanes. All that are computed at the
//! same time have [`MEMORY_TOGETHER`]; who finds none left waits for it.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;

use super::VerifyError;

/// Most memory of one hash, in KiB: what `doveadm pw -s ARGON2ID -r 3` asks for.
pub const MEMORY_LIMIT: u32 = 256 * 1024;
/// Most memory of all that are computed at the same time, those of yescrypt included, in KiB.
pub const MEMORY_TOGETHER: u32 = 2 * MEMORY_LIMIT;
/// Most memory times passes, in KiB.
pub const WORK_LIMIT: u64 = 8 * MEMORY_LIMIT as u64;
/// Most lanes.
const LANES_LIMIT: u32 = 16;
/// KiB that one pass goes through in a unit of work.
const KIB_A_UNIT: u64 = 64;

const MALFORMED: VerifyError = VerifyError::Malformed("not the form of Argon2");

/// A hash of Argon2.
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    digest: Vec<u8>,
}

impl Argon2Hash {
    pub(super) fn parse(text: &str) -> Result<Self, VerifyError> {
        let mut fields = text.split('$').peekable();
        let algorithm = match (fields.next(), fields.next()) {
            (Some(""), Some("argon2id")) => Algorithm::Argon2id,
            (Some(""), Some("argon2i")) => Algorithm::Argon2i,
            (Some(""), Some(name @ "argon2d")) => {
                return Err(VerifyError::UnknownScheme(format!("${name}$")));
            }
            _ => return Err(MALFORMED),
        };
        let version = match fields.next_if(|it| it.starts_with("v=")) {
            Some("v=19") => Version::V0x13,
            Some("v=16") | None => Version::V0x10,
            Some(_) => return Err(MALFORMED),
        };
        let (Some(costs), Some(salt), Some(digest), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(MALFORMED);
        };
        let decode = |text| STANDARD_NO_PAD.decode(text).map_err(|_| MALFORMED);
        let (salt, digest) = (decode(salt)?, decode(digest)?);
        let params = params(costs, digest.len())?;
        if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&digest.len()) {
            return Err(MALFORMED);
        }
        Ok(Self {
            algorithm,
            version,
            params,
            salt,
            digest,
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, VerifyError> {
        let _share = Share::take(self.params.m_cost());
        let mut memory = vec![Block::default(); self.params.block_count()];
        let mut digest = vec![0; self.digest.len()];
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let done = argon2.hash_password_into_with_memory(
            password,
            &self.salt,
            &mut digest,
            memory.as_mut_slice(),
        );
        done.map_err(|_| MALFORMED)?;
        Ok(digest.ct_eq(&self.digest).into())
    }

    pub(super) fn work(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost()) / KIB_A_UNIT
    }
}

/// `"m=" number ",t=" number ",p=" number`
fn params(costs: &str, digest: usize) -> Result<Params, VerifyError> {
    let mut costs = costs.split(',');
    let mut cost = |name: &str| {
        let text = costs.next().and_then(|it| it.strip_prefix(name));
        text.and_then(|it| it.parse::<u64>().ok()).ok_or(MALFORMED)
    };
    let (memory, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
    if costs.next().is_some() {
        return Err(MALFORMED);
    }
    for (what, asked, limit) in [
        ("KiB of Argon2:", memory, MEMORY_LIMIT.into()),
        (
            "KiB times passes of Argon2:",
            memory.saturating_mul(passes),
            WORK_LIMIT,
        ),
        ("lanes of Argon2:", lanes, LANES_LIMIT.into()),
    ] {
        if asked > limit {
            return Err(VerifyError::TooCostly { what, asked, limit });
        }
    }
    let number = |it: u64| u32::try_from(it).map_err(|_| MALFORMED);
    Params::new(
        number(memory)?,
        number(passes)?,
        number(lanes)?,
        Some(digest),
    )
    .map_err(|_| MALFORMED)
}

static TAKEN: Mutex<u32> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// Whether so much more may be taken. One hash alone always may.
fn fits(taken: u32, kib: u32) -> bool {
    taken == 0 || taken + kib <= MEMORY_TOGETHER
}

/// A share of the memory, given back when dropped.
pub(super) struct Share(u32);

impl Share {
    pub(super) fn take(kib: u32) -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = GIVEN_BACK.wait_while(taken, |taken| !fits(*taken, kib));
        *taken.unwrap_or_else(PoisonError::into_inner) += kib;
        Self(kib)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *taken -= self.0;
        drop(taken);
        GIVEN_BACK.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn all_together_stay_within_their_memory() {
        static HELD: AtomicU32 = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let share = Share::take(MEMORY_LIMIT);
                        let held = HELD.fetch_add(MEMORY_LIMIT, Ordering::SeqCst) + MEMORY_LIMIT;
                        assert!(held <= MEMORY_TOGETHER, "{held}");
                        std::thread::yield_now();
                        HELD.fetch_sub(MEMORY_LIMIT, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
    }
}
