//! EXAMINE: SELECT without changing anything (RFC 9051 section 6.3.3).

use super::*;
use crate::imap::ask::Access;

pub(super) const SPEC: Spec = Spec {
    name: "EXAMINE",
    states: LOGGED_IN,
    run: |session, args| select::open(session, args, Access::ReadOnly),
    ..PLAIN
};
