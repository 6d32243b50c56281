//! Hashes that other programs made, hashes of ours, and what is refused.

mod refused;

use proptest::prelude::*;

use super::*;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// What the hashes below were made of, by `doveadm pw`, crypt(3) of glibc and the reference implementation of Argon2.
const PASSWORD: &str = "correct h\u{f6}rse";

const FOREIGN: [&str; 58] = [
    // crypt(3).
    "$2y$04$9psiK2bSk0wuw0JyYB61/OlcwfhZwfODV9Tf4KXBniuFu.lCSMvdy",
    "{BLF-CRYPT}$2y$04$9psiK2bSk0wuw0JyYB61/OlcwfhZwfODV9Tf4KXBniuFu.lCSMvdy",
    "{CRYPT}$2y$05$tKD7RrlWvZiIIleUfcp1suAqsdkrOb0LjGNyyCxAISrqqFWy/g/2K",
    "{SHA512-CRYPT}$6$Z/p.H5klg3lVLEWn$rkpCcE4UAkNivOFBwwiq7MDawe/R96EhVMIRuYwoThdT8p/lMp2M14JwQ2cXgkopOG5moWgWC52Pv/0ioxLGj1",
    "{SHA512-CRYPT}$6$rounds=1000$t5bYmK.z3j8LQG76$A.biWyQ.BADrfduhOn7PPiHeSqmVx21Ar4KFW.f6tVTbOkMLSkWBETbORQngB.yMxTMjNJRl6R0uTyYeV4zSa/",
    "{SHA512-CRYPT.B64}JDYkYkw4eE9JM3BtMHJQazZrdSQ5SXhKL3QuZmNpUEpTOEZwT2ZSNTdDa2U4Mk5IYnJhSUQuVlhmL3lxcGpXSkJhRVpNZjBkVVZxRy9jZE0uS0lxeUhkOHU0VndvejdPY0tDc1lmUnpkLg==",
    "$6$rounds=1000$0123456789abcdef$lsEOmDdUyWcUK6ySQ5.YWEgaEOS3sn.3D0001qkmTUhe0QaCi7ncGIsbPwqROvv9HAUC7YENZrWmhE7Uw9m11/",
    "{crypt}$6$saltstring$MtQHkV3ATuXbzX/eAt.atDIjzGPo.7mXputp5XCVkCElZ2FBQNv3z6W1qu5Uh2tAU4OeUhW12ELic75piuHt61",
    "$6$rounds=1000$a$4mwcgTb08CZmzaUCDlKwRR7QvbLYKmFW0vQXusEDkw5eVvlE.L4pBcEdHG6sQXQSZntM30wpjXNTRjbPIfADZ.",
    "{SHA256-CRYPT}$5$Ff1Qpd/8Eo.97kF2$SY/BljYytUfArfB6xN6cihyhcX/q9v0w8b8v0ydHL4D",
    "{SHA256-CRYPT}$5$rounds=1000$p6uetONonZHQajuI$TV2/OGefFZHQbX4NzXTKSQ3ZQTyjjARQfjoSw2psHH3",
    "$5$rounds=1000$shortsalt$skOiRqSOocFRjFPpLfmO0YI.WIBvyleuY/lUox/7Wv5",
    "{CRYPT}$5$saltstring$5L4PiEd.e4YT5P/xkmJeFS8WxWAjXjzXVozgcZ7iSS3",
    // Dovecot takes any id behind any of these names.
    "{SHA512-CRYPT}$5$saltstring$5L4PiEd.e4YT5P/xkmJeFS8WxWAjXjzXVozgcZ7iSS3",
    "{MD5-CRYPT}$1$zjcuHBW3$Uif.BmVvufiIoSUtoFWgS1",
    "{MD5-CRYPT}$1$urHaPtNk$4vmUNoIfdhhkJnbX.n5ST/",
    "{CRYPT}$1$etNnh7FA$SOjXnFzQW5gLgy9/t4FWE/",
    "$1$s$r/4FEpA2Z7b/lirhKzCVy/",
    "$y$j75$saltsaltsalt$4YUUC1PCZQp6tOgRarVDqq6dBS6gEnF15amGjbB1R02",
    "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$dcu4qRHSgplOGQTuVZI6u/e1Z.Y6l5cfK/YFcIhn3U9",
    "{SHA512-CRYPT}$y$j85$abcdefgh$zWcbd7n8Snwl6EHdlux4POKoR6F7GvhZFuFrnpv0qB0",
    "{MD5}$1$6xWpnQm9$CCNwpD/wFT24.J3XqSza6/",
    // Digests with salt.
    "{SSHA}sPgrgkdqE5HPTE+o2eRChrBCdxpdRu5o",
    "{ssha.base64}sPgrgkdqE5HPTE+o2eRChrBCdxpdRu5o",
    "{SSHA.B64}OE9whGdwihmvOUslSORJcmwh6Rm9tAMG",
    "{SSHA.HEX}f35354eb41e2f78295892f6145f4aa593d752e4ea943bcf3",
    "{SSHA256}cXS1Fxo8R+6ZbUNADMQhKtq283Sj9ZpCtOto1guHqafT3XZO",
    "{SSHA256.b64}wSPAQ4ruB1yiZyXRLeF24j+HiqNITsxFZ0Dc6WTfjk0fr1Ho",
    "{SSHA256.HEX}7fd5aee072cff9ee7789a2280f5de53bc68a994a5274807084453efd22a1098e8e1f276f",
    "{SSHA512}wdxjtaCCFyMncXmY/HqIOUwZ7YszhmkvfDP5RA2NbeEtN1VczYX9bOGruPOogwxpjvotg3+YBg1kxmnExL6n6Fgq0hI=",
    "{SSHA512.HEX}f83c5f1e4e37a4fcd56363bee6783992d3bd8007f788300f0e29ce7bb08c5b81800ce63b875a51de231e16b605045f77b763f4cc772615f611b0a11a19761705eae6e2ea",
    "{SMD5}odOlzIj0atNhmFjOlb3uQ8jIQ+g=",
    "{SMD5.HEX}29de0f6ea79099af5914fd0c6da76569cf0be838",
    "{SMD5.B64}KxQPKIJwg2mVB663AbNXt1eq0i0=",
    // Digests without.
    "{SHA}rJD/5olTxW7AqKHZorModWn6ltY=",
    "{SHA}rJD/5olTxW7AqKHZorModWn6ltY",
    "{SHA1}ac90ffe68953c56ec0a8a1d9a2b3287569fa96d6",
    "{SHA1.HEX}ac90ffe68953c56ec0a8a1d9a2b3287569fa96d6",
    "{SHA256}j7uNwFVXQoiOuXBvoNRPDcadMD6uTMsvpYwtIqw2Qis=",
    "{SHA256.HEX}8fbb8dc0555742888eb9706fa0d44f0dc69d303eae4ccb2fa58c2d22ac36422b",
    "{SHA512.B64}KOgXCcz7iHiZUaic8uZYaMq4YfwFsrtwAfXAAjpETGA3sBgscoFX14piOfb0ci6gVEJVhpDeFYVW1xwG2ZUIHQ==",
    "{SHA512.HEX}28e81709ccfb88789951a89cf2e65868cab861fc05b2bb7001f5c0023a444c6037b0182c728157d78a6239f6f4722ea05442558690de158556d71c06d995081d",
    "{PLAIN-MD5}30f18c5f5e3f5a9c975003ec10f01958",
    "{PLAIN-MD5.B64}MPGMX14/WpyXUAPsEPAZWA==",
    "{LDAP-MD5}MPGMX14/WpyXUAPsEPAZWA==",
    "{MD5}30F18C5F5E3F5A9C975003EC10F01958",
    // Derived keys.
    "{PBKDF2}$1$XkPuvQZODREwGao/$1000$9c7529084c961c92d73e0e16b83748e0b8b82846",
    "{PBKDF2}$1$MzNPzbNTszEvzEuN$5000$e2296b6d22d74d7b3718bbc3781b92113b089c66",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$YtyRGVIcYRb8Z3IEJ7rXEQ$975mtcCO6ZXSX0zujA87tyJgDJ3PyOSIdtj1c1P1aG0",
    "{ARGON2I}$argon2i$v=19$m=64,t=3,p=1$c29tZXNhbHQxNm9jdGV0cw$Kg0cRraqR4q4+Y8YlvQbhMzMULMEJe/v0pf5Mc9MPaw",
    "{ARGON2ID}$argon2id$v=19$m=256,t=1,p=4$c29tZXNhbHQxNm9jdGV0cw$yy6aMWpHV+GhD4Tcc7gTWqZTV21ABzB8Rq73P2DKkQU",
    "$argon2i$v=16$m=32,t=3,p=1$c29tZXNhbHQxNm9jdGV0cw$ua6wZNjiMHPmz8zOEjtUjxVrut2Ks6I2hRisESd9zYM",
    "{SCRAM-SHA-256}4096,8rOOdAeNT8yOJUTAleg9cg==,gPJEJasKxtkPQIy24mBIRNOXfd2DAuKuZDaUDpxMVwY=,P47YBP2A6lNSCkXXpVwpGmBw16/NWUocD514UERckUU=",
    "{SCRAM-SHA-1}4096,8e+urCzR+By9fnk9BkaEhg==,dYC4XMkAmfmM7BmBsv3CH6q9/Ac=,gUAgjPhxD7tj/TgRdLjR40CndR4=",
    // No hash at all.
    "{PLAIN}correct h\u{f6}rse",
    "{CLEARTEXT}correct h\u{f6}rse",
    "{CLEAR.HEX}636f72726563742068c3b6727365",
    "{PLAIN.b64}Y29ycmVjdCBow7Zyc2U=",
];

