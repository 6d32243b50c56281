//! The formal syntax of what a client sends, production by production: forms that are taken, and forms that are `BAD`.
//!
//! Productions are named as in RFC 9051 section 9, and RFC 3501 section 9 where they are only there. A form that is taken may still be
//! refused with `NO`: there is no such mailbox, or it is not known yet.

mod append;
mod fetch;
mod frame;
mod lists;
mod login;
mod mailbox;
mod search;
mod selected;
mod sets;
mod store;
mod strings;

use super::client::{State, say};

/// Checks forms of a production; each stands behind the tag.
fn holds(state: State, production: &str, taken: &[&str], refused: &[&str]) {
    holds_in(state, production, "@", taken, refused);
}

/// The same in a frame: `@` stands for the form.
fn holds_in(state: State, production: &str, frame: &str, taken: &[&str], refused: &[&str]) {
    let mut wrong = Vec::new();
    for (wanted, forms) in [(true, taken), (false, refused)] {
        for form in forms {
            let line = format!("t {}\r\n", frame.replacen('@', form, 1));
            let heard = say(state, line.as_bytes());
            if heard.is_taken() != wanted || !heard.whole {
                let want = if wanted { "taken" } else { "refused" };
                wrong.push(format!(
                    "{line:?} is to be {want}: {:?} {:?}",
                    heard.said, heard.ask
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{production}:\n{}", wrong.join("\n"));
}
