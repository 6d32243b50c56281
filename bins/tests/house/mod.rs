//! Runs the built programs in a folder of their own.
#![allow(dead_code)] // each test file uses its part

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A folder and the programs that work in it.
pub struct House {
    folder: tempfile::TempDir,
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Exit code 0 and nothing on standard error; what it said.
    #[track_caller]
    pub fn good(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// Exit code 1 and nothing on standard output; why.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        self.err
    }

    /// Exit code 2.
    #[track_caller]
    pub fn misused(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{self:?}");
        self.err
    }

    /// One JSON document and nothing else.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let out = self.good();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

impl House {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// `postrider --data DIR …`
    pub fn postrider(&self, arguments: &[&str]) -> Said {
        self.postrider_with(arguments, "")
    }

    /// `postrider --data DIR …` with this on standard input.
    pub fn postrider_with(&self, arguments: &[&str], input: &str) -> Said {
        let data = self.path("data").display().to_string();
        let mut all = vec!["--data", &data];
        all.extend_from_slice(arguments);
        self.run(env!("CARGO_BIN_EXE_postrider"), &all, input)
    }

    /// Any program, in the folder.
    pub fn run(&self, program: &str, arguments: &[&str], input: &str) -> Said {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is built");
        let mut stdin = child.stdin.take().expect("piped");
        // Who needs no input may be gone before it is written.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// A server with the domain `example.com`.
    pub fn with_domain() -> Self {
        let house = Self::new();
        house.postrider(&["domain", "add", "example.com"]).good();
        house
    }
}
