//! Dates of messages (RFC 9051 section 9, `date-time`).

use bytes::{BufMut, BytesMut};

use crate::message::date::DateTime;

/// Writes `"17-Jul-1996 09:44:25 +0000"`, from seconds since 1970. Times before year 1 and after 9999 are brought inside.
pub fn date_time(epoch: i64, out: &mut BytesMut) {
    out.put_u8(b'"');
    out.put_slice(DateTime::utc(epoch).imap().as_bytes());
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::{Args, Utf8, date};
    use proptest::prelude::*;

    fn written(epoch: i64) -> Vec<u8> {
        let mut out = BytesMut::new();
        date_time(epoch, &mut out);
        out.to_vec()
    }

    #[test]
    fn forms() {
        assert_eq!(written(837_596_665), b"\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(written(0), b"\" 1-Jan-1970 00:00:00 +0000\"");
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(epoch in -62_135_596_800i64..253_402_300_800) {
            prop_assert_eq!(date::date_time(&mut Args::new(&written(epoch), Utf8::Off)), Ok(epoch));
        }

        #[test]
        fn any_time_is_a_date(epoch in any::<i64>()) {
            prop_assert!(date::date_time(&mut Args::new(&written(epoch), Utf8::Off)).is_ok());
        }
    }
}
