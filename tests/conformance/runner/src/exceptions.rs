//! What a language can't do, and why: `exceptions.json`. A skip that is not listed there is a failure, and so is an entry
//! that nothing needs any more.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::json::Json;

pub(crate) struct Exceptions {
    listed: Vec<(String, String, String)>,
    used: Mutex<HashSet<usize>>,
}

impl Exceptions {
    pub(crate) fn load(file: &Path) -> Result<Exceptions, String> {
        let within = |error: String| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| within(error.to_string()))?;
        let json = Json::parse(&text).map_err(|error| within(error.to_string()))?;
        let entries = json.as_array().ok_or_else(|| within("is no array".into()))?;
        let listed = entries.iter().map(|entry| {
            let field =
                |name| entry.get(name).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
            let (Some(language), Some(operation), Some(reason)) =
                (field("language"), field("operation"), field("reason"))
            else {
                return Err(within(format!("{entry} wants a language, an operation and a reason")));
            };
            Ok((language, operation, reason))
        });
        Ok(Exceptions { listed: listed.collect::<Result<_, String>>()?, used: Mutex::default() })
    }

    /// The reason that is listed.
    pub(crate) fn reason(&self, language: &str, operation: &str) -> Option<String> {
        let index = self.listed.iter().position(|(of, what, _)| of == language && what == operation)?;
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(index);
        let (_, _, reason) = self.listed.get(index)?;
        Some(format!("{language}, {operation}: {reason}"))
    }

    /// What is listed for these languages and was not needed.
    pub(crate) fn unused(&self, languages: &[String]) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self
            .listed
            .iter()
            .enumerate()
            .filter(|(index, (language, ..))| languages.contains(language) && !used.contains(index));
        unused.map(|(_, (language, operation, _))| format!("{language}, {operation}")).collect()
    }
}
