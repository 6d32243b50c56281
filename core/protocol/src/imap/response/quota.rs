//! QUOTA and QUOTAROOT (RFC 9208 section 4.2). There is one quota root, the account, whose name is empty.

use bytes::{BufMut, BytesMut};

use super::string::number;
use crate::imap::ask::Quota;
use crate::imap::syntax::{MailboxName, Utf8};

/// Writes `* QUOTAROOT name ""`.
pub fn quota_root(name: &MailboxName, utf8: Utf8, out: &mut BytesMut) {
    out.put_slice(b"* QUOTAROOT ");
    name.write(utf8, out);
    out.put_slice(b" \"\"\r\n");
}

/// Writes `* QUOTA "" (STORAGE 10 512)`, in KiB: use is rounded up, the limit down. Without a limit the list is empty.
pub fn quota(quota: Quota, out: &mut BytesMut) {
    out.put_slice(b"* QUOTA \"\" (");
    if let Some(limit) = quota.limit {
        out.put_slice(b"STORAGE ");
        number(quota.used.div_ceil(1024), out);
        out.put_u8(b' ');
        number(limit / 1024, out);
    }
    out.put_slice(b")\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let mut out = BytesMut::new();
        quota_root(&MailboxName::inbox(), Utf8::Off, &mut out);
        quota(
            Quota {
                used: 10_241,
                limit: Some(524_288),
            },
            &mut out,
        );
        quota(
            Quota {
                used: 7,
                limit: None,
            },
            &mut out,
        );
        assert_eq!(
            &out[..],
            b"* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 11 512)\r\n* QUOTA \"\" ()\r\n"
        );
    }
}
