//! `list`, `lsub`, `list-select-opts`, `mbox-or-pat`, `list-return-opts` (RFC 5258, RFC 5819, RFC 6154).

use super::super::client::State;
use super::{holds, holds_in};

#[test]
fn list() {
    for verb in ["LIST", "LSUB"] {
        let forms = |forms: &[&str]| -> Vec<String> {
            forms.iter().map(|form| format!("{verb}{form}")).collect()
        };
        let taken = forms(&[
            " \"\" *",
            " \"\" \"\"",
            " a/ %",
            " \"a b\" \"*\"",
            " {0+}\r\n {1+}\r\n*",
            " INBOX %",
            " \"\" inbox",
        ]);
        let refused = forms(&[
            "",
            " ",
            " \"\"",
            " \"\" ",
            " \"\"*",
            " \"\"  *",
            "  \"\" *",
            " \"\" * ",
            " \"\" * x",
            " * \"\"",
            " % %",
            " \"\" (",
            " \"\" ()",
            " \"\" )",
            " \"\" a\\",
            " \"\" \"a",
            " (",
            " () ",
            " NIL",
        ]);
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
        holds(State::LoggedIn, verb, &taken, &refused);
    }
    holds(State::Before, "list", &[], &["LIST \"\" *", "LSUB \"\" *"]);
    // LSUB knows nothing of options.
    holds(
        State::LoggedIn,
        "lsub",
        &[],
        &[
            "LSUB (SUBSCRIBED) \"\" *",
            "LSUB \"\" (a b)",
            "LSUB \"\" * RETURN ()",
        ],
    );
}

/// `list-select-opts`: RECURSIVEMATCH widens another option, and is none alone.
#[test]
fn list_select_opts() {
    holds_in(
        State::LoggedIn,
        "list-select-opts",
        "LIST @ \"\" *",
        &[
            "()",
            "(SUBSCRIBED)",
            "(subscribed)",
            "(REMOTE)",
            "(SUBSCRIBED REMOTE)",
            "(RECURSIVEMATCH SUBSCRIBED)",
            "(SUBSCRIBED RECURSIVEMATCH)",
            "(SPECIAL-USE)",
            "(SUBSCRIBED SUBSCRIBED)",
            "(REMOTE SUBSCRIBED RECURSIVEMATCH SPECIAL-USE)",
        ],
        &[
            "(RECURSIVEMATCH)",
            "(REMOTE RECURSIVEMATCH)",
            "(FOO)",
            "( SUBSCRIBED)",
            "(SUBSCRIBED )",
            "(SUBSCRIBED  REMOTE)",
            "(SUBSCRIBED,REMOTE)",
            "(SUBSCRIBED",
            "SUBSCRIBED",
            "((SUBSCRIBED))",
            "(\"SUBSCRIBED\")",
            "(SUBSCRIBED) (REMOTE)",
            "(CHILDREN)",
        ],
    );
    holds(
        State::LoggedIn,
        "list-select-opts",
        &[],
        &[
            "LIST (SUBSCRIBED)\"\" *",
            "LIST (SUBSCRIBED)  \"\" *",
            "LIST(SUBSCRIBED) \"\" *",
            "LIST (SUBSCRIBED)",
        ],
    );
}

/// `mbox-or-pat = list-mailbox / patterns`, `patterns = "(" list-mailbox *(SP list-mailbox) ")"`
#[test]
fn patterns() {
    holds_in(
        State::LoggedIn,
        "patterns",
        "LIST \"\" @",
        &["(a)", "(a %)", "(\"a b\" * {1+}\r\n%)", "(INBOX \"\")", "*"],
        &[
            "()", "( a)", "(a )", "(a  b)", "(a b", "a b", "((a))", "(a)(b)", "(a) (b)", "(a,b\\)",
        ],
    );
}

/// `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`
#[test]
fn list_return_opts() {
    holds_in(
        State::LoggedIn,
        "list-return-opts",
        "LIST \"\" *@",
        &[
            "",
            " RETURN ()",
            " return (children)",
            " RETURN (SUBSCRIBED CHILDREN)",
            " RETURN (SPECIAL-USE)",
            " RETURN (STATUS (MESSAGES UNSEEN))",
            " RETURN (CHILDREN STATUS (SIZE) SUBSCRIBED)",
        ],
        &[
            " ",
            " RETURN",
            " RETURN ",
            " RETURN(CHILDREN)",
            " RETURN  (CHILDREN)",
            " RETURN CHILDREN",
            " RETURN (FOO)",
            " RETURN (CHILDREN",
            " RETURN (CHILDREN )",
            " RETURN ( CHILDREN)",
            " RETURN (CHILDREN  SUBSCRIBED)",
            " RETURN (CHILDREN) ",
            " RETURN (CHILDREN) RETURN ()",
            " RETURN (STATUS)",
            " RETURN (STATUS ())",
            " RETURN (STATUS MESSAGES)",
            " RETURN (STATUS (FOO))",
            " RETURN (STATUS (MESSAGES)",
            " RETURN (STATUS(MESSAGES))",
            " RETURN (REMOTE)",
            " RETURN (RECURSIVEMATCH)",
            " (CHILDREN)",
            "RETURN (CHILDREN)",
        ],
    );
}
