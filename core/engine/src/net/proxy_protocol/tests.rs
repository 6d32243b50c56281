//! Known headers, malformed ones, and every split of them.

use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};

use super::*;

fn inet(source: &str, destination: &str) -> Header {
    Header::Inet {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    }
}

fn binary(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short");
    let mut octets = SIGNATURE.to_vec();
    octets.extend([version_command, family]);
    octets.extend(length.to_be_bytes());
    octets.extend(rest);
    octets
}

fn known() -> Vec<(Vec<u8>, Header)> {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 25];
    let mut v6 = [0; 36];
    v6[0..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    v6[15] = 1;
    v6[31] = 1;
    v6[32..].copy_from_slice(&[0x12, 0x67, 3, 225]);
    let with_extension = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    let four = inet("192.0.2.1:4711", "198.51.100.1:25");
    vec![
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n".to_vec(),
            four,
        ),
        (
            b"PROXY TCP6 2001:db8::1 ::1 4711 993\r\n".to_vec(),
            inet("[2001:db8::1]:4711", "[::1]:993"),
        ),
        (
            b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
              ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
                .to_vec(),
            inet(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), Header::Proxy),
        (
            b"PROXY UNKNOWN whatever it says\r\n".to_vec(),
            Header::Proxy,
        ),
        (binary(0x21, 0x11, &v4), four),
        (binary(0x21, 0x11, &with_extension), four),
        (
            binary(0x21, 0x21, &v6),
            inet("[2001:db8::1]:4711", "[::1]:993"),
        ),
        (binary(0x21, 0x31, &[0; 216]), Header::Unix),
        (binary(0x20, 0x00, &[]), Header::Proxy),
        (binary(0x20, 0x11, &v4), Header::Proxy),
        (binary(0x21, 0x00, &[]), Header::Proxy),
        (binary(0x21, 0x00, &[1; 100]), Header::Proxy),
    ]
}

#[test]
fn known_headers_are_understood_octet_by_octet() {
    for (octets, header) in known() {
        for end in 0..octets.len() {
            match parse(&octets[..end]) {
                Ok(Parsed::Need(need)) => assert!(
                    (1..=octets.len() - end).contains(&need),
                    "{need} octets after {end} of {octets:?}"
                ),
                other => panic!("{other:?} after {end} octets of {octets:?}"),
            }
        }
        assert_eq!(parse(&octets), Ok(Parsed::Whole(header)));
    }
}

#[test]
fn octets_behind_a_header_are_not_part_of_it() {
    for (octets, _) in known() {
        for behind in [&b"x"[..], b"\r\n", b"EHLO a\r\n"] {
            let octets = [&octets[..], behind].concat();
            assert!(parse(&octets).is_err(), "{octets:?}");
        }
    }
}

#[test]
fn malformed_headers_are_refused() {
    let too_long = [b"PROXY UNKNOWN ", &[b'x'; 94][..], b"\r\n"].concat();
    let cases: [&[u8]; 22] = [
        b"EHLO example.com\r\n",
        b"proxy TCP4 192.0.2.1 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25 \r\n",
        b"PROXY TCP4 192.0.2.1  198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 04711 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 25\r\n",
        b"PROXY TCP4 192.0.2.01 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 4711 25\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.1 4711 25\r\n",
        b"PROXY TCP5 192.0.2.1 198.51.100.1 4711 25\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 \xff 198.51.100.1 4711 25\r\n",
        &too_long,
        &binary(0x11, 0x11, &[0; 12]),
        &binary(0x22, 0x11, &[0; 12]),
        &binary(0x21, 0x11, &[0; 11]),
        &binary(0x21, 0x21, &[0; 35]),
        &binary(0x21, 0x31, &[0; 215]),
        &binary(0x21, 0x12, &[0; 12]),
    ];
    for octets in cases {
        assert!(
            parse(octets).is_err(),
            "{:?}",
            String::from_utf8_lossy(octets)
        );
    }
    let huge = binary(0x21, 0x11, &[0; BINARY_MAX + 1]);
    assert!(
        parse(&huge[..BINARY_FIXED]).is_err(),
        "before anything is read"
    );
}

#[tokio::test]
async fn not_an_octet_behind_the_header_is_read() {
    for (octets, header) in known() {
        let (mut proxy, mut server) = duplex(8192);
        proxy.write_all(&octets).await.expect("in memory");
        proxy.write_all(b"\x16\x03").await.expect("in memory");
        let read = read_header(&mut server, Duration::from_secs(5)).await;
        assert_eq!(read.expect("a header"), header);
        let mut behind = [0; 2];
        server.read_exact(&mut behind).await.expect("in memory");
        assert_eq!(&behind, b"\x16\x03");
    }
}

#[tokio::test(start_paused = true)]
async fn attack_06_a_trickled_header_meets_its_deadline() {
    let (mut proxy, mut server) = duplex(8192);
    let trickle = tokio::spawn(async move {
        for octet in b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n" {
            proxy.write_all(&[*octet]).await.expect("in memory");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let start = Instant::now();
    let read = read_header(&mut server, Duration::from_secs(5)).await;
    assert!(matches!(read, Err(ProxyError::TooSlow)), "{read:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    trickle.abort();
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_an_error() {
    let (proxy, mut server) = duplex(64);
    drop(proxy);
    let read = read_header(&mut server, Duration::from_secs(5)).await;
    assert!(matches!(read, Err(ProxyError::Io(_))), "{read:?}");
}

#[test]
fn a_header_names_the_client_or_the_proxy() {
    let proxy = "10.0.0.1:5000".parse().expect("an address");
    let mapped = inet("[::ffff:192.0.2.1]:4711", "[::ffff:198.51.100.1]:25");
    assert_eq!(mapped.remote(proxy).to_string(), "192.0.2.1:4711");
    assert_eq!(
        mapped.local().expect("an address").to_string(),
        "198.51.100.1:25"
    );
    assert_eq!(Header::Proxy.remote(proxy), Remote::Proxy(proxy));
    assert_eq!(Header::Unix.remote(proxy), Remote::Unix);
}

proptest! {
    #[test]
    fn no_input_panics_and_needs_are_bounded(
        start in 0_usize..3, octets in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let start = [&b""[..], b"PROXY ", SIGNATURE][start];
        let octets = [start, &octets].concat();
        if let Ok(Parsed::Need(need)) = parse(&octets) {
            prop_assert!((1..=BINARY_MAX + BINARY_FIXED).contains(&need));
        }
    }
}
