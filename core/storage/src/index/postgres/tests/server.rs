//! A PostgreSQL of its own for the tests: from the package of the system, as an ordinary user, in a folder that goes with it.
//!
//! The tests of the programs include this file too: it knows of the index only what whoever includes it imports.
//!
//! A shell stands between, so that the server ends and its folder goes whatever becomes of the test.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_postgres::NoTls;

use super::{Hearing, PostgresIndex, PostgresSettings};

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
pub(super) const FAST: &str = "fsync=off";

/// A server.
pub(super) struct Server {
    pub(super) dir: PathBuf,
    pub(super) port: u16,
    keeper: Mutex<(Child, Option<ChildStdin>, BufReader<ChildStdout>)>,
    databases: AtomicU32,
}

/// The server that most tests share.
pub(super) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[FAST]))
}

/// The folder of a program of PostgreSQL.
pub(super) fn program(name: &str) -> PathBuf {
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

/// How a command is run by that user.
pub(super) fn as_user(program: &Path) -> Vec<String> {
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

/// Gives a file to that user.
pub(super) fn hand_over(path: &Path) {
    if let Some((uid, gid)) = user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Runs a program to its end.
pub(super) fn run(dir: &Path, program: &Path, arguments: &[&str]) {
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

/// A port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// Makes and starts one with these settings.
    pub(super) fn start(settings: &[&str]) -> Server {
        let dir = tempfile::Builder::new()
            .prefix("postrider-pg")
            .tempdir()
            .unwrap()
            .keep();
        hand_over(&dir);
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
        Self::keep(dir, data_text, settings)
    }

    /// Starts one on data that are there.
    pub(super) fn keep(dir: PathBuf, data: &str, settings: &[&str]) -> Server {
        let port = free_port();
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
        let server = Server {
            dir,
            port,
            keeper: Mutex::new((keeper, told, says)),
            databases: AtomicU32::new(0),
        };
        server.tell("start");
        server.wait_ready();
        server
    }

    /// Tells the keeper: `start`, `stop`, `kill`.
    pub(super) fn tell(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap();
        writeln!(keeper.1.as_mut().unwrap(), "{word}").unwrap();
        let mut line = String::new();
        keeper.2.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }

    /// Waits until it lets somebody in; started again, if what was before it has not quite gone.
    pub(super) fn wait_ready(&self) {
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

    /// The URL of one of its databases.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements as its master.
    pub(super) async fn execute(
        &self,
        database: &str,
        text: &str,
    ) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        let driver = tokio::spawn(connection);
        let done = client.batch_execute(text).await;
        drop(client);
        let _ = driver.await;
        done
    }

    /// The first column of the first row of a query, as text.
    pub(super) async fn ask(&self, database: &str, query: &str) -> String {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let rows = client.simple_query(query).await.unwrap();
        drop(client);
        let _ = driver.await;
        let first = rows.iter().find_map(|it| match it {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some(row.get(0).unwrap_or_default().to_owned())
            }
            _ => None,
        });
        first.unwrap_or_default()
    }

    /// A database without anything.
    pub(super) async fn empty(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        )
        .await
        .unwrap();
        name
    }

    /// A database with the schema and nothing in it.
    pub(super) async fn database(&self) -> String {
        static MADE: tokio::sync::Mutex<Vec<u16>> = tokio::sync::Mutex::const_new(Vec::new());
        let mut made = MADE.lock().await;
        if !made.contains(&self.port) {
            self.execute("postgres", "CREATE DATABASE base TEMPLATE template0")
                .await
                .unwrap();
            PostgresIndex::migrate(&settings(&self.url("base")))
                .await
                .unwrap();
            made.push(self.port);
        }
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let copy = format!("CREATE DATABASE {name} TEMPLATE base STRATEGY FILE_COPY");
        // Who migrated it may not have left yet.
        for _ in 0..100 {
            match self.execute("postgres", &copy).await {
                Ok(()) => return name,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.execute("postgres", &copy).await.unwrap();
        name
    }
}

/// Settings of an index at a URL.
pub(super) fn settings(url: &str) -> PostgresSettings {
    PostgresSettings {
        url: url.to_owned(),
        listen_url: None,
        password: None,
        pool_size: 5,
        hearing: Hearing::Everybody,
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Ok(keeper) = self.keeper.get_mut() else {
            return;
        };
        // Its pipe closes; it ends the server and clears up.
        keeper.1 = None;
        let _ = keeper.0.wait();
    }
}
