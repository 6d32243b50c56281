//! Messages: their parts, summaries, headers, addresses, dates and text.

use postrider_protocol::line::Newlines;
use postrider_protocol::message::binary::Plan;
use postrider_protocol::message::charset::{Charset, Piece};
use postrider_protocol::message::header::{FieldNames, Selection};
use postrider_protocol::message::mime::{Limits, scan};
use postrider_protocol::message::text::{Needle, fold};
use postrider_protocol::message::transfer::TransferDecoder;
use postrider_protocol::message::{
    Address, AddressItem, Content, Date, DateTime, Domain, Encoding, Part, SectionText, Span,
    Summary, address, address_list, encoded_word, header as fields, parameter, received, thread,
    transfer,
};

use super::script::{Cut, Script};

/// A message: taken apart in linear work, spans inside each other, its summary kept and read, all of it fetched over IMAP.
pub fn mime(octets: &[u8]) {
    let script = Script::of(octets);
    let message = script.said;
    let limits = match script.setting & 1 {
        0 => Limits::default(),
        _ => Limits {
            depth: 3,
            parts: 5,
            fields: 4,
            header: 200,
            addresses: 3,
            kept: 100,
        },
    };
    let scanned = scan(message, &limits);
    assert!(
        scanned.work <= 6 * message.len() as u64 + 10_000,
        "{} looks at {} octets",
        scanned.work,
        message.len()
    );
    spans(&scanned.root, message.len() as u64);
    let summary = Summary::within(message, &limits);
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary));
    for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 3]] {
        for text in [SectionText::Header, SectionText::Text, SectionText::Mime] {
            let span = summary.section(path, text);
            assert!(
                span.is_none_or(|span| span.start <= span.end && span.end <= message.len() as u64)
            );
        }
    }
    for part in summary.root.walk() {
        let _ = (part.file_names(), part.charset(), part.is_attachment());
    }
    // Whatever lies in the index.
    if let Ok(summary) = Summary::decode(message) {
        spans(&summary.root, summary.size);
        assert_eq!(Summary::decode(&summary.encode()), Ok(summary));
    }
    super::imap::fetch(message, script.setting & 2 != 0);
    recoded(message);
}

/// A binary message that can be made lines is lines, and its leaves decode to what they were.
fn recoded(message: &[u8]) {
    let declared = [&b"Content-Transfer-Encoding: binary\r\n"[..], message].concat();
    for message in [message, &declared] {
        let Ok(Some(plan)) = Plan::of(message) else {
            continue;
        };
        let mut recoder = plan.recoder();
        let mut out = Vec::new();
        for piece in message.chunks(61) {
            recoder.feed(piece, &mut out);
        }
        recoder.finish(&mut out);
        let mut newlines = Newlines::default();
        newlines.look(&out);
        assert!(!newlines.end() && !out.contains(&0), "not lines");
        let (before, after) = (leaves(message), leaves(&out));
        assert_eq!(before, after, "other octets");
    }
}

/// What the leaves that were or are binary hold.
fn leaves(message: &[u8]) -> Vec<Vec<u8>> {
    let scanned = scan(message, &Limits::default());
    let leaf = |part: &&Part| matches!(part.content, Content::Leaf);
    let leaves = scanned.root.walk().filter(leaf);
    leaves
        .map(|part| transfer::decode(&part.encoding, part.body.of(message)))
        .collect()
}

/// What a part promises of its spans.
fn spans(root: &Part, size: u64) {
    let all = Span {
        start: 0,
        end: size,
    };
    assert!(
        all.contains(root.header) && all.contains(root.body),
        "a part that is not in the message"
    );
    for part in root.walk() {
        assert!(
            part.header.end <= part.body.start,
            "a body before its header"
        );
        for child in part.children() {
            let inside = part.body.contains(child.header) && part.body.contains(child.body);
            assert!(inside, "a part that is not inside its parent");
        }
    }
}

