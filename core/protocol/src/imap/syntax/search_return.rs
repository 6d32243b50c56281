//! What a SEARCH wants to hear (RFC 9051 section 6.4.4; RFC 4731; RFC 5182).

use super::args::{Args, Parsed, expected};

/// `search-return-opts`; `RETURN ()` is `ALL`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Returns {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE`
    pub save: bool,
}

impl Returns {
    /// Whether anything but SAVE is asked for; else there is no ESEARCH response (RFC 5182 section 2.1).
    pub fn wants_response(self) -> bool {
        self.min || self.max || self.all || self.count
    }

    /// `"(" [search-return-opt *(SP search-return-opt)] ")"`
    ///
    /// # Errors
    /// `Syntax`.
    pub fn parse(args: &mut Args<'_>) -> Parsed<Self> {
        let mut returns = Self::default();
        args.parenthesised_or_empty(|args| {
            let option = match args.atom()?.to_ascii_uppercase().as_str() {
                "MIN" => &mut returns.min,
                "MAX" => &mut returns.max,
                "ALL" => &mut returns.all,
                "COUNT" => &mut returns.count,
                "SAVE" => &mut returns.save,
                _ => return expected("MIN, MAX, ALL, COUNT or SAVE"),
            };
            *option = true;
            Ok(())
        })?;
        if returns == Self::default() {
            returns.all = true;
        }
        Ok(returns)
    }
}