#[test]
fn the_hashes_of_dovecot_verify_and_are_weak() {
    for hash in FOREIGN {
        assert_eq!(check_hash(hash), Ok(()), "{hash}");
        assert_eq!(verify_password(hash, &secret(PASSWORD)), Ok(true), "{hash}");
        for wrong in [
            "correct horse",
            "correct h\u{f6}rs",
            "correct h\u{f6}rse ",
            "{",
        ] {
            assert_eq!(verify_password(hash, &secret(wrong)), Ok(false), "{hash}");
        }
        assert!(is_weak(hash), "{hash}");
    }
}

/// Vectors of bcrypt's authors.
#[test]
fn bcrypt_of_every_letter_verifies() {
    for (hash, password) in [
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
            "U*U*",
        ),
        (
            "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            "U*U*U",
        ),
    ] {
        for prefix in ["", "{BLF-CRYPT}", "{CRYPT}", "{blf-crypt}"] {
            let hash = format!("{prefix}{hash}");
            assert_eq!(
                verify_password(&hash, &secret(password)),
                Ok(true),
                "{hash}"
            );
            assert_eq!(verify_password(&hash, &secret("U*")), Ok(false), "{hash}");
        }
    }
}

#[test]
fn the_kind_of_a_hash_tells_nothing_of_it() {
    let kinds: std::collections::BTreeSet<_> = FOREIGN.into_iter().map(kind).collect();
    let known = [
        "argon2",
        "bcrypt",
        "clear",
        "digest",
        "md5_crypt",
        "pbkdf2",
        "scram",
        "sha_crypt",
        "yescrypt",
    ];
    assert!(kinds.iter().eq(&known), "{kinds:?}");
    assert_eq!(kind("{ROT13}secret"), "unknown");
}

