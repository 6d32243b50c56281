//! `copy`, `move`, `uid-expunge` and what a mailbox that was EXAMINEd refuses.

use super::super::client::{State, say};
use super::holds;

#[test]
fn copy_and_move() {
    for verb in ["COPY", "MOVE", "UID COPY", "UID MOVE"] {
        let forms = |forms: &[&str]| -> Vec<String> {
            forms.iter().map(|form| format!("{verb}{form}")).collect()
        };
        let taken = forms(&[" 1 a", " 1:* INBOX", " 1,3 \"a b\"", " $ a", " * {1+}\r\na"]);
        let refused = forms(&[
            "", " ", " 1", " 1 ", " a 1", " 1  a", "  1 a", " 1 a ", " 1 a b", " 1 (a)", " (1) a",
            " 0 a", " 1 2 a", "1 a",
        ]);
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        holds(State::Selected, verb, &taken, &refused);
        let mut all = taken;
        all.extend(refused);
        for state in [State::Before, State::LoggedIn] {
            holds(state, verb, &[], &all);
        }
    }
}

#[test]
fn what_changes_is_refused_after_examine() {
    for command in [
        "STORE 1 FLAGS ()",
        "UID STORE 12 +FLAGS (x)",
        "EXPUNGE",
        "UID EXPUNGE 12",
        "MOVE 1 a",
        "UID MOVE 12 a",
    ] {
        let heard = say(State::Examined, format!("t {command}\r\n").as_bytes());
        assert!(
            heard.said.starts_with("t NO ") && heard.ask.is_none(),
            "{command}: {heard:?}"
        );
    }
    holds(
        State::Examined,
        "command-select",
        &["COPY 1 a", "FETCH 1 FLAGS", "SEARCH ALL", "CLOSE"],
        &["STORE 1", "MOVE 1"],
    );
}
