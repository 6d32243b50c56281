//! A PostgreSQL of its own for the tests: from the package of the system, as an ordinary user, in a folder that goes with it.
//!
//! A shell stands between, so that the server ends and its folder goes whatever becomes of the test. The tests of whole programs
//! (`tests/lib.rs`) use this file too.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

/// Keeps the server of `"$@"`: starts and ends it as it is told, and clears up when nobody tells it anything any longer.
const KEEPER: &str = r#"dir=$1; shift; pid=
trap : HUP INT TERM
while read -r word; do
  case $word in
    start) "$@" >>"$dir/log" 2>&1 </dev/null & pid=$!;;
    kill) kill -9 $pid; wait $pid 2>/dev/null;;
    stop) kill -INT $pid; wait $pid;;
    freeze) kill -STOP $pid;;
  esac
  echo done
done
[ -z "$pid" ] || { kill -QUIT $pid 2>/dev/null; wait $pid 2>/dev/null; }
rm -rf "$dir""#;

/// Whether what is committed survives a crash of the machine; that of the server it survives in any case.
pub const FAST: &str = "fsync=off";

/// A server.
pub struct Process {
    /// Its folder.
    pub dir: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    keeper: Mutex<(Child, Option<ChildStdin>, BufReader<ChildStdout>)>,
}

/// The folder of a program of PostgreSQL.
pub fn program(name: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|it| it.path().join("bin").join(name))
        .filter(|it| it.exists())
        .collect();
    found.sort();
    found
        .pop()
        .unwrap_or_else(|| panic!("there is no {name}: install the Debian package postgresql-15"))
}

/// The user who runs it, where it would be root.
fn user() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").unwrap();
    if own.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users
            .lines()
            .find(|it| it.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        let uid = fields.next()?.parse().ok()?;
        Some((uid, fields.next()?.parse().ok()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).unwrap())
}

/// How a command is run by who runs the server.
pub fn as_user(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    match user() {
        None => vec![program],
        Some((uid, gid)) => vec![
            "setpriv".to_owned(),
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".to_owned(),
            program,
        ],
    }
}