#[test]
fn makes_hashes_that_verify_and_are_not_weak() {
    let hash = hash_password(&secret("p\u{e4}ssw\u{f6}rd")).expect("a good password");
    assert!(hash.starts_with("$2y$12$") && hash.len() == 60, "{hash}");
    assert_eq!(
        verify_password(&hash, &secret("p\u{e4}ssw\u{f6}rd")),
        Ok(true)
    );
    assert!(!is_weak(&hash) && !is_weak(&format!("{{BLF-CRYPT}}{hash}")));
}

#[test]
fn attack_36_no_password_is_cut() {
    let longest = "x".repeat(PASSWORD_LIMIT);
    assert_eq!(check_password(&secret(&longest)), Ok(()));
    let too_long = secret(&format!("{longest}y"));
    assert_eq!(check_password(&too_long), Err(PasswordError::TooLong));
    assert_eq!(hash_password(&too_long), Err(PasswordError::TooLong.into()));
    assert_eq!(
        hash_password(&secret("a\0b")),
        Err(PasswordError::Nul.into())
    );
    assert_eq!(hash_password(&secret("")), Err(PasswordError::Empty.into()));
    // All 72 octets count, and none of 73 is ignored. crypt(3) made the first.
    let full = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert_eq!(verify_password(full, &secret(&longest)), Ok(true));
    assert_eq!(verify_password(full, &secret(&longest[..71])), Ok(false));
    assert_eq!(
        verify_password(full, &secret(&format!("{}y", &longest[..71]))),
        Ok(false)
    );
    assert_eq!(
        verify_password(full, &too_long),
        Err(PasswordError::TooLong.into())
    );
    let shorter = "$2b$04$abcdefghijklmnopqrstuu.gc7UY/21CSNJGJg21jJzx9QiOpJ9bO";
    assert_eq!(verify_password(shorter, &secret(&longest[..71])), Ok(true));
    assert_eq!(verify_password(shorter, &secret(&longest)), Ok(false));
    // A hash that another program made by cutting does not let the rest vary.
    let cut = ::bcrypt::hash(format!("{longest}yz"), 4).expect("a hash");
    assert_eq!(
        verify_password(&cut, &secret(&format!("{longest}yw"))),
        Err(PasswordError::TooLong.into())
    );
}

#[test]
fn attack_36_no_scheme_ends_a_password_at_a_nul_or_lets_one_be_endless() {
    for hash in FOREIGN {
        let nul = secret(&format!("{PASSWORD}\0x"));
        assert_eq!(
            verify_password(hash, &nul),
            Err(PasswordError::Nul.into()),
            "{hash}"
        );
        assert_eq!(
            verify_password(hash, &secret("")),
            Err(PasswordError::Empty.into()),
            "{hash}"
        );
        let endless = secret(&"x".repeat(FOREIGN_PASSWORD_LIMIT + 1));
        let refused = verify_password(hash, &endless);
        assert!(matches!(refused, Err(VerifyError::Password(_))), "{hash}");
    }
}

