//! Hashes that are not verified: of no scheme that we know, damaged, obsolete, too costly.

use super::*;

#[test]
fn what_cannot_be_verified_is_not_a_wrong_password() {
    let unknown = |scheme: &str| VerifyError::UnknownScheme(scheme.to_owned());
    let malformed = VerifyError::Malformed;
    let (no_sha, no_bcrypt) = (
        malformed("not the form of SHA-crypt"),
        malformed("not the form of bcrypt"),
    );
    let (no_argon2, no_pbkdf2) = (
        malformed("not the form of Argon2"),
        malformed("not the form of PBKDF2"),
    );
    let no_yescrypt = malformed("not the form of yescrypt");
    let settings = malformed("settings of yescrypt that crypt(3) does not make");
    let digest = "A".repeat(86);
    for (hash, error) in [
        ("hunter2", malformed("no scheme that we know")),
        ("", malformed("no scheme that we know")),
        ("{}", unknown("{}")),
        ("{PLAIN}", malformed("an empty password")),
        ("{PLAIN.B64}", malformed("an empty password")),
        ("{PLAIN.HEX}zz", malformed("not hexadecimal")),
        ("{PLAIN.HEX}616", malformed("not hexadecimal")),
        ("{PLAIN.ROT}x", unknown("{PLAIN.ROT}")),
        ("{PLAIN.}x", unknown("{PLAIN.}")),
        (
            "{CRAM-MD5}80a0ac589dbac53dbe699301af4a2ae8efabc5d641ee954b42476013807a699a",
            unknown("{CRAM-MD5}"),
        ),
        ("{DES-CRYPT}4vwbLeAED0QQU", super::crypt::DES),
        ("{CRYPT}4vwbLeAED0QQU", super::crypt::DES),
        ("4vwbLeAED0QQU", super::crypt::DES),
        ("{CRYPT}4vwbLeAED0QQ", malformed("no scheme that we know")),
        ("{CRYPT}$y$j9T$abc$def", no_yescrypt.clone()),
        ("$y$j9T$abc", no_yescrypt.clone()),
        (&format!("$y$j9T$ab${digest}"), no_yescrypt.clone()),
        (
            "$y$j9T$$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            no_yescrypt.clone(),
        ),
        (
            "$y$j9T$a:b$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            no_yescrypt.clone(),
        ),
        (
            "$y$$ab$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            no_yescrypt.clone(),
        ),
        (
            "$y$j9T$ab$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$",
            no_yescrypt,
        ),
        // Three threads, two more rounds.
        (
            "$y$j9T/.$ab$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            settings.clone(),
        ),
        (
            "$y$j9T/0$ab$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            settings,
        ),
        (
            "$gy$j9T$ab$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            unknown("$gy$"),
        ),
        ("{a\nb}x", unknown("{ab}")),
        (
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            unknown("$2x$"),
        ),
        ("$2y$05$short", no_bcrypt.clone()),
        (
            "{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
            no_bcrypt,
        ),
        (
            "$2y$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            malformed("impossible cost"),
        ),
        ("{SHA512-CRYPT}$6$salt$hash", no_sha.clone()),
        (&format!("$6${digest}"), no_sha.clone()),
        (&format!("$6$a salt${digest}"), no_sha.clone()),
        (&format!("$6$saltsaltsaltsaltx${digest}"), no_sha.clone()),
        (&format!("$5$salt${digest}"), no_sha.clone()),
        (&format!("$6$rounds=-1$salt${digest}"), no_sha.clone()),
        (&format!("$6$rounds=$salt${digest}"), no_sha.clone()),
        (
            &format!("$6$rounds=99999999999999999999$salt${digest}"),
            no_sha,
        ),
        (
            &format!("$6$rounds=999$salt${digest}"),
            malformed("impossible rounds"),
        ),
        (
            "{MD5-CRYPT}$1$saltsaltx$Uif.BmVvufiIoSUtoFWgS1",
            malformed("not the form of MD5-crypt"),
        ),
        (
            "{MD5-CRYPT}$1$salt$Uif.BmVvufiIoSUtoFWgS",
            malformed("not the form of MD5-crypt"),
        ),
        ("{SHA}ac90", malformed("a digest of another length")),
        (
            "{SHA.HEX}rJD/5olTxW7AqKHZorModWn6ltY=",
            malformed("not hexadecimal"),
        ),
        (
            "{SHA.B64}ac90ffe68953c56ec0a8a1d9a2b3287569fa96d6",
            malformed("a digest of another length"),
        ),
        (
            "{SSHA}rJD/5olTxW7AqKHZorModWn6ltY=",
            malformed("a digest without salt"),
        ),
        ("{SSHA}", malformed("a digest without salt")),
        ("{SSHA}!", malformed("not base64")),
        ("{PLAIN-MD5}h\u{f6}rse", malformed("not base64")),
        ("{ARGON2ID}$argon2id$v=19$m=1", no_argon2.clone()),
        (
            "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$",
            no_argon2.clone(),
        ),
        (
            "$argon2id$v=18$m=64,t=2,p=1$c29tZXNhbHQ$Bi7+fM3PbTFOuwKihE7U/BKfT7tljaiANGtxReKfuYI",
            no_argon2.clone(),
        ),
        (
            "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQxNm9jdGV0cw$Bi7+fM3PbTFOuwKihE7U/BKfT7tljaiANGtxReKfuYI",
            no_argon2.clone(),
        ),
        (
            "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQxNm9jdGV0cw$Bi7+fM3PbTFOuwKihE7U/BKfT7tljaiANGtxReKfuYI",
            no_argon2,
        ),
        (
            "$argon2d$v=19$m=32,t=1,p=1$c29tZXNhbHQxNm9jdGV0cw$9IkJem5EiVlmbM0YQd1t5RhCm2NJUWdf6fnBUVGVZp4",
            unknown("$argon2d$"),
        ),
        (
            "{SCRAM-SHA-1}4096,8e+urCzR+By9fnk9BkaEhg==,dYC4XMkAmfmM7BmBsv3CH6q9/Ac=",
            malformed("not the form of SCRAM"),
        ),
        (
            "{SCRAM-SHA-256}4096,AAAA,dYC4XMkAmfmM7BmBsv3CH6q9/Ac=,gUAgjPhxD7tj/TgRdLjR40CndR4=",
            malformed("not the form of SCRAM"),
        ),
        (
            "{SCRAM-SHA-1}0,AAAA,dYC4XMkAmfmM7BmBsv3CH6q9/Ac=,gUAgjPhxD7tj/TgRdLjR40CndR4=",
            malformed("not the form of SCRAM"),
        ),
        (
            "{PBKDF2}$1$salt$0$9c7529084c961c92d73e0e16b83748e0b8b82846",
            no_pbkdf2.clone(),
        ),
        ("{PBKDF2}$1$salt$1000$9c75", no_pbkdf2.clone()),
        (
            "{PBKDF2}$2$salt$1000$9c7529084c961c92d73e0e16b83748e0b8b82846",
            no_pbkdf2,
        ),
    ] {
        assert_eq!(
            verify_password(hash, &secret("x")),
            Err(error.clone()),
            "{hash}"
        );
        assert_eq!(check_hash(hash), Err(error), "{hash}");
        assert!(is_weak(hash));
    }
    let long = format!("{{PLAIN}}{}", "x".repeat(HASH_LIMIT));
    assert_eq!(check_hash(&long), Err(malformed("longer than 255 octets")));
}

