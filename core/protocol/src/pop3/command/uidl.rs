//! UIDL: names of messages that last (RFC 1939 section 7).

use super::{Access, Args, LINE, Spec, Step, TRANSACTION, number};
use crate::pop3::maildrop::Listing;
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "UIDL",
    states: TRANSACTION,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(session: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    match args.at_most_one()? {
        None => Ok(Step::Listing(Listing::UniqueIds)),
        Some(digits) => {
            let line = session
                .maildrop()?
                .describe(number(digits)?, Listing::UniqueIds)?;
            Ok(Step::Data(line))
        }
    }
}