/// By crypt(3) of glibc.
#[test]
fn schemes_that_take_long_passwords_take_all_of_them() {
    for (octets, hash) in [
        (
            72,
            "$6$rounds=1000$longpasswords$8vMZ980N/DwWW.60SSqbVQQ7097yRilSqpKkSlNrxAZcxcxwEjFb475VUpM/Y65XnvopY4zZ5rDgnwtWjWzxC1",
        ),
        (
            73,
            "$6$rounds=1000$longpasswords$fSU5RWYiXGmbHrroCJUTW9.IyfcQbQY4baqyKLG6FYfb1snjdchG2.uuKcKywM9rgfVlnaQtljC3xHVqYEjPm.",
        ),
        (
            200,
            "$6$rounds=1000$longpasswords$1/gTYoQiayZaurXW2TxVNzEepzqRhvvo9WvFG4aGZREXmbGXCK7PSIaA4YZyX2ibcaHSqee/mG8YSBdGkwiru1",
        ),
        (
            72,
            "$5$rounds=1000$longpasswords$rm3zOMEYBRvQyyZW3NoeDFwjIJrKnEJaKBVILgP/0J6",
        ),
        (
            73,
            "$5$rounds=1000$longpasswords$uCqbgNaTIGG76N43UrQXoadrSayRt7Xjc4pP2rcMSS9",
        ),
        (
            200,
            "$5$rounds=1000$longpasswords$0aRpahqTmCywHCDEf9jw4Uw4.DVdBG6UZ9U6HS0QU6.",
        ),
        (72, "$1$longpass$RGMUMinVYyi3QkD3cJvD70"),
        (73, "$1$longpass$2KDIFH6KPOW7ALeTtZIH./"),
        (200, "$1$longpass$IxqqakxD62sMcdfRzl4NA."),
    ] {
        for other in [72, 73, 200] {
            let password = secret(&"x".repeat(other));
            assert_eq!(
                verify_password(hash, &password),
                Ok(other == octets),
                "{hash} {other}"
            );
        }
    }
}

#[test]
fn attack_33_every_no_costs_the_same_work() {
    let costs_whole = |what: &str| {
        let done = work::done();
        let good = done <= work::WHOLE && work::WHOLE - done < 16;
        assert!(good, "{what}: {done}");
    };
    work::done();
    verify_nobody();
    assert_eq!(work::done(), work::WHOLE);
    // One hash of each scheme is enough.
    let mut schemes = std::collections::BTreeSet::new();
    let scheme = |hash: &&'static str| match hash.split_once('}') {
        Some((scheme, _)) => scheme.split('.').next(),
        None => hash.get(..4),
    };
    for hash in FOREIGN
        .into_iter()
        .filter(|hash| schemes.insert(scheme(hash)))
    {
        assert_eq!(verify_evenly(hash, &secret("wrong")), Ok(false));
        costs_whole(hash);
    }
    for hash in ["", "hunter2", "{ROT13}x", "$6$rounds=999999999$salt$x"] {
        assert!(verify_evenly(hash, &secret("wrong")).is_err(), "{hash}");
        costs_whole(hash);
    }
    for wrong in ["x".repeat(73), "x".repeat(1000), "a\0b".to_owned()] {
        for hash in [FOREIGN[0], "{PLAIN}x"] {
            assert_ne!(verify_evenly(hash, &secret(&wrong)), Ok(true));
            costs_whole(hash);
        }
    }
}

#[test]
fn made_up_passwords_differ_and_can_be_hashed() {
    let (one, other) = (make_password(), make_password());
    let (one, other) = (one.expect("random"), other.expect("random"));
    assert!(one != other && one.expose().len() == 20);
    assert_eq!(check_password(&one), Ok(()));
}

proptest! {
    /// What stands in a table that another program wrote need not be a hash.
    #[test]
    fn no_text_in_the_place_of_a_hash_panics(
        hash in prop::sample::select(FOREIGN.to_vec()),
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        octets in prop::collection::vec(any::<char>(), 0..3),
    ) {
        let characters: Vec<char> = hash.chars().collect();
        let (at, cut) = (at.index(characters.len()), cut.index(4));
        let end = characters.len().min(at + cut);
        let text: String = characters[..at].iter().chain(&octets).chain(&characters[end..]).collect();
        let weak = is_weak(&text);
        if let Ok(hash) = Hash::parse(&text) {
            let ours = matches!(hash, Hash::Bcrypt { cost: COST.., .. });
            prop_assert_eq!(weak, !ours);
            if hash.work() < 64 {
                let _ = hash.matches("x");
            }
        }
    }
}
