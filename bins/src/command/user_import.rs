//! `postrider user import`: many users from a CSV file (RFC 4180), all or none.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use csv::{ReaderBuilder, StringRecord, Trim};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use postrider::{
    admin::{Admin, ImportPassword, ImportProblem, ImportUser, PreparedImport},
    config::Secret,
};
use serde_json::json;

use super::Output;
use crate::{Failure, Report, cli::Quota, report::count};

/// Largest file: a million users and more.
const FILE_LIMIT: u64 = 256 * 1024 * 1024;

pub(super) async fn run(admin: &Admin, file: &Path, output: Output) -> Result<Report, Failure> {
    let text = read(file)?;
    let (users, mut problems) = parse(text.expose())?;
    let import = match admin.prepare_import(users).await? {
        Ok(import) => Some(import),
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    let import = match import {
        Some(import) if problems.is_empty() => import,
        _ => return Err(refuse(file, problems)),
    };
    let import = hash(import, output).await?;
    let added = admin.import(import).await?;
    let line = format!("added {}", count(added as u64, "user", "users"));
    Ok(Report::line(line, json!({ "added": added })))
}

fn refuse(file: &Path, mut problems: Vec<ImportProblem>) -> Failure {
    problems.sort();
    let mut lines: Vec<u64> = problems.iter().map(|it| it.line).collect();
    lines.dedup();
    let name = match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let details = problems
        .iter()
        .map(|it| format!("{name}:{}: {}", it.line, it.message))
        .collect();
    let bad = count(lines.len() as u64, "bad line", "bad lines");
    Failure::new(format!("{bad}, no user was added")).details(details)
}

fn read(file: &Path) -> Result<Secret<String>, Failure> {
    let cannot =
        |error: io::Error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let mut octets = Vec::new();
    let read = match file == Path::new("-") {
        true => io::stdin().take(FILE_LIMIT + 1).read_to_end(&mut octets),
        false => File::open(file)
            .map_err(cannot)?
            .take(FILE_LIMIT + 1)
            .read_to_end(&mut octets),
    };
    if read.map_err(cannot)? as u64 > FILE_LIMIT {
        return Err(Failure::new(format!(
            "{} is longer than 256MiB",
            file.display()
        )));
    }
    String::from_utf8(octets).map(Secret::new).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|it| **it == b'\n').count() + 1;
        Failure::new(format!("{}:{line}: not UTF-8", file.display()))
    })
}

/// Where the columns are.
struct Columns {
    email: usize,
    password: Option<usize>,
    password_hash: Option<usize>,
    quota: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Failure> {
        let mut columns = [None; 4];
        const NAMES: [&str; 4] = ["email", "password", "password_hash", "quota"];
        for (at, name) in header.iter().enumerate() {
            let name = name.to_ascii_lowercase();
            let Some(known) = NAMES.iter().position(|it| *it == name) else {
                let message = format!("unknown column {name:?}");
                return Err(Failure::new(message).hint(
                    "known are email, password, password_hash and quota, named by the first line",
                ));
            };
            if columns[known].replace(at).is_some() {
                return Err(Failure::new(format!("column {name:?} stands there twice")));
            }
        }
        let [email, password, password_hash, quota] = columns;
        let email = email.ok_or_else(|| {
            Failure::new("there is no column \"email\"").hint("the first line names the columns")
        })?;
        if password.is_none() && password_hash.is_none() {
            return Err(Failure::new(
                "there is no column \"password\" or \"password_hash\"",
            ));
        }
        Ok(Self {
            email,
            password,
            password_hash,
            quota,
        })
    }
}

/// All users, and what is wrong with lines that name none.
fn parse(text: &str) -> Result<(Vec<ImportUser>, Vec<ImportProblem>), Failure> {
    // Spreadsheets begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = ReaderBuilder::new()
        .trim(Trim::Headers)
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|error| Failure::new(error.to_string()))?;
    let fields = header.len();
    let columns = Columns::of(header)?;
    let mut users = Vec::new();
    let mut problems = Vec::new();
    let mut lines = Lines {
        text: text.as_bytes(),
        at: 0,
        line: 1,
    };
    for record in reader.records() {
        let record = record.map_err(|error| Failure::new(error.to_string()))?;
        let line = lines.at(record.position().map_or(0, csv::Position::byte) as usize);
        let user = match record.len() == fields {
            true => user(&record, &columns, line),
            false => Err(format!(
                "{} fields where the first line has {fields}",
                record.len()
            )),
        };
        match user {
            Ok(user) => users.push(user),
            Err(message) => problems.push(ImportProblem { line, message }),
        }
    }
    Ok((users, problems))
}

/// Counts lines. The reader's own count is behind after CRLF and empty lines: it stands before the line end that it skips.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins at this octet or after the line ends there; octets only rise.
    fn at(&mut self, octet: usize) -> u64 {
        while let Some(it) = self.text.get(self.at)
            && (self.at < octet || matches!(it, b'\r' | b'\n'))
        {
            self.line += u64::from(*it == b'\n');
            self.at += 1;
        }
        self.line
    }
}

