//! The few facts of a certificate that we need: until when, and for which names (RFC 5280 section 4.1).
//!
//! Whether the certificate is any good is for clients to judge; here only its outer structure is walked.

/// What a certificate says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    /// When it expires, in seconds of Unix time.
    pub not_after: i64,
    /// Its DNS names, lower case; wildcards as they are.
    pub names: Vec<String>,
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl Facts {
    /// Reads a certificate in DER.
    pub fn read(der: &[u8]) -> Option<Self> {
        // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version [0]?, serialNumber,
        //   signature, issuer, validity, subject, subjectPublicKeyInfo, …, extensions [3]? }, … }
        let mut tbs = Der(Der(Der(der).take(SEQUENCE)?).take(SEQUENCE)?);
        tbs.take_if(VERSION);
        tbs.take(INTEGER)?;
        tbs.take(SEQUENCE)?;
        tbs.take(SEQUENCE)?;
        let mut validity = Der(tbs.take(SEQUENCE)?);
        validity.next()?;
        let (tag, time) = validity.next()?;
        let mut names = Vec::new();
        while let Some((tag, field)) = tbs.next() {
            if tag == EXTENSIONS {
                names = alt_names(field)?;
            }
        }
        Some(Self {
            not_after: seconds(tag, time)?,
            names,
        })
    }
}

/// Extensions ::= SEQUENCE OF SEQUENCE { extnID, critical BOOLEAN?, extnValue OCTET STRING }
fn alt_names(field: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Der(Der(field).take(SEQUENCE)?);
    while !extensions.0.is_empty() {
        let mut extension = Der(extensions.take(SEQUENCE)?);
        if extension.take(OBJECT)? != SUBJECT_ALT_NAME {
            continue;
        }
        let value = loop {
            let (tag, value) = extension.next()?;
            if tag == OCTET_STRING {
                break value;
            }
        };
        let mut general_names = Der(Der(value).take(SEQUENCE)?);
        let mut names = Vec::new();
        while let Some((tag, name)) = general_names.next() {
            if tag == DNS_NAME {
                names.push(std::str::from_utf8(name).ok()?.to_ascii_lowercase());
            }
        }
        return Some(names);
    }
    Some(Vec::new())
}

/// What is left of some DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value and its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                let length = length
                    .iter()
                    .fold(0, |length, &octet| length << 8 | usize::from(octet));
                (length, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }

    fn take_if(&mut self, tag: u8) {
        if self.0.first() == Some(&tag) {
            self.next();
        }
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5) as Unix time.
fn seconds(tag: u8, time: &[u8]) -> Option<i64> {
    let digits = time.strip_suffix(b"Z")?;
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, octet| {
            octet
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(octet - b'0'))
        })
    };
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [month, day, hour, minute, second] = *rest.as_chunks::<2>().0 else {
        return None;
    };
    let days = days(year, number(&month)?, number(&day)?);
    let hours = days * 24 + number(&hour)?;
    Some((hours * 60 + number(&minute)?) * 60 + number(&second)?)
}

/// Days from 1 January 1970 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day last.
    let years = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let leaps = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    years * 365 + leaps + (months * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(names: &[&str], expires: (i32, u8, u8)) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = date_time_ymd(expires.0, expires.1, expires.2);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        certificate.der().to_vec()
    }

    #[test]
    fn names_and_expiry_are_found() {
        let der = certificate(
            &["Mail.Example.com", "*.example.org", "192.0.2.1"],
            (2031, 3, 4),
        );
        let facts = Facts::read(&der).expect("a certificate");
        assert_eq!(facts.names, ["mail.example.com", "*.example.org"]);
        assert_eq!(facts.not_after, 1_930_348_800);
        // Beyond 2049 the time has another form.
        let facts = Facts::read(&certificate(&[], (2096, 2, 29))).expect("a certificate");
        assert_eq!(facts.names, [""; 0]);
        assert_eq!(facts.not_after, 3_981_312_000);
    }

    #[test]
    fn times_are_unix_times() {
        assert_eq!(seconds(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, b"000229123456Z"), Some(951_827_696));
        assert_eq!(seconds(GENERALIZED_TIME, b"19691231235959Z"), Some(-1));
        assert_eq!(
            seconds(GENERALIZED_TIME, b"99991231235959Z"),
            Some(253_402_300_799)
        );
        for bad in [
            &b""[..],
            b"Z",
            b"7001010000Z",
            b"70010100000xZ",
            b"700101000000+0100",
        ] {
            assert_eq!(seconds(UTC_TIME, bad), None);
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            Facts::read(&octets);
        }

        #[test]
        fn no_damage_panics(at in 0_usize..300, octet: u8, cut in 0_usize..600) {
            let mut der = certificate(&["a.example", "b.example"], (2031, 3, 4));
            let at = at % der.len();
            der[at] = octet;
            der.truncate(cut.max(1));
            Facts::read(&der);
        }
    }
}