/// Summaries as the index may hand them out: what is decoded has every promise of one that was made here, and no more
/// memory than its octets pay for.
pub fn summary(octets: &[u8]) {
    let Ok(summary) = Summary::decode(octets) else {
        return;
    };
    spans(&summary.root, summary.size);
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary));
    let parts = summary.root.walk().count();
    assert!(
        parts <= octets.len(),
        "{parts} parts of {} octets",
        octets.len()
    );
    let texts = summary.preview.len()
        + summary.references.iter().map(Vec::len).sum::<usize>()
        + summary.envelope.subject.as_ref().map_or(0, Vec::len);
    // A text may be a place in the header, so that some octets stand for many.
    assert!(texts <= 3 * (1 << 20), "{texts} octets of text");
    for path in [&[][..], &[1], &[2, 1], &[1, 2, 3, 4]] {
        for text in [SectionText::Header, SectionText::Text, SectionText::Mime] {
            let span = summary.section(path, text);
            assert!(span.is_none_or(|it| it.start <= it.end && it.end <= summary.size));
        }
    }
}

/// Encoded words (RFC 2047) and parameters in pieces (RFC 2231): bounded, and plain text stays what it is.
pub fn words(octets: &[u8]) {
    let text = encoded_word::decode(octets);
    assert!(
        text.len() <= 4 * octets.len() + 16,
        "{} octets became {}",
        octets.len(),
        text.len()
    );
    if octets.is_ascii() && !octets.windows(2).any(|pair| pair == b"=?") {
        assert_eq!(text.as_bytes(), octets, "plain text is no word");
    }
    for field in [
        "Content-Type: text/plain; ",
        "Content-Disposition: attachment; ",
    ] {
        let message = [field.as_bytes(), octets, b"\r\n\r\nbody"].concat();
        let scanned = scan(&message, &Limits::default());
        let names = scanned.root.file_names();
        let disposition = scanned.root.disposition.as_ref();
        let given = scanned.root.parameters.len() + disposition.map_or(0, |it| it.parameters.len());
        let long: usize = names.iter().map(String::len).sum();
        assert!(
            names.len() <= given + 4 && long <= 16 * octets.len() + 64,
            "{} names of {long} octets",
            names.len()
        );
        let _ = scanned.root.charset();
        for parameter in &scanned.root.parameters {
            let name = String::from_utf8_lossy(&parameter.name).into_owned();
            let _ = parameter::text(&scanned.root.parameters, &name);
            let readings = parameter::readings(&scanned.root.parameters, &name);
            assert!(readings.len() <= 2 * scanned.root.parameters.len() + 4);
        }
    }
}

/// Addresses, of SMTP and of header fields.
pub fn address(octets: &[u8]) {
    if let Ok(address) = Address::from_bytes(octets) {
        let text = address.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&address), "{text:?}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        let _ = (
            address.lookup_key(),
            address.split_detail('+'),
            address.without_detail('+'),
        );
    }
    if let Ok(domain) = String::from_utf8_lossy(octets).parse::<Domain>() {
        assert_eq!(domain.to_string().parse(), Ok(domain));
    }
    if let Ok((path, rest)) = address::take_path(octets) {
        assert!(octets.ends_with(rest));
        let again = path
            .as_ref()
            .map_or_else(|| "<>".to_owned(), |path| format!("<{path}>"));
        assert_eq!(address::take_path(again.as_bytes()), Ok((path, &b""[..])));
    }
    for limit in [0, 1, 3, 1_000] {
        let (items, _) = address_list::parse(octets, limit);
        let mut open = false;
        let mut count = 0;
        for item in items {
            count += usize::from(item != AddressItem::GroupEnd);
            match item {
                AddressItem::GroupStart(_) => {
                    assert!(!std::mem::replace(&mut open, true), "a group in a group")
                }
                AddressItem::GroupEnd => assert!(
                    std::mem::replace(&mut open, false),
                    "an end without a group"
                ),
                AddressItem::Mailbox { .. } => {}
            }
        }
        assert!(!open, "a group without an end");
        assert!(count <= limit, "{count} of {limit} addresses");
    }
}

