//! Passwords from standard input, never from arguments: those stand in the list of processes and in histories.

use std::io::{self, BufRead, IsTerminal};

use postrider::{
    auth::password::{check_password, hash_password},
    config::Secret,
};

use crate::Failure;

/// More than any password: what is longer is read no further.
const LINE_LIMIT: u64 = 4096;

/// Reads a new password for a user and makes its hash. On a terminal it is asked for twice and not shown; otherwise it is the first
/// line.
///
/// # Errors
/// No password, two different ones, one that bcrypt cannot take.
pub fn read_hash(email: &str) -> Result<String, Failure> {
    let password = match io::stdin().is_terminal() {
        true => ask(email)?,
        false => first_line(io::stdin().lock())?,
    };
    check_password(&password).map_err(|error| Failure::new(error.to_string()))?;
    hash_password(&password).map_err(|error| Failure::new(error.to_string()))
}

fn ask(email: &str) -> Result<Secret<String>, Failure> {
    let prompt = |text: String| {
        rpassword::prompt_password(text)
            .map(Secret::new)
            .map_err(|error| Failure::new(format!("cannot read a password: {error}")))
    };
    let password = prompt(format!("New password of {email}: "))?;
    let again = prompt("Again: ".to_owned())?;
    match password == again {
        true => Ok(password),
        false => Err(Failure::new("the passwords differ")),
    }
}

fn first_line(input: impl BufRead) -> Result<Secret<String>, Failure> {
    let mut line = Vec::new();
    let read = input.take(LINE_LIMIT).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(format!("cannot read a password: {error}")))?;
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    let text = String::from_utf8(line);
    text.map(Secret::new)
        .map_err(|_| Failure::new("the password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_line_without_its_end() {
        for (input, password) in [
            ("hunter2\nmore\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("hunter2", "hunter2"),
            (" a b \n", " a b "),
            ("\n", ""),
            ("", ""),
        ] {
            let line = first_line(input.as_bytes()).expect("a line");
            assert_eq!(line.expose(), password);
        }
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }
}
