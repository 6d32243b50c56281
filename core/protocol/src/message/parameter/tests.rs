//! Tests of parameters: examples of RFC 2231, ambiguities, and floods.

use super::*;
use proptest::prelude::*;

fn parsed(value: &str) -> (String, Vec<(String, String)>) {
    let string = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let parsed = parse(value.as_bytes());
    let pair = |parameter: &Parameter| (string(&parameter.name), string(&parameter.value));
    (
        string(&parsed.head),
        parsed.parameters.iter().map(pair).collect(),
    )
}

fn name_of(value: &str) -> Option<String> {
    text(&parse(value.as_bytes()).parameters, "filename")
}

#[test]
fn takes_values_apart() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: [(&str, &str, Pairs); 8] = [
        (
            "text/plain; charset=us-ascii (Plain text)",
            "text/plain",
            &[("charset", "us-ascii")],
        ),
        (
            "text / (c(c)) plain ;Charset=\"a\\\"b\"",
            "text/plain",
            &[("Charset", "a\"b")],
        ),
        (
            "multipart/mixed;\r\n boundary=\"foo\r\n bar\"",
            "multipart/mixed",
            &[("boundary", "foo bar")],
        ),
        ("a; b = c ; d", "a", &[("b", "c")]),
        ("a;; =x; b=\"c;d\" e; f=", "a", &[("b", "c;d"), ("f", "")]),
        (
            "attachment; filename=my file.txt; size=1",
            "attachment",
            &[("filename", "my file.txt"), ("size", "1")],
        ),
        ("a; b=\"c", "a", &[("b", "c")]),
        ("", "", &[]),
    ];
    for (value, head, parameters) in cases {
        let (found, pairs) = parsed(value);
        assert_eq!(found, head, "{value}");
        let expected: Vec<_> = parameters
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect();
        assert_eq!(pairs, expected, "{value}");
    }
}

#[test]
fn examples_of_rfc_2231() {
    let url = "message/external-body; filename*0=\"ftp://\"; filename*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"";
    assert_eq!(
        name_of(url).as_deref(),
        Some("ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")
    );
    let fun = "a; filename*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A";
    assert_eq!(name_of(fun).as_deref(), Some("This is ***fun***"));
    let both = "a; filename*0*=us-ascii'en'This%20is%20even%20more%20; filename*1*=%2A%2A%2Afun%2A%2A%2A%20; filename*2=\"isn't it!\"";
    assert_eq!(
        name_of(both).as_deref(),
        Some("This is even more ***fun*** isn't it!")
    );
    assert_eq!(
        name_of("a; filename*=euc-kr''%C7%D1%B1%DB.txt").as_deref(),
        Some("한글.txt")
    );
    assert_eq!(
        name_of("a; filename*0*=utf-8''%ED%95; filename*1*=%9C").as_deref(),
        Some("한")
    );
    assert_eq!(
        name_of("a; filename=\"=?utf-8?B?7ZWc?=.txt\"").as_deref(),
        Some("한.txt")
    );
    assert_eq!(name_of("a; filename*1=b"), None);
    assert_eq!(name_of("a; filename*=%zz%4").as_deref(), Some("%zz%4"));
}

/// Attack 20: parameters without end.
#[test]
fn attack_20_parameter_flood() {
    let pieces: String = (0..100_000)
        .map(|number| format!("; filename*{number}*=%41"))
        .collect();
    let parsed = parse(format!("attachment{pieces}").as_bytes());
    assert_eq!(parsed.parameters.len(), PARAMETERS);
    assert!(parsed.flaws.contains(Flaws::PARAMETERS_CUT));
    assert_eq!(
        text(&parsed.parameters, "filename").map(|name| name.len()),
        Some(PARAMETERS)
    );
    let same = parse(format!("a{}", "; b=c".repeat(100_000)).as_bytes());
    assert_eq!(same.parameters.len(), PARAMETERS);
    assert!(
        same.flaws
            .contains(Flaws::DUPLICATE_PARAMETER | Flaws::PARAMETERS_CUT)
    );
    let comments = parse(format!("a;{}", "(".repeat(1_000_000)).as_bytes());
    assert!(comments.parameters.is_empty());
}

/// Attack 23: every name that some program would show is known to the filter.
#[test]
fn attack_23_names_that_differ() {
    let value = b"attachment; filename=\"a.txt\"; filename*=utf-8''a.exe; filename*0=a.; filename*1=js; FileName=a.bat";
    let parsed = parse(value);
    assert!(parsed.flaws.contains(Flaws::DUPLICATE_PARAMETER));
    assert_eq!(
        readings(&parsed.parameters, "filename"),
        ["a.exe", "a.js", "a.txt", "a.bat"]
    );
}

proptest! {
    #[test]
    fn any_octets_never_panic(octets in "[a-c;=*0-2\"\\\\()'% \r\n]{0,80}") {
        let parsed = parse(octets.as_bytes());
        prop_assert!(parsed.parameters.len() <= PARAMETERS);
        let _ = readings(&parsed.parameters, "a");
    }
}
