//! MD5-crypt (`$1$`), the hash of FreeBSD and old Linux: a thousand rounds of MD5.
//!
//! The crates that have it stand still on a digest of their own generation; the construction over the MD5 of RustCrypto is what is here.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::VerifyError;

const ROUNDS: u32 = 1000;
/// Longest salt.
const SALT_LIMIT: usize = 8;
/// Characters of a digest.
const LENGTH: usize = 22;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The octets of the digest that stand together in four characters.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// A hash of MD5-crypt.
pub(super) struct Md5Crypt {
    salt: String,
    digest: String,
}

impl Md5Crypt {
    /// `*8salt "$" 22digest`
    pub(super) fn parse(text: &str) -> Result<Self, VerifyError> {
        let malformed = VerifyError::Malformed("not the form of MD5-crypt");
        let Some((salt, digest)) = text.split_once('$') else {
            return Err(malformed);
        };
        let good = |octet: u8| ALPHABET.contains(&octet);
        let salt_is_good = salt.len() <= SALT_LIMIT && salt.bytes().all(|it| it.is_ascii_graphic());
        if digest.len() != LENGTH || !digest.bytes().all(good) || !salt_is_good {
            return Err(malformed);
        }
        Ok(Self {
            salt: salt.to_owned(),
            digest: digest.to_owned(),
        })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let digest = compute(password, self.salt.as_bytes());
        encode(&digest).ct_eq(self.digest.as_bytes()).into()
    }
}

fn compute(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let mut inner = Md5::new();
    for part in [password, salt, password] {
        inner.update(part);
    }
    let inner = inner.finalize();
    let mut first = Md5::new();
    for part in [password, b"$1$", salt] {
        first.update(part);
    }
    for left in (0..password.len()).step_by(16) {
        first.update(&inner[..(password.len() - left).min(16)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(match bits & 1 {
            1 => &[0],
            _ => &password[..1],
        });
        bits >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..ROUNDS {
        let odd = round & 1 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { &digest });
        if !round.is_multiple_of(3) {
            next.update(salt);
        }
        if !round.is_multiple_of(7) {
            next.update(password);
        }
        next.update(if odd { &digest[..] } else { password });
        digest = next.finalize();
    }
    digest.into()
}

fn encode(digest: &[u8; 16]) -> Vec<u8> {
    let mut text = Vec::with_capacity(LENGTH);
    let mut put = |value: u32, characters: u32| {
        let character = |n: u32| ALPHABET[(value >> (6 * n)) as usize & 63];
        text.extend((0..characters).map(character));
    };
    for [high, middle, low] in GROUPS {
        let [high, middle, low] = [digest[high], digest[middle], digest[low]].map(u32::from);
        put(high << 16 | middle << 8 | low, 4);
    }
    put(digest[11].into(), 2);
    text
}