#[test]
fn attack_36_a_hash_that_asks_for_too_much_is_refused_and_not_computed() {
    let digest = "A".repeat(86);
    let argon2 = |costs: &str| {
        format!(
            "$argon2id$v=19${costs}$c29tZXNhbHQxNm9jdGV0cw$Bi7+fM3PbTFOuwKihE7U/BKfT7tljaiANGtxReKfuYI"
        )
    };
    for (hash, asked, limit) in [
        (
            "$2y$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
            17,
            16,
        ),
        (
            "{BLF-CRYPT}$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
            31,
            16,
        ),
        (
            format!("$6$rounds=999999999$salt${digest}"),
            999_999_999,
            1_000_000,
        ),
        (
            format!("$5$rounds=1000001$salt${}", &digest[..43]),
            1_000_001,
            1_000_000,
        ),
        (argon2("m=4194304,t=1,p=1"), 4_194_304, 262_144),
        (argon2("m=4294967296,t=1,p=1"), 4_294_967_296, 262_144),
        (argon2("m=262144,t=9,p=1"), 2_359_296, 2_097_152),
        (
            argon2("m=8,t=18446744073709551615,p=1"),
            u64::MAX,
            2_097_152,
        ),
        (argon2("m=65536,t=1,p=17"), 17, 16),
        (
            "{PBKDF2}$1$salt$10000001$9c7529084c961c92d73e0e16b83748e0b8b82846".to_owned(),
            10_000_001,
            10_000_000,
        ),
        (
            "{PBKDF2}$1$salt$4294967296$9c7529084c961c92d73e0e16b83748e0b8b82846".to_owned(),
            4_294_967_296,
            10_000_000,
        ),
        (
            "{SCRAM-SHA-1}4294967295,AAAA,dYC4XMkAmfmM7BmBsv3CH6q9/Ac=,gUAgjPhxD7tj/TgRdLjR40CndR4="
                .to_owned(),
            4_294_967_295,
            10_000_000,
        ),
        (format!("$y$jET$abcdefgh${}", "A".repeat(43)), 524_288, 262_144),
    ] {
        for refused in [
            check_hash(&hash).err(),
            verify_password(&hash, &secret("x")).err(),
        ] {
            let Some(VerifyError::TooCostly {
                asked: told,
                limit: at_most,
                ..
            }) = refused
            else {
                panic!("{hash}: {refused:?}");
            };
            assert_eq!((told, at_most), (asked, limit), "{hash}");
        }
    }
    assert_eq!(
        check_hash(&format!("$y$jDT$abcdefgh${}", "A".repeat(43))),
        Ok(())
    );
    // What `doveadm pw -s ARGON2ID -r 3` makes is as much as may be.
    assert_eq!(check_hash(&argon2("m=262144,t=3,p=1")), Ok(()));
    let told =
        check_hash(&format!("$6$rounds=999999999$salt${digest}")).map_err(|it| it.to_string());
    assert_eq!(
        told.expect_err("refused"),
        "cannot verify a hash with rounds of SHA-crypt: 999999999: more than 1000000"
    );
}
