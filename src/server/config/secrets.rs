//! The values that are secrets: none is ever shown.

use super::sources::Raw;
use super::value::{Value, quoted};
use crate::auth::Secret;

impl Value for Secret {
    fn allowed() -> String {
        "a string that is not empty".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
    fn show(&self) -> String {
        quoted("(redacted)")
    }
}

/// One secret, or a list of them; in a variable with commas between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(pub(super) Vec<Secret>);

impl Value for Secrets {
    fn allowed() -> String {
        "a string that is not empty, or a list of such".into()
    }
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(vec![Secret::from_text(text)?]))
    }
    fn show(&self) -> String {
        match &self.0[..] {
            [secret] => secret.show(),
            secrets => secrets.to_vec().show(),
        }
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        let secrets = match raw {
            Raw::List(_) | Raw::Words(_) => Vec::from_raw(raw).map(Self),
            _ => Secret::from_raw(raw).map(|secret| Self(vec![secret])),
        };
        match secrets {
            Ok(Self(secrets)) if secrets.is_empty() => Err(raw.to_string()),
            secrets => secrets,
        }
    }
}

/// Names and passwords: a table of the file, or `name=password,…` in a variable.
#[derive(Clone, Debug, Default)]
pub(super) struct Users(pub(super) Vec<(String, Secret)>);

impl Value for Users {
    fn allowed() -> String {
        r#"a table of names and passwords, none of them empty (in a variable: "name=password,…")"#
            .into()
    }
    fn from_text(text: &str) -> Option<Self> {
        text.split(',')
            .map(str::trim)
            .filter(|user| !user.is_empty())
            .map(|user| {
                let (name, password) = user.split_once('=')?;
                (!name.is_empty()).then_some((name.to_owned(), Secret::from_text(password)?))
            })
            .collect::<Option<_>>()
            .map(Self)
    }
    fn show(&self) -> String {
        let users: Vec<String> = self
            .0
            .iter()
            .map(|(name, password)| format!("{} = {}", quoted(name), password.show()))
            .collect();
        format!("{{{}}}", users.join(", "))
    }
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Table(users) => users
                .iter()
                .map(|(name, password)| {
                    if name.is_empty() {
                        return Err(String::new());
                    }
                    Ok((name.clone(), Secret::from_raw(password)?))
                })
                .collect::<Result<_, _>>()
                .map(Self),
            Raw::Words(text) => Self::from_text(text).ok_or_else(|| raw.to_string()),
            _ => Err(raw.to_string()),
        }
    }
}