/// Headers, dates, threads.
pub fn header(octets: &[u8]) {
    let (head, body) = fields::split(octets);
    assert_eq!([head, body].concat(), octets);
    for field in fields::fields(head) {
        let unfolded = field.unfolded();
        assert!(
            !unfolded
                .iter()
                .any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
        );
        let _ = (field.text(), encoded_word::decode(&unfolded));
        let _ = thread::BaseSubject::of(&unfolded);
        let _ = thread::message_ids(&unfolded).count();
        date(&unfolded);
    }
    let names = FieldNames::new(["Subject", "received", "X-A"]);
    for selection in [Selection::Only, Selection::Except] {
        let selected = fields::select(head, &names, selection);
        assert!(selected.len() <= head.len() + 4 && selected.ends_with(b"\n"));
        for field in fields::fields(&selected) {
            assert_eq!(names.contains(field.name), selection == Selection::Only);
        }
    }
    let _ = received::hops(octets);
    let _ = thread::references(Some(octets), Some(octets));
    date(octets);
}

fn date(octets: &[u8]) {
    if let Some(moment) = DateTime::parse(octets) {
        let _ = (moment.header(), moment.imap(), moment.utc_date());
        if moment.date().midnight().abs_diff(moment.epoch) <= 3 * 86_400 {
            assert_eq!(
                DateTime::parse(moment.header().as_bytes()),
                Some(moment),
                "{}",
                moment.header()
            );
        }
    }
    if let Some(moment) = DateTime::parse_imap(octets) {
        assert_eq!(
            DateTime::parse_imap(moment.imap().as_bytes()),
            Some(moment),
            "{}",
            moment.imap()
        );
    }
    if let Some(day) = Date::parse_imap(octets) {
        let (year, month, date) = day.parts();
        assert_eq!(Date::new(year, month, date), Some(day));
    }
}

/// Text: transfer encodings, charsets and searches do not see where it was cut.
pub fn text(octets: &[u8]) {
    let script = Script::of(octets);
    let encodings = [
        Encoding::Base64,
        Encoding::QuotedPrintable,
        Encoding::EightBit,
    ];
    for encoding in &encodings {
        let whole = transfer::decode(encoding, script.said);
        assert!(whole.len() <= script.said.len(), "it grows");
        let (mut decoder, mut pieces) = (TransferDecoder::new(encoding), Vec::new());
        script
            .cut
            .pieces(script.said)
            .into_iter()
            .for_each(|piece| decoder.feed(piece, &mut pieces));
        decoder.finish(&mut pieces);
        assert_eq!(pieces, whole);
    }
    let labels = [
        "utf-8",
        "iso-8859-1",
        "iso-2022-jp",
        "iso-2022-kr",
        "gb18030",
        "utf-16",
        "utf-7",
        "big5",
        "shift_jis",
    ];
    let label = labels[usize::from(script.setting) % labels.len()];
    if let Some(charset) = Charset::for_label(label.as_bytes()) {
        let (mut decoder, mut pieces) = (charset.decoder(), String::new());
        for piece in script.cut.pieces(script.said) {
            decoder.feed(piece, Piece::More, &mut pieces);
        }
        decoder.feed(b"", Piece::Last, &mut pieces);
        assert_eq!(pieces, charset.decode(script.said), "{label}");
    }
    search(&String::from_utf8_lossy(script.said), script.cut);
}

fn search(text: &str, cut: Cut) {
    let characters: Vec<char> = text.chars().collect();
    let (from, to) = (characters.len() / 3, characters.len() / 2);
    let needle: String = characters[from..to].iter().collect();
    let needle = Needle::new(&needle);
    assert!(needle.is_in(text), "a piece of a text is not in it");
    let mut search = needle.search();
    let mut found = needle.is_in("");
    for piece in cut.pieces(text.as_bytes()) {
        let Ok(piece) = std::str::from_utf8(piece) else {
            return;
        };
        found = search.feed(piece);
    }
    assert!(found, "not found in pieces");
    let folded = fold(text);
    assert_eq!(fold(&folded), folded, "not folded at once");
}
