//! Options that belong to a model, where there are several.
//!
//! In: the values of an option as given, and a model's name. Out: its own value.
//! Invariant: `VALUE` is for all models, `NAME=VALUE` for one and before that for all;
//! where there is one model, a value is all of the text, whatever it holds.

use std::str::FromStr;

use anyhow::bail;

/// The model whose options are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// There is only one.
    Only,
    /// One of several.
    One {
        /// Its name.
        name: &'a str,
        /// The names of all.
        all: &'a [String],
    },
}

/// What a value without a model's name in front of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// For all models; an equals sign in it belongs to a wrong name.
    ForAll,
    /// For all models; it may hold an equals sign of its own.
    ForAllWithEquals,
    /// An error: no file is for two models.
    Refused,
}

impl<'a> Of<'a> {
    /// All values that are for the model: those for all first.
    pub fn values<'v>(self, option: &str, given: &'v [String], bare: Bare) -> anyhow::Result<Vec<&'v str>> {
        let Of::One { name, all } = self else { return Ok(given.iter().map(String::as_str).collect()) };
        let (mut general, mut own) = (Vec::new(), Vec::new());
        for text in given {
            match text.split_once('=') {
                Some((model, value)) if all.iter().any(|known| known == model) => {
                    own.extend((model == name).then_some(value));
                }
                Some((model, _)) if bare != Bare::ForAllWithEquals => {
                    bail!("{option} {text}: no model is called '{model}'; the models are {}", all.join(", "))
                }
                _ if bare == Bare::Refused => {
                    bail!("{option} {text}: for which model? Write for instance {option} {name}={text}")
                }
                _ => general.push(text.as_str()),
            }
        }
        general.extend(own);
        Ok(general)
    }

    /// The value of an option that a model has once.
    pub fn value<'v>(self, option: &str, given: &'v [String], bare: Bare) -> anyhow::Result<Option<&'v str>> {
        let values = self.values(option, given, bare)?;
        let named = |name: &str| given.iter().filter(|text| text.starts_with(&format!("{name}="))).count();
        let own = match self {
            Of::Only => 0,
            Of::One { name, .. } => named(name),
        };
        if own > 1 || values.len() > own + 1 {
            let whose = match self {
                Of::One { name, .. } if own > 1 => format!(" for '{name}'"),
                _ => String::new(),
            };
            bail!("{option} is given twice{whose}");
        }
        Ok(values.last().copied())
    }

    /// The value of an option with a default.
    pub fn parsed<T: FromStr<Err = String>>(
        self,
        option: &str,
        given: &[String],
    ) -> anyhow::Result<Option<T>> {
        let value = self.value(option, given, Bare::ForAll)?;
        value.map(str::parse).transpose().map_err(anyhow::Error::msg)
    }

    /// Whether a flag is set: for all models, or with `=NAME` for this one.
    pub fn flag(self, option: &str, given: &[String]) -> anyhow::Result<bool> {
        let known = |text: &String| match self {
            Of::Only => false,
            Of::One { all, .. } => all.contains(text),
        };
        if let Some(wrong) = given.iter().find(|text| !text.is_empty() && !known(text)) {
            match self {
                Of::Only => bail!("{option}={wrong}: there is one model; write {option}"),
                Of::One { all, .. } => {
                    bail!("{option}={wrong}: no model is called '{wrong}'; the models are {}", all.join(", "))
                }
            }
        }
        Ok(given.iter().any(|text| match self {
            Of::One { name, .. } if !text.is_empty() => text == name,
            _ => true,
        }))
    }
}

/// Lets a value pass that is one of `T`, with or without a name in front.
pub fn checked<T: FromStr<Err = String>>(given: &str) -> Result<String, String> {
    let value = given.split_once('=').map_or(given, |(_, value)| value);
    value.parse::<T>().map(|_| given.to_owned())
}