/// Gives a file to who runs the server.
pub fn hand_over(path: &Path) {
    if let Some((uid, gid)) = user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Runs a program to its end.
pub fn run(dir: &Path, program: &Path, arguments: &[&str]) {
    let command = as_user(program);
    let ran = Command::new(&command[0])
        .args(&command[1..])
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {errors}", program.display());
}

/// A new folder for it.
fn folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("postrider-pg").tempdir();
    let folder = folder.unwrap().keep();
    hand_over(&folder);
    folder
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[allow(dead_code)] // of some tests one part, of others another
impl Process {
    /// Makes and starts one with these settings.
    pub fn start(settings: &[&str]) -> Process {
        let dir = folder();
        let data = dir.join("data");
        let data_text = data.to_str().unwrap();
        let arguments = [
            "-D",
            data_text,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ];
        run(&dir, &program("initdb"), &arguments);
        Self::keep(dir.clone(), data_text, free_port(), settings)
    }

    /// A standby of this one.
    pub fn standby(&self, port: u16, settings: &[&str]) -> Process {
        let dir = folder();
        let data = dir.join("data");
        let data = data.to_str().unwrap();
        let from = self.port.to_string();
        let arguments = [
            ["-h", "127.0.0.1"],
            ["-p", &from],
            ["-U", "postgres"],
            ["-D", data],
            ["-X", "stream"],
            ["-c", "fast"],
            ["-R", "--no-sync"],
        ];
        run(&dir, &program("pg_basebackup"), arguments.as_flattened());
        Self::keep(dir.clone(), data, port, settings)
    }

    /// Settings of one that keeps its log for [`Process::restored`].
    pub const ARCHIVING: [&str; 2] = [
        "archive_mode=on",
        "archive_command=mkdir -p ../archive && cp %p ../archive/%f",
    ];

    /// Makes a base backup beside the server that runs.
    pub fn back_up(&self) {
        let (from, to) = (self.port.to_string(), self.dir.join("base"));
        let arguments = [
            ["-h", "127.0.0.1"],
            ["-p", &from],
            ["-U", "postgres"],
            ["-D", to.to_str().unwrap()],
            ["-X", "none"],
            ["-c", "fast"],
        ];
        let mut arguments = arguments.as_flattened().to_vec();
        arguments.push("--no-sync");
        run(&self.dir, &program("pg_basebackup"), &arguments);
    }

    /// Ends this server; what its backup and its log say of a restore point takes its place.
    pub fn restored(&self, point: &str) -> Process {
        self.tell("stop");
        let dir = folder();
        let data = dir.join("data");
        let data = data.to_str().unwrap();
        let base = self.dir.join("base");
        run(&dir, Path::new("cp"), &["-a", base.to_str().unwrap(), data]);
        let signal = format!("{data}/recovery.signal");
        run(&dir, Path::new("touch"), &[&signal]);
        let archive = self.dir.join("archive");
        let settings = [
            FAST,
            &format!("restore_command=cp {}/%f %p", archive.display()),
            &format!("recovery_target_name={point}"),
            "recovery_target_action=promote",
        ];
        let server = Self::keep(dir.clone(), data, self.port, &settings);
        let began = Instant::now();
        while server
            .sql("postgres", "SELECT pg_is_in_recovery()")
            .as_deref()
            != Some("f")
        {
            assert!(began.elapsed() < Duration::from_secs(120), "it recovers");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Starts one on data that are there.
    fn keep(dir: PathBuf, data: &str, port: u16, settings: &[&str]) -> Process {
        let mut command = as_user(&program("postgres"));
        command.extend(["-D", data, "-p", &port.to_string()].map(str::to_owned));
        let socket = format!("unix_socket_directories={}", dir.display());
        let usual = [
            "listen_addresses=127.0.0.1",
            &socket,
            "max_connections=300",
            "shared_buffers=32MB",
        ];
        for setting in usual.iter().chain(settings) {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", dir.to_str().unwrap()])
            .args(&command)
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = keeper.stdin.take();
        let says = BufReader::new(keeper.stdout.take().unwrap());
        let server = Process {
            dir,
            port,
            keeper: Mutex::new((keeper, told, says)),
        };
        server.tell("start");
        server.wait_ready();
        server
    }

    /// Tells the keeper: `start`, `stop`, `kill`.
    pub fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.1.as_mut().unwrap(), "{word}").unwrap();
        let mut line = String::new();
        keeper.2.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    /// Waits until it lets somebody in; started again, if what was before it has not quite gone.
    pub fn wait_ready(&self) {
        let start = Instant::now();
        let mut started = Instant::now();
        let port = self.port.to_string();
        loop {
            let ready = Command::new(program("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &port])
                .status()
                .unwrap();
            if ready.success() {
                return;
            }
            let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(120), "{}", log());
            if started.elapsed() > Duration::from_secs(2) && ready.code() == Some(2) && !self.runs()
            {
                self.tell("start");
                started = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn runs(&self) -> bool {
        let pid = fs::read_to_string(self.dir.join("data/postmaster.pid"));
        let pid = pid.ok().and_then(|it| it.lines().next().map(str::to_owned));
        pid.is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists())
    }

    /// What a statement says, through `psql`; nothing if the server does not let us in.
    pub fn sql(&self, database: &str, statement: &str) -> Option<String> {
        let said = Command::new(program("psql"))
            .args(["-XAtq", "-c", statement, &self.url(database)])
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        said.status.success().then_some(text)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Ok(keeper) = self.keeper.get_mut() else {
            return;
        };
        // Its pipe closes; it ends the server and clears up.
        keeper.1 = None;
        let _ = keeper.0.wait();
    }
}
