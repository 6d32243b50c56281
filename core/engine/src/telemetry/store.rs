//! What stores count about themselves, brought to the metrics when these are asked for.

use metrics::{counter, gauge};
use postrider_storage::blob::{Repeat, tally};

use super::metrics::{CACHE_BYTES, CACHE_HELD, CACHE_READS, STORE_REPEATS};

/// Brings the numbers as they are now.
pub(super) fn record() {
    let tally = tally();
    for why in Repeat::ALL {
        counter!(STORE_REPEATS, "reason" => why.word()).absolute(tally.repeats(why));
    }
    counter!(CACHE_READS, "result" => "hit").absolute(tally.hits());
    counter!(CACHE_READS, "result" => "miss").absolute(tally.misses());
    counter!(CACHE_BYTES).absolute(tally.hit_octets());
    gauge!(CACHE_HELD).set(tally.held() as f64);
}
