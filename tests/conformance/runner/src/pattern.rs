//! What a scenario expects, and the values it has remembered.

use std::collections::HashMap;

use crate::json::Json;

/// What a scenario has remembered, by name.
pub(crate) type Memory = HashMap<String, Json>;

/// `pattern` with what is remembered in its place: `"$name.field"` is the value, `${name.field}` within text its text,
/// `{"$repeat": ["x", 1000]}` a long text.
pub(crate) fn resolve(pattern: &Json, memory: &Memory) -> Result<Json, String> {
    Ok(match pattern {
        Json::String(text) if text.starts_with('$') && !text.starts_with("${") && text != "$any" => {
            look_up(text.trim_start_matches('$'), memory)?.clone()
        }
        Json::String(text) => Json::String(interpolate(text, memory)?),
        Json::Array(items) => Json::Array(items.iter().map(|item| resolve(item, memory)).collect::<Result<_, _>>()?),
        Json::Object(fields) => {
            if let Some(repeat) = fields.get("$repeat") {
                let text = repeat.get("0").and_then(Json::as_str);
                let times = repeat.get("1").and_then(Json::as_u64);
                let (Some(text), Some(times)) = (text, times) else {
                    return Err(format!("$repeat wants a text and a number, not {repeat}"));
                };
                return Ok(Json::String(text.repeat(times as usize)));
            }
            let resolved = fields.iter().map(|(name, value)| Ok((name.clone(), resolve(value, memory)?)));
            Json::Object(resolved.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

fn look_up<'a>(path: &str, memory: &'a Memory) -> Result<&'a Json, String> {
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    let mut value = memory.get(first).ok_or_else(|| format!("nothing is remembered as {first:?}"))?;
    for name in names {
        value = value.get(name).ok_or_else(|| format!("${path}: there is no {name:?} in {value}"))?;
    }
    Ok(value)
}

fn interpolate(text: &str, memory: &Memory) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (path, behind) = after.split_once('}').ok_or_else(|| format!("no }} behind ${{ in {text:?}"))?;
        out.push_str(before);
        match look_up(path, memory)? {
            Json::String(value) => out.push_str(value),
            value => out.push_str(&value.to_string()),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// The names of what a pattern's object may begin with.
const OPERATORS: [&str; 7] = ["$contains", "$not", "$between", "$length", "$exactly", "$one_of", "$absent"];

/// Whether `actual` is what `pattern` expects. An object may have more fields than its pattern.
pub(crate) fn matches(pattern: &Json, actual: &Json) -> Result<(), String> {
    let differs = || Err(format!("expected {}, got {}", shorten(pattern), shorten(actual)));
    match (pattern, actual) {
        (Json::String(any), _) if any == "$any" => Ok(()),
        (Json::Object(fields), _) if fields.len() == 1 && fields.keys().all(|name| name.starts_with('$')) => {
            let Some((name, operand)) = fields.iter().next() else { return differs() };
            if operator(name, operand, actual)? { Ok(()) } else { differs() }
        }
        (Json::Object(expected), Json::Object(found)) => {
            for (name, value) in expected {
                let field = found.get(name).unwrap_or(&Json::Null);
                matches(value, field).map_err(|why| format!("{name}: {why}"))?;
            }
            Ok(())
        }
        (Json::Array(expected), Json::Array(found)) if expected.len() == found.len() => {
            for (index, (value, item)) in expected.iter().zip(found).enumerate() {
                matches(value, item).map_err(|why| format!("[{index}]: {why}"))?;
            }
            Ok(())
        }
        (Json::Number(expected), Json::Number(found)) if Json::same_number(expected, found) => Ok(()),
        (Json::Null | Json::Bool(_) | Json::String(_), _) if pattern == actual => Ok(()),
        _ => differs(),
    }
}

fn operator(name: &str, operand: &Json, actual: &Json) -> Result<bool, String> {
    Ok(match (name, actual) {
        ("$contains", Json::String(text)) => operand.as_str().is_some_and(|part| text.contains(part)),
        ("$contains", Json::Array(items)) => items.iter().any(|item| matches(operand, item).is_ok()),
        ("$contains", _) => false,
        ("$not", _) => matches(operand, actual).is_err(),
        ("$absent", _) => *actual == Json::Null,
        ("$between", Json::Number(_)) => {
            let bound = |index| operand.get(index).and_then(Json::as_f64);
            let number = actual.as_f64();
            bound("0") <= number && number <= bound("1")
        }
        ("$between", _) => false,
        ("$length", Json::String(text)) => operand.as_u64() == Some(text.chars().count() as u64),
        ("$length", Json::Array(items)) => operand.as_u64() == Some(items.len() as u64),
        ("$length", _) => false,
        ("$exactly", _) => {
            matches(operand, actual)?;
            operand.fields().map(|fields| fields.len()) == actual.fields().map(|fields| fields.len())
        }
        ("$one_of", _) => operand.as_array().unwrap_or_default().iter().any(|one| matches(one, actual).is_ok()),
        _ => return Err(format!("no such operator: {name}; there are {}", OPERATORS.join(" "))),
    })
}

/// A value as text that fits a report.
pub(crate) fn shorten(value: &Json) -> String {
    shorten_text(&value.to_string())
}

/// Text that fits a report.
pub(crate) fn shorten_text(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, actual: &str) -> Result<(), String> {
        let parse = |text| Json::parse(text).map_err(|error| error.to_string());
        matches(&parse(pattern)?, &parse(actual)?)
    }

    #[test]
    fn objects_may_have_more_fields_and_arrays_may_not() {
        assert_eq!(check(r#"{"a":1}"#, r#"{"a":1,"b":2}"#), Ok(()));
        assert!(check(r#"{"a":1,"c":0}"#, r#"{"a":1}"#).is_err());
        assert!(check("[1]", "[1,2]").is_err());
        assert!(check(r#"{"$exactly":{"a":1}}"#, r#"{"a":1,"b":2}"#).is_err());
    }

    #[test]
    fn operators_say_yes_and_no() {
        for (pattern, actual, expected) in [
            (r#"{"$contains":"b"}"#, r#""abc""#, true),
            (r#"{"$contains":"x"}"#, r#""abc""#, false),
            (r#"{"$contains":2}"#, "[1,2]", true),
            (r#"{"$not":1}"#, "1", false),
            (r#"{"$absent":true}"#, "null", true),
            (r#"{"$absent":true}"#, "0", false),
            (r#"{"$between":[1,3]}"#, "3", true),
            (r#"{"$between":[1,3]}"#, "4", false),
            (r#"{"$length":2}"#, "[1,2]", true),
            (r#"{"$one_of":[1,"a"]}"#, r#""a""#, true),
            (r#""$any""#, "[]", true),
            ("9007199254740993", "9007199254740992", false),
            (r#"{"$nonsense":1}"#, "1", false),
        ] {
            assert_eq!(check(pattern, actual).is_ok(), expected, "{pattern} on {actual}");
        }
    }

    #[test]
    fn what_is_remembered_takes_its_place() -> Result<(), String> {
        let memory = Memory::from([("info".to_owned(), Json::object([("id", "c1".into())]))]);
        let resolved = resolve(&Json::object([("a", "$info.id".into()), ("b", "priv/${info.id}".into())]), &memory)?;
        assert_eq!(resolved, Json::object([("a", "c1".into()), ("b", "priv/c1".into())]));
        assert!(resolve(&"$nobody".into(), &memory).is_err());
        Ok(())
    }
}
