//! `login`, `authenticate`, `auth-type`, `base64`, `initial-resp`.

use super::super::client::{State, say};
use super::{holds, holds_in};

#[test]
fn login() {
    holds(
        State::Before,
        "login",
        &[
            "LOGIN ada secret",
            "login \"ada\" \"se cret\"",
            "LOGIN {3}\r\nada {6}\r\nsecret",
            "LOGIN {3+}\r\nada secret",
            "LOGIN NIL NIL",
            "LOGIN \"\" \"\"",
        ],
        &[
            "LOGIN",
            "LOGIN ",
            "LOGIN ada",
            "LOGIN ada ",
            "LOGIN ada  secret",
            "LOGIN  ada secret",
            "LOGIN ada secret ",
            "LOGIN ada secret x",
            "LOGIN (ada secret)",
            "LOGIN ada se\"cret",
            "LOGIN a%a secret",
            "LOGIN a*a secret",
            "LOGIN ada se\\cret",
            "LOGIN ada{1+}\r\nx y",
        ],
    );
    holds(
        State::LoggedIn,
        "login",
        &[],
        &["LOGIN ada secret", "AUTHENTICATE PLAIN"],
    );
    // Where anybody listens a password is refused unread.
    let heard = say(State::Clear, b"t LOGIN ada secret\r\n");
    assert!(
        heard.said.starts_with("t NO [PRIVACYREQUIRED]") && heard.ask.is_none(),
        "{heard:?}"
    );
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`, `initial-resp = base64 / "="` (RFC 4959)
#[test]
fn authenticate() {
    holds_in(
        State::Before,
        "authenticate",
        "AUTHENTICATE@",
        &[
            " PLAIN",
            " plain",
            " PLAIN AGFkYQBzZWNyZXQ=",
            " PLAIN =",
            " X-NONE",
            " LOGIN",
        ],
        &[
            "",
            " ",
            "  PLAIN",
            " PLAIN ",
            " PLAIN  AGFkYQBzZWNyZXQ=",
            " \"PLAIN\"",
            " {5+}\r\nPLAIN",
            " (PLAIN)",
            " PLAIN AGFkYQBzZWNyZXQ",
            " PLAIN AGFkYQBzZWNyZXQ= x",
            " PLAIN AGFk*QBzZWNyZXQ=",
            " PLAIN A",
            " PLAIN AAA=A",
            " PLAIN ====",
            " PLAIN \"\"",
            " PLAIN \u{e9}",
        ],
    );
}
