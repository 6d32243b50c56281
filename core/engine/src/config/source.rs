//! The text of a configuration, its tables, and the problems found while they are read.
//!
//! Sections ask a [`Table`] for their keys one by one; whatever is wrong is noted with its place and the key's default
//! taken, so that one pass finds everything. Each key asked for is recorded, and a test holds the record against
//! the table of known keys.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    problem::{Place, Problem, Severity},
    value::FromValue,
};

/// Looks up a variable of the environment.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A configuration text and what was found in it so far.
pub(super) struct Source<'a> {
    file: PathBuf,
    /// Where relative paths start.
    base: PathBuf,
    text: &'a str,
    environment: Environment<'a>,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Source<'a> {
    /// Starts with a text that came from a file.
    pub(super) fn new(
        file: &Path,
        base: &Path,
        text: &'a str,
        environment: Environment<'a>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            base: base.to_owned(),
            text,
            environment,
            problems: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// Notes that something is wrong.
    pub(super) fn error(&self, at: Option<usize>, message: impl Display) {
        self.note(at, Severity::Error, message.to_string());
    }

    /// Notes that somebody should look at something.
    pub(super) fn warning(&self, at: Option<usize>, message: impl Display) {
        self.note(at, Severity::Warning, message.to_string());
    }

    fn note(&self, at: Option<usize>, severity: Severity, message: String) {
        let problem = Problem {
            file: self.file.clone(),
            place: at.map(|offset| Place::of(self.text, offset)),
            severity,
            message,
        };
        self.problems.borrow_mut().push(problem);
    }

    /// Everything noted, in the order of the text; errors and warnings apart.
    pub(super) fn into_problems(self) -> (Vec<Problem>, Vec<Problem>) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place);
        // A key that is read twice (once for its bounds, once for a warning) is wrong once.
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        problems
            .into_iter()
            .partition(|problem| problem.severity == Severity::Error)
    }

    /// The file itself.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The line of a place, for messages that name two places.
    pub(super) fn line(&self, at: usize) -> usize {
        Place::of(self.text, at).line
    }

    /// A path of the configuration: relative ones start at the file's own directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// A variable of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// Paths of all keys that were asked for.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }
}

/// A table of the configuration, which may be absent: then every key has its default.
#[derive(Clone)]
pub(super) struct Table<'a> {
    pub(super) source: &'a Source<'a>,
    path: String,
    entries: Option<&'a DeTable<'a>>,
    at: Option<usize>,
}

/// A value of the configuration and where it stands.
pub(super) struct Value<'a> {
    pub(super) source: &'a Source<'a>,
    /// Dotted name of its key.
    pub(super) path: String,
    pub(super) value: &'a DeValue<'a>,
    pub(super) at: usize,
}

/// Something read, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: usize,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub(super) fn root(source: &'a Source<'a>, entries: &'a DeTable<'a>) -> Self {
        Self {
            source,
            path: String::new(),
            entries: Some(entries),
            at: None,
        }
    }

    /// Whether it stands in the text.
    pub(super) fn present(&self) -> bool {
        self.entries.is_some()
    }

    /// Where it stands.
    pub(super) fn at(&self) -> Option<usize> {
        self.at
    }

    /// Dotted name of one of its keys.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &str) -> Table<'a> {
        let mut table = Table {
            source: self.source,
            path: self.path(key),
            entries: None,
            at: None,
        };
        match self.entry(key) {
            Some((at, DeValue::Table(entries))) => {
                table.entries = Some(entries);
                table.at = Some(at);
            }
            Some((at, other)) => {
                let (path, kind) = (&table.path, describe(other));
                self.source
                    .error(Some(at), format!("{path}: expected a table, found {kind}"));
            }
            None => {}
        }
        table
    }

    /// The tables of an array of tables.
    pub(super) fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let path = self.path(key);
        let items = match self.entry(key) {
            None => return Vec::new(),
            Some((_, DeValue::Array(items))) => items.iter(),
            Some((at, other)) => {
                let found = describe(other);
                let message = format!("{path}: expected [[{path}]], found {found}");
                self.source.error(Some(at), message);
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for item in items {
            let at = item.span().start;
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(Table {
                    source: self.source,
                    path: path.clone(),
                    entries: Some(entries),
                    at: Some(at),
                }),
                other => {
                    let found = describe(other);
                    let message = format!("{path}: expected tables, found {found}");
                    self.source.error(Some(at), message);
                }
            }
        }
        tables
    }

    /// The value of a key, if it stands there and is right.
    pub(super) fn get<T: FromValue>(&self, key: &str) -> Option<Found<T>> {
        let value = self.value(key)?;
        let read = T::from_value(&value);
        self.keep(&value, read)
    }

    /// The value of a key, or its default.
    pub(super) fn or<T: FromValue>(&self, key: &str, default: T) -> T {
        self.get(key).map_or(default, |found| found.value)
    }

    /// The value of a key if it lies within bounds, or its default.
    pub(super) fn within<T>(&self, key: &str, default: T, bounds: RangeInclusive<T>) -> T
    where
        T: FromValue + PartialOrd + Shown,
    {
        let Some(Found { value, at }) = self.get::<T>(key) else {
            return default;
        };
        if bounds.contains(&value) {
            return value;
        }
        let message = format!(
            "{}: {} is out of range, it must lie between {} and {}",
            self.path(key),
            value.shown(),
            bounds.start().shown(),
            bounds.end().shown(),
        );
        self.source.error(Some(at), message);
        default
    }

    /// The values of a key that takes one or an array of them.
    pub(super) fn list<T: FromValue>(&self, key: &str) -> Vec<Found<T>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.value else {
            let read = T::from_value(&value);
            return self.keep(&value, read).into_iter().collect();
        };
        let mut list = Vec::new();
        for item in items.iter() {
            let value = Value {
                source: self.source,
                path: value.path.clone(),
                value: item.get_ref(),
                at: item.span().start,
            };
            let read = T::from_value(&value);
            list.extend(self.keep(&value, read));
        }
        list
    }

    fn keep<T>(&self, value: &Value<'_>, read: Result<T, String>) -> Option<Found<T>> {
        match read {
            Ok(read) => Some(Found {
                value: read,
                at: value.at,
            }),
            Err(message) => {
                let message = format!("{}: {message}", value.path);
                self.source.error(Some(value.at), message);
                None
            }
        }
    }

    /// Whether a key stands there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether a key stands there with an empty array.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.entry(key), Some((_, DeValue::Array(items))) if items.is_empty())
    }

    /// The value of a key, unread.
    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        let path = self.path(key);
        self.source.asked.borrow_mut().insert(path.clone());
        let (at, value) = self.entry(key)?;
        Some(Value {
            source: self.source,
            path,
            value,
            at,
        })
    }

    fn entry(&self, key: &str) -> Option<(usize, &'a DeValue<'a>)> {
        let (_, value) = self
            .entries?
            .iter()
            .find(|(name, _)| name.get_ref() == key)?;
        Some((value.span().start, value.get_ref()))
    }
}

/// What kind of value this is, for messages.
pub(super) fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// How bounds are written in messages.
pub(super) trait Shown {
    /// As the configuration would write it.
    fn shown(&self) -> String;
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for super::ByteCount {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for std::time::Duration {
    fn shown(&self) -> String {
        super::format_duration(*self)
    }
}
