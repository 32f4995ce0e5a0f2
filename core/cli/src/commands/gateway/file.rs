//! The configuration file: TOML whose keys are the settings' names, and `[[app]]` for each app.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{Given, Source, Value, boolean, setting};

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) given: Given,
    pub(crate) apps: Vec<AppTable>,
}

/// An `[[app]]`.
#[derive(Clone, Debug)]
pub(crate) struct AppTable {
    pub(crate) id: Value,
    pub(crate) client_keys: Option<Value>,
    pub(crate) admin_keys: Option<Value>,
    pub(crate) no_acks: Option<bool>,
}

impl File {
    /// Reads a file's text; all that is wrong with it.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<File, Vec<String>> {
        let source = |at: usize| {
            let line = text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
            Source::File { path: path.to_owned(), line }
        };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![format!("{} (from {})", error.message(), source(at))]
        })?;
        let (mut file, mut errors) = (File::default(), Vec::new());
        for (key, value) in table.get_ref() {
            let source = source(key.span().start);
            let name = &**key.get_ref();
            let taken = match (name, value.get_ref()) {
                ("app", DeValue::Array(tables)) if tables.iter().any(|item| item.get_ref().is_table()) => {
                    for item in tables {
                        match app(item, &source) {
                            Ok(app) => file.apps.push(app),
                            Err(error) => errors.push(error),
                        }
                    }
                    Ok(())
                }
                ("config" | "check" | "json" | "until-stdin-closes", _) => {
                    Err("is for the command line only".to_owned())
                }
                (name, value) => match setting(name) {
                    None => Err("there is no such setting".to_owned()),
                    Some(setting) => texts(value, setting.is_switch()).map(|texts| {
                        file.given.0.insert(setting.name, Value { texts, source: source.clone() });
                    }),
                },
            };
            if let Err(error) = taken {
                errors.push(format!("{name}: {error} (from {source})"));
            }
        }
        if errors.is_empty() { Ok(file) } else { Err(errors) }
    }
}

fn app(item: &Spanned<DeValue<'_>>, source: &Source) -> Result<AppTable, String> {
    let Some(table) = item.get_ref().as_table() else {
        return Err(format!("app: must be tables, [[app]], or names, not both (from {source})"));
    };
    let wrong = |key: &str, error: String| format!("app.{key}: {error} (from {source})");
    let (mut id, mut client_keys, mut admin_keys, mut no_acks) = (None, None, None, None);
    for (key, value) in table {
        let key = &**key.get_ref();
        let text = || texts(value.get_ref(), false).map(|texts| Value { texts, source: source.clone() });
        match key {
            "id" => id = Some(text().map_err(|error| wrong(key, error))?),
            "client-key" => client_keys = Some(text().map_err(|error| wrong(key, error))?),
            "admin-key" => admin_keys = Some(text().map_err(|error| wrong(key, error))?),
            "no-acks" => {
                let texts = texts(value.get_ref(), true).map_err(|error| wrong(key, error))?;
                no_acks = texts.first().and_then(|text| boolean(text).ok());
            }
            _ => return Err(wrong(key, "there is no such setting of an app".into())),
        }
    }
    let id = id.filter(|id| id.texts.len() == 1).ok_or_else(|| wrong("id", "an app needs one".into()))?;
    Ok(AppTable { id, client_keys, admin_keys, no_acks })
}

/// A value as it would be given on the command line.
fn texts(value: &DeValue<'_>, switch: bool) -> Result<Vec<String>, String> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err("must be text or a number, or a list of them".to_owned()),
    };
    match value {
        DeValue::Boolean(value) if switch => Ok(vec![value.to_string()]),
        _ if switch => Err("must be true or false".into()),
        DeValue::Array(items) => items.iter().map(|item| text(item.get_ref())).collect(),
        value => text(value).map(|text| vec![text]),
    }
}
