//! Makes seeds of the transcripts: what the client says in each, octet for octet, and values beside them.

use std::fs;
use std::path::Path;

use postrider_protocol::message::Summary;

/// An input to begin with, for the targets that can use it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seed {
    /// Where it comes from.
    pub name: String,
    /// What it is for: the folder of a transcript, or a target.
    pub kind: String,
    /// The client's octets.
    pub octets: Vec<u8>,
    /// The role of the listener, if the transcript says it.
    role: String,
    /// Whether TLS is on from the beginning.
    tls: bool,
}

/// What no transcript says, by the target it is for.
const VALUES: &[(&str, &[u8])] = &[
    ("address", b"ada@example.test"),
    ("address", b"\"a \\\" b\"@[IPv6:2001:db8::1]"),
    ("address", b"<@a.test,@b.test:ada+x@b\xc3\xbccher.test> SIZE=3"),
    ("address", b"A (b): \"x\" <a@b.test>, <@r:c@d>, =?utf-8?q?=C3=BC?= <e@[10.0.0.1]>;, f@g"),
    ("config", b"hostname = \"a.test\"\n[limits]\nmessage_size = \"1.5MiB\"\nconnections = 0x10\nexempt = [\"10.0.0.0/8\"]\n"),
    ("config", b"[[listener]]\nservice = \"imaps\"\nbind = [\"[::]:0\", \"0.0.0.0:993\"]\nproxy_protocol_from = [\"::/0\"]\n"),
    ("config", b"[database]\nurl = \"sqlite://${X}/a\"\n[store]\nkind = \"s3\"\n[auth.ldap]\nuser_filter = \"(a={email})\"\n"),
    ("config", b"[log]\nfilter = \"info,a::b=debug\"\n[deadlines]\nidle = \"1h30m\"\n[smtp]\nrecipient_delimiter = \"\"\n"),
    ("password_hash", b"$2y$12$Jx0rPpR8v1m8sPZ0Yd9uKuQk9e1xq1pZ1n5dD8iCwY2vV7sT3bFqK"),
    ("password_hash", b"{BLF-CRYPT}$2b$04$Jx0rPpR8v1m8sPZ0Yd9uKuQk9e1xq1pZ1n5dD8iCwY2vV7sT3bFqK"),
    ("password_hash", b"{SSHA512}AAAA"),
    ("password_hash", b"{SSHA.HEX}f35354eb41e2f78295892f6145f4aa593d752e4ea943bcf3"),
    ("password_hash", b"{SHA512-CRYPT}$6$rounds=1000$salt$A.biWyQ.BADrfduhOn7PPiHeSqmVx21Ar4KFW.f6tVTbOkMLSkWBETbORQngB.yMxTMjNJRl6R0uTyYeV4zSa/"),
    ("password_hash", b"{MD5-CRYPT}$1$zjcuHBW3$Uif.BmVvufiIoSUtoFWgS1"),
    ("password_hash", b"{PBKDF2}$1$salt$1000$9c7529084c961c92d73e0e16b83748e0b8b82846"),
    ("password_hash", b"$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQxNm9jdGV0cw$Bi7+fM3PbTFOuwKihE7U/BKfT7tljaiANGtxReKfuYI"),
    ("password_hash", b"{PLAIN.B64}Y29ycmVjdA=="),
    ("proxy_header", b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n"),
    ("proxy_header", b"PROXY UNKNOWN\r\n"),
    ("proxy_header", b"PROXY TCP6 ::1 2001:db8::1 65535 0\r\nEHLO x\r\n"),
    ("proxy_header", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x12\x67\0\x19"),
    ("proxy_header", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    ("store_key", b"example.test/ada/Maildir/cur/1700000000.M5P7R000102030405060708090a0b0c0d0e0f.host,S=5,H=0011223344556677:2,"),
    ("store_key", b"%c3%bc/%2e./Maildir/.a.&AOQ-.b/cur/x:2,S"),
    ("maildir", b"3 V1234567 N9000 G8a3f\n1 :1700000000.M1P2.host,S=5,W=6\n3 W7 Pof-old :2.x:2,S\n3 :twice\n4 P\xff :z\n4294967295 :end\n"),
    ("maildir", b"1 1234567 9\n1 1.x\n2 2.y\n+3 3.z\n2 again\n"),
    ("maildir", b"0 $Forwarded\n1 later\n25 z\n26 none\n1 twice\n3 Later\n2 (x)\n"),
    ("maildir", b"INBOX\nWork.2026\nEntw&APw-rfe\n.a..b\nWork.2026\na/b\ninbox.x\n"),
    ("maildir", b"V\t2\n\nWork\t2026\nA \x01t\x010 b\nEntw&APw-rfe\n\x01\n"),
    ("maildir", b"1700000000.M1P2.host,S=5,W=6:2,DFRSTabz,x\n:2,\n99999999999999999999.x:1,S\n.Projects.&AC4-.&-\n"),
    ("header", b"Subject: =?utf-8?b?w7w=?= =?iso-8859-1?q?=FC?= Re: [x] fwd: y\r\n folded\r\nX-A : b\r\nbroken\r\n\r\nbody"),
    ("header", b"Fri, 21 Nov 1997 09:55:06 -0600"),
    ("header", b"21-Nov-1997 09:55:06 -0600"),
    ("header", b"Received: from a (b [10.0.0.1])\r\n\tby c with ESMTP; Thu Jan 01 00:00:00 1970\r\nReceived: x\r\n\r\n"),
    ("header", b"References: <a@b> <\"c d\"@e>\r\nIn-Reply-To: <f@g> (h)\r\n\r\n"),
    ("imap", b"a LOGIN {16}\r\nada@example.test {6+}\r\nsecret\r\nb SELECT INBOX\r\nc IDLE\r\nDONE\r\nd LOGOUT\r\n"),
    ("imap", b"a AUTHENTICATE PLAIN\r\nAGFkYQBw\r\nb AUTHENTICATE LOGIN =\r\n*\r\nc LIST \"\" % RETURN (STATUS (MESSAGES))\r\n"),
    ("imap", b"a STARTTLS\r\nb LOGIN a b\r\nc ENABLE IMAP4rev2\r\nd EXAMINE INBOX\r\ne CLOSE\r\nf CAPABILITY\r\n"),
    ("imap", b"a LOGIN a b\r\nb APPEND INBOX (\\Seen $x) \"21-Nov-1997 09:55:06 -0600\" {5}\r\nhello\r\nc APPEND x {5+}\r\nhello\r\n"),
    ("imap", b"a LOGIN a b\r\nb SELECT INBOX\r\nc UID FETCH 1:* (FLAGS BODY[] BODY.PEEK[1.MIME]<0.5> BINARY[3])\r\nd FETCH 2 FULL\r\n"),
    ("imap", b"a LOGIN a b\r\nb SELECT INBOX\r\nc STORE 1:2 +FLAGS.SILENT (\\Deleted)\r\nd EXPUNGE\r\ne COPY * Archive\r\nf UID MOVE 1:9 a\r\n"),
    ("imap", b"a LOGIN a b\r\nb SELECT INBOX\r\nc SEARCH RETURN (MIN ALL SAVE) OR NOT SEEN (TEXT x SINCE 1-Feb-1994)\r\nd FETCH $ UID\r\n"),
    ("imap", b"a LOGIN a b\r\nb STATUS INBOX (MESSAGES UIDNEXT SIZE)\r\nc CREATE a/b (USE (\\Sent))\r\nd RENAME a c\r\ne DELETE c\r\n"),
    ("imap", b"a LOGIN a b\r\nb LSUB \"\" *\r\nc SUBSCRIBE x\r\nd GETQUOTAROOT INBOX\r\ne NAMESPACE\r\nf ID (\"name\" NIL)\r\ng CHECK\r\n"),
    ("mailbox", b"Entw&APw-rfe/&ZeVnLIqe-/a & b"),
    ("mailbox", "inbox/\u{65e5}\u{672c}\u{8a9e}".as_bytes()),
    ("mailbox", b"&-&AAo-*%/%"),
    ("mime", b"From: a@b\r\nContent-Type: multipart/alternative; boundary=\"x y\"\r\n\r\n--x y\r\n\r\na\r\n--x y\r\n\
Content-Type: text/html; charset*=utf-8''b; name*0=c; name*1*=%FC\r\nContent-Transfer-Encoding: quoted-printable\r\n\
Content-Disposition: attachment; filename=\"=?utf-8?q?x?=\"\r\n\r\n<b>=C3=BC</b>=\r\n--x y--\r\nend\r\n"),
    ("mime", b"Subject: a\nContent-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=z\n\n--z\n\nTo: x\n\ny\n--z\n--z"),
    ("sasl", b"AGFkYQBw\nYWRh\nc2VjcmV0"),
    ("sasl", b"YWRh\ncA==\n*"),
    ("words", b"=?utf-8?q?x_=C3?= =?utf-8?b?vA==?= a =?iso-2022-jp?B?GyRCO2QbKEI=?= \"=?x?q?y?=\" =?utf-8*de?q?=?="),
    ("words", b"name*0*=utf-8''%e2%82; name*1*=%ac; name*2=\"x \\\" y\"; filename=a.exe; filename*=iso-8859-1'de'%FC; filename*0=b"),
    ("words", b"charset=\"utf-8\" (c(d)e); x*3*=%zz; x*0=; x*00=1; x*=''; =; ;;; name==?utf-8?q?a?="),
    ("text", b"Z3LDvMOfZQ==\r\n=C3=BC= \r\n\x1b$B;d\x1b(B \x0e\x21\x22\x0f gr\xc3\xbc\xc3\x9fe +AOQ-"),
];

/// The seeds of all transcripts below a folder, in the order of their paths, and the values.
pub fn read(transcripts: &Path) -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut folders: Vec<_> = fs::read_dir(transcripts)
        .expect("the transcripts are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    folders.sort();
    for folder in folders {
        let kind = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut files: Vec<_> = fs::read_dir(&folder)
            .expect("a readable folder")
            .map(|entry| entry.expect("a readable folder").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
            .collect();
        files.sort();
        for file in files {
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let script = fs::read_to_string(&file).expect("a readable transcript");
            seeds.extend(of_script(&kind, &name, &script));
        }
    }
    let values = VALUES
        .iter()
        .enumerate()
        .map(|(number, (kind, octets))| Seed {
            name: format!("value_{number}"),
            kind: (*kind).to_owned(),
            octets: octets.to_vec(),
            role: String::new(),
            tls: true,
        });
    seeds.extend(values);
    seeds
}

/// Writes the inputs of a target to the folder that `FUZZ_CORPUS` names, if it names one.
pub fn write(target: &str) {
    let Some(folder) = std::env::var_os("FUZZ_CORPUS") else {
        return;
    };
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts");
    for seed in read(&transcripts) {
        for (number, input) in seed.inputs(target).into_iter().enumerate() {
            let file = Path::new(&folder).join(format!("{}_{}_{number}", seed.kind, seed.name));
            fs::write(file, input).expect("room for a seed");
        }
    }
}

/// The octets of a transcript's client, and of each message that is delivered in it.
fn of_script(kind: &str, name: &str, script: &str) -> Vec<Seed> {
    let mut client = Seed {
        name: name.to_owned(),
        kind: kind.to_owned(),
        octets: Vec::new(),
        role: String::new(),
        tls: false,
    };
    let mut messages = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        if let Some(role) = line.strip_prefix("role ") {
            role.trim().clone_into(&mut client.role);
        } else if line.trim() == "tls on" {
            client.tls = true;
        } else if line.starts_with("deliver ") && line.ends_with("<<") {
            let message: Vec<&str> = lines.by_ref().take_while(|line| *line != ".").collect();
            messages.push(message.join("\r\n") + "\r\n");
        } else if let Some((mark, said)) = line
            .split_once(' ')
            .filter(|(mark, _)| mark.starts_with('C'))
        {
            match mark.as_bytes().last() {
                Some(b'=') => client.octets.extend(unescaped(said)),
                Some(b':') => client.octets.extend([said.as_bytes(), b"\r\n"].concat()),
                _ => {}
            }
        }
    }
    let messages = messages
        .into_iter()
        .enumerate()
        .map(|(number, message)| Seed {
            name: format!("{kind}_{name}_{number}"),
            kind: "mime".to_owned(),
            octets: message.into_bytes(),
            ..client.clone()
        });
    messages.chain([client.clone()]).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let escaped = match octet {
            b'\\' => rest.next().unwrap_or(b'\\'),
            octet => {
                octets.push(octet);
                continue;
            }
        };
        octets.push(match escaped {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'x' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let text = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(text, 16).unwrap_or_default()
            }
            octet => octet,
        });
    }
    octets
}

impl Seed {
    /// The inputs that a target gets of this seed.
    pub fn inputs(&self, target: &str) -> Vec<Vec<u8>> {
        let script = |setting: u8, cut: u8| [&[setting, cut, 0][..], &self.octets].concat();
        let mine = self.kind == target;
        match target {
            "smtp" | "lmtp" | "pop3" | "imap" if mine => {
                let setting = self.setting(target);
                vec![script(setting, 0), script(setting, 7), script(setting, 255)]
            }
            "connection_imap" | "connection_pop3" | "connection_smtp" => {
                let (_, service) = target.split_once('_').unwrap_or_default();
                let lmtp = service == "smtp" && self.kind == "lmtp";
                let setting = match (lmtp, self.role.as_str()) {
                    (true, _) => 2,
                    (false, "submission") => 1,
                    (false, _) => 0,
                };
                match lmtp || self.kind == service {
                    true => vec![script(setting, 0), script(setting + 66, 255)],
                    false => Vec::new(),
                }
            }
            "imap_command" if self.kind == "imap" => self
                .octets
                .split(|octet| *octet == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
            "framing" => vec![script(0, 1), script(40, 3)],
            // Names of mailboxes, and whatever else stands in lines.
            "maildir" if self.kind == "imap" => vec![self.octets.clone()],
            "header" if matches!(self.kind.as_str(), "smtp" | "lmtp" | "mime") => {
                vec![self.octets.clone()]
            }
            "text" if matches!(self.kind.as_str(), "smtp" | "mime") => vec![script(0, 5)],
            "address" if self.kind == "smtp" => {
                let lines = self.octets.split(|octet| *octet == b'\n');
                lines
                    .filter_map(|line| {
                        Some(line[line.iter().position(|octet| *octet == b'<')?..].to_vec())
                    })
                    .collect()
            }
            "summary" if matches!(self.kind.as_str(), "mime" | "smtp") => {
                let scripts = self.octets.len() > 2;
                let summary = scripts.then(|| Summary::of(&self.octets).encode());
                summary.into_iter().collect()
            }
            "words" if self.kind == "mime" => {
                let lines = self.octets.split(|octet| *octet == b'\n');
                lines
                    .filter_map(|line| {
                        Some(line[line.iter().position(|octet| *octet == b':')? + 1..].to_vec())
                    })
                    .collect()
            }
            "mime" if self.kind == "smtp" || mine => vec![script(0, 0), script(1, 0), script(2, 0)],
            "sasl" if mine => (0..8).map(|setting| script(setting, 0)).collect(),
            "text" if mine => (0..9).map(|setting| script(setting, 1)).collect(),
            "store_key" if self.kind == "mailbox" => vec![self.octets.clone()],
            _ if mine => vec![self.octets.clone()],
            _ => Vec::new(),
        }
    }

    /// The listener that the transcript has.
    fn setting(&self, target: &str) -> u8 {
        let starttls = match (self.tls, self.role.as_str()) {
            (true, _) => 0,
            (false, "mx") => 1,
            (false, "lmtp") => 3,
            (false, _) => 2,
        };
        match target {
            "imap" => starttls,
            _ => starttls << 1 | u8::from(self.role == "submission"),
        }
    }
}
