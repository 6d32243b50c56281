//! LANG: our texts are English (RFC 6856 section 3).

use super::{ANY, Access, Args, LINE, Spec, Step};
use crate::pop3::response::Response;
use crate::pop3::session::Pop3Session;

pub(super) const SPEC: Spec = Spec {
    name: "LANG",
    states: ANY,
    access: Access::Anybody,
    limit: LINE,
    run,
};

fn run(_: &mut Pop3Session, args: Args<'_>) -> Result<Step, Response> {
    match args.at_most_one()? {
        None => Ok(Step::Lines(vec!["en English".to_owned()])),
        Some(tag)
            if [&b"en"[..], b"*", b"i-default"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(tag)) =>
        {
            Ok(Step::Data("en English it is".to_owned()))
        }
        Some(_) => Err(Response::UnknownLanguage),
    }
}
