//! Reading single values: types, `${NAME}` from the environment, networks, addresses of listeners.

use std::{path::PathBuf, str::FromStr, time::Duration};

use ipnet::IpNet;
use postrider_protocol::message::address::Address;
use toml::de::DeValue;

use super::{
    ByteCount, parse_duration,
    source::{Value, describe},
};

/// What can be read from one value. An error completes "key: ".
pub(super) trait FromValue: Sized {
    /// Reads it.
    fn from_value(value: &Value<'_>) -> Result<Self, String>;
}

impl Value<'_> {
    /// The string, with `${NAME}` put in from the environment and `$$` standing for a dollar sign before a brace.
    pub(super) fn string(&self, wanted: &str) -> Result<String, String> {
        let DeValue::String(text) = self.value else {
            return Err(self.expected(wanted));
        };
        substitute(text, &|name| self.source.variable(name))
    }

    /// Whether (part of) the string comes from the environment.
    pub(super) fn is_substituted(&self) -> bool {
        matches!(self.value, DeValue::String(text) if text.contains("${"))
    }

    fn expected(&self, wanted: &str) -> String {
        format!("expected {wanted}, found {}", describe(self.value))
    }

    fn integer(&self) -> Option<Result<i64, String>> {
        let DeValue::Integer(integer) = self.value else {
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix());
        Some(number.map_err(|_| format!("{integer} is too large")))
    }

    fn parsed<T>(&self, wanted: &str) -> Result<T, String>
    where
        T: FromStr<Err: std::fmt::Display>,
    {
        let text = self.string(wanted)?;
        text.parse().map_err(|error| format!("{text:?}: {error}"))
    }
}

/// Puts variables into a string: `${NAME}` is the variable, `$${` a literal `${`.
fn substitute(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        let after = &rest[at + 2..];
        if let Some(before) = before.strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = after;
            continue;
        }
        result.push_str(before);
        let (name, tail) = after
            .split_once('}')
            .ok_or("\"${\" without its \"}\"; write \"$${\" for a literal \"${\"")?;
        let good = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !good {
            return Err(format!("{name:?} is no name of an environment variable"));
        }
        let value =
            variable(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
        result.push_str(&value);
        rest = tail;
    }
    result.push_str(rest);
    Ok(result)
}

impl FromValue for String {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        let text = value.string("a string")?;
        if text.trim().is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err("must not hold control characters".to_owned());
        }
        Ok(text)
    }
}

impl FromValue for PathBuf {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        let text = value.string("a path")?;
        if text.is_empty() || text.contains('\0') {
            return Err("must be a path".to_owned());
        }
        Ok(value.source.resolve(&text))
    }
}

impl FromValue for bool {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        match value.value {
            DeValue::Boolean(boolean) => Ok(*boolean),
            _ => Err(value.expected("true or false")),
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        let number = value
            .integer()
            .ok_or_else(|| value.expected("a whole number"))??;
        u32::try_from(number).map_err(|_| format!("{number} is out of range"))
    }
}

impl FromValue for ByteCount {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        match value.integer() {
            Some(number) => {
                let number = number?;
                let octets = u64::try_from(number).map_err(|_| format!("{number} is negative"))?;
                Ok(ByteCount(octets))
            }
            None => value.parsed("a size such as \"100MiB\""),
        }
    }
}

impl FromValue for Duration {
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        if let Some(Ok(number)) = value.integer() {
            return Err(format!(
                "a span of time needs a unit, such as \"{number}s\""
            ));
        }
        let text = value.string("a span of time such as \"3s\"")?;
        parse_duration(&text).map_err(|error| format!("{text:?}: {error}"))
    }
}

impl FromValue for IpNet {
    /// A network, or a single address.
    fn from_value(value: &Value<'_>) -> Result<Self, String> {
        let text = value.string("a network such as \"10.0.0.0/8\"")?;
        if let Ok(address) = text.parse::<std::net::IpAddr>() {
            return Ok(IpNet::from(address));
        }
        let net: IpNet = text.parse().map_err(|_| {
            format!("{text:?}: not a network; write it as \"10.0.0.0/8\" or \"2001:db8::/32\"")
        })?;
        if net.trunc() != net {
            let base = net.trunc();
            return Err(format!(
                "{text:?}: has bits set beyond its prefix; write {base} or the single address"
            ));
        }
        Ok(net)
    }
}

/// Types that are read from a string and say themselves what is wrong with it.
macro_rules! from_text {
    ($($type:ty: $wanted:literal),* $(,)?) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value<'_>) -> Result<Self, String> {
                value.parsed($wanted)
            }
        })*
    };
}

from_text! {
    Address: "an address",
    super::Keep: "whole days such as \"7d\", or \"never\"",
    super::Bind: "an address and port, or the path of a unix socket",
    super::LogFormat: "a log format",
    super::Program: "the name of a program",
    super::Service: "the name of a service",
    super::TlsVersion: "a version of TLS",
    super::store::Consistency: "a consistency",
    super::store::Kind: "a kind of store",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "NAME").then(|| "va${NAME}lue".to_owned())
    }

    #[test]
    fn puts_variables_in_once() {
        for (text, result) in [
            ("plain $ text", "plain $ text"),
            ("${NAME}", "va${NAME}lue"),
            ("a${NAME}b${NAME}", "ava${NAME}luebva${NAME}lue"),
            ("$${NAME}", "${NAME}"),
            ("{email}", "{email}"),
        ] {
            assert_eq!(substitute(text, &variable).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn names_the_variable_that_is_missing() {
        for (text, message) in [
            ("${NOPE}", "environment variable NOPE is not set"),
            (
                "${NAME",
                "\"${\" without its \"}\"; write \"$${\" for a literal \"${\"",
            ),
            ("${}", "\"\" is no name of an environment variable"),
            ("${A B}", "\"A B\" is no name of an environment variable"),
        ] {
            assert_eq!(
                substitute(text, &variable),
                Err(message.to_owned()),
                "{text}"
            );
        }
    }
}
