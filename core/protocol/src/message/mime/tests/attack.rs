//! Messages that are made to cost, or to mean two things.

use super::*;

/// Attack 23: what two programs may read in two ways is read in one, and flagged.
#[test]
fn attack_23_ambiguous_structure() {
    let flaws = |message: &str| {
        let root = scanned(message.as_bytes()).root;
        (outline(&root), root.all_flaws())
    };
    let (shape, found) = flaws(
        "Content-Type: text/plain\r\nContent-Type: application/x-msdownload; name=a.exe\r\n\r\nMZ",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("text/plain", Flaws::DUPLICATE_TYPE)
    );
    let (_, found) =
        flaws("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nTVo=");
    assert_eq!(found, Flaws::DUPLICATE_ENCODING);
    let (_, found) =
        flaws("Content-Disposition: inline\nContent-Disposition: attachment; filename=a.exe\n\n");
    assert_eq!(found, Flaws::DUPLICATE_DISPOSITION);
    let (shape, found) = flaws(
        "Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\n\nhidden\n--b--\n--a\n\nseen\n--a--\n",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("multipart/mixed[text/plain]", Flaws::DUPLICATE_PARAMETER)
    );
    for (head, flaw) in [
        ("multipart/mixed", Flaws::NO_BOUNDARY),
        ("multipart/mixed; boundary=\"\"", Flaws::NO_BOUNDARY),
        ("multipart/mixed; boundary=\"  \"", Flaws::NO_BOUNDARY),
        (
            "multipart/mixed; boundary=c",
            Flaws::NO_PARTS | Flaws::UNCLOSED,
        ),
        ("multipart", Flaws::BAD_TYPE),
        ("text/plain/html", Flaws::BAD_TYPE),
    ] {
        let (shape, found) = flaws(&format!("Content-Type: {head}\n\n--\n\n--b\n\nx\n--b--\n"));
        assert_eq!((shape.as_str(), found), ("text/plain", flaw), "{head}");
    }
    let (shape, found) =
        flaws("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\nx\n--ab--\n");
    assert_eq!(
        (shape.as_str(), found),
        ("multipart/mixed[text/plain]", Flaws::default())
    );
    let (shape, found) = flaws(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQo=\n",
    );
    assert_eq!(
        (shape.as_str(), found),
        ("application/octet-stream", Flaws::BAD_ENCODING)
    );
    for head in [
        "Content-Type : text/plain",
        "Content-Type: text/plain;\r x=y",
        "Content-ID: \0",
    ] {
        let (_, found) = flaws(&format!("{head}\r\n\r\nx"));
        assert_eq!(found, Flaws::ODD_FIELD, "{head:?}");
    }
    let (_, found) = flaws("Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a.exe\n");
    assert_eq!(found, Flaws::BAD_ENCODING);
}

/// Attack 19: parts without end, beside and inside each other.
#[test]
fn attack_19_siblings() {
    let limits = Limits::default();
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}--b--\nepilogue\n",
        "--b\n\nx\n".repeat(100_000)
    );
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), limits.parts + 1);
    let last = root.children().last().expect("parts");
    assert!(last.media.is("application", "octet-stream"));
    assert_eq!(last.flaws, Flaws::TOO_MANY);
    assert!(text(last.body, message.as_bytes()).starts_with("\nx\n--b\n"));
    assert!(text(last.body, message.as_bytes()).ends_with("--b\n\nx"));
}

#[test]
fn attack_19_nested_multiparts() {
    let limits = Limits::default();
    let level = |number: usize| {
        format!("Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n")
    };
    let message: String = (0..100_000).map(level).collect();
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), limits.depth + 1);
    assert!(root.all_flaws().contains(Flaws::TOO_DEEP));
    let ends: String = (0..100_000)
        .rev()
        .map(|number| format!("--b{number}--\n"))
        .collect();
    assert_linear(format!("{message}\n{ends}").as_bytes());
}

#[test]
fn attack_19_nested_messages() {
    let message = "Content-Type: message/rfc822\n\n".repeat(100_000);
    let root = assert_linear(message.as_bytes()).root;
    assert_eq!(root.walk().count(), Limits::default().depth + 1);
    let digests: String = (0..100_000)
        .map(|n| format!("Content-Type: multipart/digest; boundary=b{n}\n\n--b{n}\n\n"))
        .collect();
    assert_linear(digests.as_bytes());
}

#[test]
fn attack_19_siblings_at_every_depth() {
    let limits = Limits {
        parts: 100,
        ..Limits::default()
    };
    let opening: String = (0..40)
        .map(|n| {
            format!(
                "--b{n}\nContent-Type: multipart/mixed; boundary=b{}\n\n",
                n + 1
            )
        })
        .collect();
    let siblings: String = (0..=40)
        .rev()
        .map(|n| format!("--b{n}\n\nx\n").repeat(5000))
        .collect();
    let message = format!("Content-Type: multipart/mixed; boundary=b0\n\n{opening}{siblings}");
    let scanned = scan(message.as_bytes(), &limits);
    assert!(scanned.root.walk().count() <= limits.parts + limits.depth + 1);
    assert!(scanned.work <= 6 * message.len() as u64);
}

#[test]
fn attack_19_lines_that_look_like_boundaries() {
    for line in [
        "--\n",
        "--b\n",
        "--\n--b1--",
        "--c\n",
        "\n",
        "--b                              \n",
    ] {
        let message = format!(
            "Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\n{}",
            line.repeat(200_000)
        );
        assert_linear(message.as_bytes());
    }
    // One boundary for all levels.
    let same = "Content-Type: multipart/mixed; boundary=b\n\n--b\n".repeat(50_000)
        + &"--b--\n".repeat(50_000);
    assert_linear(same.as_bytes());
}

/// Attack 20: fields and addresses without end.
#[test]
fn attack_20_header_floods() {
    let limits = Limits::default();
    let many = format!("{}\nbody", "To: a@b\n".repeat(1_000_000));
    let scanned = assert_linear(many.as_bytes());
    assert!(scanned.root.flaws.contains(Flaws::HEADER_CUT));
    assert!(scanned.envelope.to.len() <= limits.fields);
    let long = format!("To: {}\n\nbody", "a@b,".repeat(1_000_000));
    let scanned = assert_linear(long.as_bytes());
    assert!(scanned.envelope.to.len() <= limits.addresses);
    assert!(
        scanned
            .root
            .flaws
            .contains(Flaws::VALUES_CUT | Flaws::HEADER_CUT)
    );
    for field in [
        "Content-Type: a/b\n",
        "Content-Type: text/plain; a=b\n",
        "x\n",
        " \n",
        "Content-Disposition: a; b=c\n",
    ] {
        assert_linear(field.repeat(100_000).as_bytes());
    }
}

#[test]
fn kept_octets_are_bounded_over_all_parts() {
    let limits = Limits {
        kept: 1000,
        ..Limits::default()
    };
    let part = format!(
        "--b\nContent-Type: a/b; name={}\nContent-ID: <{}>\n\n\n",
        "n".repeat(100),
        "i".repeat(100)
    );
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\n\n{}",
        part.repeat(50)
    );
    let root = scan(message.as_bytes(), &limits).root;
    let kept: usize = root
        .walk()
        .map(|part| {
            part.parameters.iter().map(|p| p.value.len()).sum::<usize>()
                + part.id.iter().map(Vec::len).sum::<usize>()
        })
        .sum();
    assert!((800..=1000).contains(&kept), "{kept}");
    assert!(root.all_flaws().contains(Flaws::VALUES_CUT));
}
