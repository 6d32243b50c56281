//! FETCH responses, and that section names read as they are written.

use proptest::prelude::*;

use super::*;
use crate::imap::syntax::Args;
use crate::message::summary::Summary;

fn written(write: impl FnOnce(&mut FetchResponse, &mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    let mut fetch = FetchResponse::open(SeqNum(12), Utf8::Off, &mut out);
    assert!(fetch.is_empty());
    write(&mut fetch, &mut out);
    fetch.close(&mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

#[test]
fn small_items() {
    let keywords = ["$Forwarded".to_owned()];
    let wire = written(|fetch, out| {
        fetch.flags(
            Flags::SEEN | Flags::keyword(0),
            &keywords,
            Recency::Recent,
            out,
        );
        fetch.uid(Uid(7), out);
        fetch.internal_date(837_596_665, out);
        fetch.size(4286, out);
        fetch.modseq(ModSeq(624_140_003), out);
        fetch.email_id("M6d99ac3275bb4e", out);
        fetch.thread_id(None, out);
        fetch.thread_id(Some("T64b478a75b7ea9"), out);
        fetch.save_date(None, out);
        fetch.preview(Some("Hello \"you\""), out);
        assert!(!fetch.is_empty());
    });
    assert_eq!(
        wire,
        "* 12 FETCH (FLAGS (\\Seen $Forwarded \\Recent) UID 7 INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 4286 \
         MODSEQ (624140003) EMAILID (M6d99ac3275bb4e) THREADID NIL THREADID (T64b478a75b7ea9) SAVEDATE NIL \
         PREVIEW \"Hello \\\"you\\\"\")\r\n"
    );
}

#[test]
fn the_summary() {
    let summary = Summary::of(b"Subject: x\r\n\r\nbody\r\n");
    let wire = written(|fetch, out| {
        fetch.envelope(&summary.envelope, out);
        fetch.body(&summary.root, out);
        fetch.body_structure(&summary.root, out);
    });
    assert_eq!(
        wire,
        "* 12 FETCH (ENVELOPE (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) BODY (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 6 1) \
         BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 6 1 NIL NIL NIL NIL))\r\n"
    );
}

#[test]
fn sections() {
    let fields = Section {
        part: vec![4, 1],
        text: SectionText::HeaderFields(vec!["Date".into(), "X-%".into()]),
    };
    let whole = Section::default();
    let wire = written(|fetch, out| {
        fetch.section(SectionName::Body, &fields, Some(0), b"a\r\n", out);
        fetch.section_nil(
            SectionName::Body,
            &Section {
                part: vec![9],
                text: SectionText::Mime,
            },
            None,
            out,
        );
        fetch.section(SectionName::Rfc822, &whole, None, b"", out);
        fetch.section(SectionName::Rfc822Header, &whole, None, b"h", out);
        fetch.section_header(SectionName::Rfc822Text, &whole, None, 2, out);
        out.extend_from_slice(b"ab");
    });
    assert_eq!(
        wire,
        "* 12 FETCH (BODY[4.1.HEADER.FIELDS (Date \"X-%\")]<0> {3}\r\na\r\n BODY[9.MIME] NIL RFC822 {0}\r\n RFC822.HEADER {1}\r\nh \
         RFC822.TEXT {2}\r\nab)\r\n"
    );
}

#[test]
fn binary_items() {
    let wire = written(|fetch, out| {
        fetch.binary_header(&[1, 2], Some(5), 3, out);
        out.extend_from_slice(b"a\0b");
        fetch.binary_nil(&[3], None, out);
        fetch.binary_size(&[], 9, out);
    });
    assert_eq!(
        wire,
        "* 12 FETCH (BINARY[1.2]<5> ~{3}\r\na\0b BINARY[3] NIL BINARY.SIZE[] 9)\r\n"
    );
}

fn section() -> impl Strategy<Value = Section> {
    let fields = || prop::collection::vec("[!-9;-~]{1,9}", 1..4);
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        fields().prop_map(SectionText::HeaderFields),
        fields().prop_map(SectionText::HeaderFieldsNot),
        Just(SectionText::Text),
        Just(SectionText::Mime),
    ];
    (prop::collection::vec(1u32.., 0..5), text)
        .prop_filter("MIME has a part", |(part, text)| {
            *text != SectionText::Mime || !part.is_empty()
        })
        .prop_map(|(part, text)| Section { part, text })
}

proptest! {
    #[test]
    fn reads_what_it_writes(section in section()) {
        let mut wire = BytesMut::new();
        write_section(&section, &mut wire);
        let mut args = Args::new(&wire, Utf8::Off);
        prop_assert_eq!(Section::parse(&mut args), Ok(section));
        prop_assert!(args.is_empty());
    }
}