fn user(record: &StringRecord, columns: &Columns, line: u64) -> Result<ImportUser, String> {
    let field = |column: Option<usize>| {
        let text = column.and_then(|at| record.get(at));
        text.filter(|it| !it.is_empty())
    };
    let password = match (field(columns.password), field(columns.password_hash)) {
        (Some(password), None) => ImportPassword::Plain(Secret::new(password.to_owned())),
        (None, Some(hash)) => ImportPassword::Hash(tidy(hash).to_owned()),
        (None, None) => return Err("has no password and no password_hash".to_owned()),
        (Some(_), Some(_)) => return Err("has both a password and a password_hash".to_owned()),
    };
    let quota = field(columns.quota).map(str::parse::<Quota>).transpose();
    Ok(ImportUser {
        line,
        email: record.get(columns.email).unwrap_or_default().to_owned(),
        password,
        quota: quota
            .map_err(|error| format!("quota: {error}"))?
            .map(|it| it.0),
    })
}

/// A hash without the blanks around it; those behind a password in the clear belong to it.
fn tidy(hash: &str) -> &str {
    let hash = hash.trim_start();
    let scheme = hash.split_once('}').map_or("", |(scheme, _)| scheme);
    let clear = ["{PLAIN", "{CLEARTEXT", "{CLEAR"];
    match clear.iter().any(|it| it.eq_ignore_ascii_case(scheme)) {
        true => hash,
        false => hash.trim_end(),
    }
}

/// Hashes what is not, on all cores, with a bar that shows how long it takes.
async fn hash(import: PreparedImport, output: Output) -> Result<PreparedImport, Failure> {
    let passwords = import.passwords() as u64;
    let target = match output {
        Output::Text => ProgressDrawTarget::stderr(),
        Output::Json => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(passwords), target);
    if let Ok(style) =
        ProgressStyle::with_template("hashing passwords {bar:30} {pos}/{len}, {eta} left")
    {
        bar.set_style(style);
    }
    let hashed = tokio::task::spawn_blocking(move || {
        let mut import = import;
        let result = import.hash_passwords(&|| bar.inc(1));
        bar.finish_and_clear();
        result.map(|()| import)
    });
    hashed
        .await
        .map_err(|error| Failure::new(format!("cannot hash the passwords: {error}")))?
        .map_err(|error| Failure::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_columns_in_any_order() {
        let text = "\u{feff}Quota, email ,password_hash,password\r\n5GiB,ada@example.com,$2y$x,\r\n\r\nunlimited,\"bob@example.com\",,\" a \"\"b\"\" \"\r\n,eve@example.com, $2y$z ,\r\n,zoe@example.com, {PLAIN}z ,\r\n,zed@example.com,{SSHA}z ,\r\n";
        let (users, problems) = parse(text).expect("a good header");
        assert!(problems.is_empty(), "{problems:?}");
        let shown: Vec<_> = users
            .iter()
            .map(|it| {
                let password = match &it.password {
                    ImportPassword::Plain(password) => password.expose().clone(),
                    ImportPassword::Hash(hash) => hash.clone(),
                };
                (it.line, it.email.as_str(), password, it.quota)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (
                    2,
                    "ada@example.com",
                    "$2y$x".to_owned(),
                    Some(Some(5 << 30))
                ),
                (4, "bob@example.com", " a \"b\" ".to_owned(), Some(None)),
                (5, "eve@example.com", "$2y$z".to_owned(), None),
                (6, "zoe@example.com", "{PLAIN}z ".to_owned(), None),
                (7, "zed@example.com", "{SSHA}z".to_owned(), None),
            ]
        );
    }

    #[test]
    fn names_bad_lines_and_bad_columns() {
        let text = "email,password,quota\na@x,p\nb@x,,1GiB\nc@x,p,lots\nd@x,p,\n";
        let (users, problems) = parse(text).expect("a good header");
        assert_eq!(users.len(), 1);
        let problems: Vec<String> = problems
            .iter()
            .map(|it| format!("{}: {}", it.line, it.message))
            .collect();
        assert_eq!(
            problems,
            [
                "2: 2 fields where the first line has 3",
                "3: has no password and no password_hash",
                "4: quota: not a size; write a number of octets or one with a unit, such as \"512KiB\", \"100MiB\" or \"1GiB\", or \"unlimited\"",
            ]
        );
        for (text, message) in [
            (
                "",
                "postrider: there is no column \"email\"; the first line names the columns",
            ),
            (
                "email\na@x",
                "postrider: there is no column \"password\" or \"password_hash\"",
            ),
            (
                "email,email,password",
                "postrider: column \"email\" stands there twice",
            ),
            (
                "email,pass",
                "postrider: unknown column \"pass\"; known are email, password, password_hash and quota, named by the first line",
            ),
        ] {
            assert_eq!(parse(text).map(drop).expect_err(text).to_string(), message);
        }
    }
}
