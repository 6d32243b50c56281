//! The built programs, started as an operator starts them: as processes of their own.
//!
//! **Invariants.** A process that a test started does not outlive its [`Daemon`].

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::door::Door;

/// Generous: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, built if it is older than its sources; `POSTRIDER_BIN_DIR` names a folder of built ones instead.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("POSTRIDER_BIN_DIR") {
        Some(folder) => Path::new(&folder).join("postrider"),
        None => build(),
    })
}

/// Builds for the profile of the running test. All of the workspace, as the tests themselves were built: one package alone
/// would be resolved to other features, and everything compiled again.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/PROFILE/deps");
    let profile = folder
        .file_name()
        .and_then(|it| it.to_str())
        .expect("a profile has a name");
    let profile = if profile == "debug" { "dev" } else { profile };
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bins",
            "--profile",
            profile,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs this test, so it is there");
    assert!(status.success(), "the programs cannot be built");
    folder.join("postrider")
}

/// The daemons beside it.
pub const DAEMONS: [&str; 3] = ["smtpd", "imapd", "pop3d"];

/// A folder with a configuration, and all that a server keeps in it.
#[derive(Debug)]
pub struct House {
    folder: PathBuf,
    /// Of the server alone, not of the control program.
    environment: Vec<(OsString, OsString)>,
}

impl House {
    /// Makes a configuration with these lines in an empty folder. Listeners take free ports by `bind = "127.0.0.1:0"`.
    pub fn new(folder: &Path, lines: &str) -> Self {
        let data = folder.join("data");
        let text = format!("data_dir = {:?}\n{lines}", data.display().to_string());
        fs::write(folder.join("postrider.toml"), text).expect("a folder to write in");
        Self {
            folder: folder.to_owned(),
            environment: Vec::new(),
        }
    }

    /// The same, and its server is started with this in its environment.
    pub fn with_environment(self, environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program().with_file_name(name));
        command
            .arg("--config")
            .arg(self.folder.join("postrider.toml"))
            .current_dir(&self.folder);
        command
    }

    /// Runs a command of the control program with this on its standard input.
    pub fn control(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command("postrider")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        // Who reads no password closes the pipe: that is no failure.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    /// The same for one that is killed after so many milliseconds, if it has not ended by then.
    pub fn control_killed(&self, arguments: &[&str], after: u64) {
        let mut command = self.command("postrider");
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program can be started");
        sleep(Duration::from_millis(after));
        // It may have ended.
        let _ = child.kill();
        child.wait().expect("a child can be waited for");
    }

    /// The same for a command that must succeed; what it printed.
    pub fn done(&self, arguments: &[&str], input: &str) -> String {
        let output = self.control(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "postrider {arguments:?}: {said}\n{}",
            self.log()
        );
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    /// Starts the server without waiting for it.
    pub fn launch(&self) -> Daemon {
        self.launch_daemon("postrider")
    }

    /// The same for one of [`DAEMONS`], or for all in one.
    pub fn launch_daemon(&self, name: &str) -> Daemon {
        let ports_file = self.folder.join(format!("{name}.json"));
        let _ = fs::remove_file(&ports_file);
        let log = self.log_file();
        let mut command = self.command(name);
        if name == "postrider" {
            command.arg("run");
        }
        let child = command
            .arg("--ports-file")
            .arg(&ports_file)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the program can be started");
        Daemon {
            child,
            ports_file,
            ports: HashMap::new(),
        }
    }

    /// Starts the server and waits until every listener is ready.
    pub fn start(&self) -> Daemon {
        self.start_daemon("postrider")
    }

    /// The same for one of [`DAEMONS`].
    pub fn start_daemon(&self, name: &str) -> Daemon {
        match self.ready(self.launch_daemon(name)) {
            Ok(daemon) => daemon,
            Err(status) => panic!("{name} ended at its start with {status}:\n{}", self.log()),
        }
    }

    /// The same for a server that may end instead.
    pub fn try_start(&self) -> Result<Daemon, ExitStatus> {
        self.ready(self.launch())
    }

    /// Waits until every listener of a server is ready, or it has ended.
    pub fn ready(&self, mut daemon: Daemon) -> Result<Daemon, ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = fs::read_to_string(&daemon.ports_file) {
                daemon.ports = serde_json::from_str(&text).expect("a ports file appears whole");
                return Ok(daemon);
            }
            if let Some(status) = daemon.child.try_wait().expect("a child can be waited for") {
                return Err(status);
            }
            assert!(
                Instant::now() < deadline,
                "the server was not ready in time:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(5));
        }
    }

    fn log_file(&self) -> File {
        let path = self.folder.join("server.log");
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("a folder to write in")
    }

    /// The end of what the server has logged, over all its starts.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.join("server.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(200)..].join("\n")
    }
}

/// A running server.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    ports_file: PathBuf,
    ports: HashMap<String, u16>,
}

impl Daemon {
    /// The port of a service, on 127.0.0.1.
    pub fn port(&self, service: &str) -> u16 {
        self.ports[service]
    }

    /// The ports of all its services.
    pub fn ports(&self) -> &HashMap<String, u16> {
        &self.ports
    }

    /// The way to it alone.
    pub fn door(&self) -> Door {
        let door = Door::default();
        door.open("server", self.ports.clone());
        door
    }

    /// Waits until it ends by itself; none if it does not in this time.
    pub fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(Duration::from_millis(2));
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`: between two of its instructions.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, as an init system says it; waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status();
        assert!(
            status.is_ok_and(|it| it.success()),
            "the server had ended by itself"
        );
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the server did not leave in time"
            );
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
