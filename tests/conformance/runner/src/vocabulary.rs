//! What a scenario may say: every operation with the fields it takes. What is not here is a mistake in the scenario.

use crate::json::Json;

/// An operation of a driver: its name, then its fields; those with a `?` may be left out.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("new", &["url?", "urls?", "options?"]),
    ("connect", &["timeout?"]),
    ("start", &[]),
    ("disconnect", &["timeout?"]),
    ("drop", &[]),
    ("flush", &[]),
    ("subscribe", &["topic"]),
    ("unsubscribe", &["topic"]),
    ("state", &[]),
    ("connection", &[]),
    ("stats", &[]),
    ("publish", &["topic", "payload", "message_type?", "id?", "compress?", "wait?"]),
    ("publish_now", &["topic", "payload", "message_type?", "id?", "compress?", "wait?"]),
    ("send", &["payload", "message_type?", "id?", "compress?", "wait?"]),
    ("burst", &["topic", "count"]),
    ("request", &["topic", "payload", "message_type?", "timeout?"]),
    ("ack", &["wait", "timeout?"]),
    ("next_reply", &["wait", "timeout?"]),
    ("replies", &["wait", "timeout?"]),
    ("forget", &["wait"]),
    ("on", &["name", "listener", "then?", "rest?"]),
    ("once", &["name", "listener", "then?", "rest?"]),
    ("off", &["listener"]),
    ("wait_for", &["name", "timeout?"]),
    ("messages", &["name", "stream"]),
    ("next", &["stream"]),
    ("close_stream", &["stream"]),
    ("serve", &["topic", "message_type", "answer", "serving"]),
    ("stop_serving", &["serving"]),
    ("release", &["gate"]),
    ("cancel", &["op"]),
    ("use_handle", &["handle"]),
    ("wait_for_itself", &[]),
    // Within a listener only.
    ("reply", &["data", "status?", "compress?", "wait?"]),
    ("throw", &["text"]),
    ("hold", &["gate"]),
];

const IN_LISTENERS: [&str; 3] = ["reply", "throw", "hold"];

const GATEWAY: &[(&str, &[&str])] = &[
    ("kick", &["client?", "code", "reason?"]),
    ("close", &["client?", "code", "reason?"]),
    ("reset", &["client?"]),
    ("acks", &["fault"]),
    ("stall", &["client?"]),
    ("unstall", &[]),
    ("pings", &["swallow"]),
    ("split", &["bytes", "pause?"]),
    ("connects", &["fault", "count?"]),
    ("clear", &[]),
    ("send", &["client?", "frame?", "text?", "binary?"]),
    ("bytes", &["client?", "bytes"]),
    ("rest", &["method?", "path", "body?"]),
    ("connections", &[]),
    ("stop", &[]),
    ("start", &[]),
];

const SERVER: &[(&str, &[&str])] = &[
    ("accept", &["connection"]),
    ("welcome", &["connection?", "id?"]),
    ("receive", &["connection?", "pings?"]),
    ("send", &["connection?", "frame"]),
    ("send_binary", &["connection?", "frame"]),
    ("close", &["connection?", "code", "reason?"]),
    ("drop", &["connection?"]),
];

/// What every step with `do` may have besides.
const OUTCOME: [&str; 4] = ["gives", "fails", "as", "later"];

/// Checks a step, and those within it.
pub(crate) fn check_step(step: &Json, clients: &[&str], scripted: bool) -> Result<(), String> {
    let fields = step.fields().ok_or("a step is an object")?;
    let allowed = |names: &[&str]| match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(format!("a step like this has no {name:?}")),
        None => Ok(()),
    };
    let known_client = |name: &str| match clients.contains(&name) {
        true => Ok(()),
        false => Err(format!("there is no client {name:?}")),
    };
    if let Some(operation) = step.get("do") {
        let operation = operation.as_str().ok_or("do wants a text")?;
        let (who, what) = operation.split_once('.').ok_or_else(|| format!("{operation:?} is not who.what"))?;
        return match who {
            "gateway" if !scripted => check_fields(what, step, GATEWAY, &OUTCOME),
            "server" if scripted => check_fields(what, step, SERVER, &OUTCOME),
            "gateway" | "server" => Err(format!("this scenario has no {who}")),
            client => {
                known_client(client)?;
                if IN_LISTENERS.contains(&what) {
                    return Err(format!("{what} is for listeners"));
                }
                check_fields(what, step, OPERATIONS, &OUTCOME)
            }
        };
    }
    if step.get("hear").is_some() {
        allowed(&["hear", "by", "event", "events", "until", "as"])?;
        let kinds = ["event", "events", "until"].iter().filter(|name| fields.contains_key(**name)).count();
        return if kinds == 1 {
            known_client(text(step, "by")?)
        } else {
            Err("hear wants one of event, events, until".into())
        };
    }
    if step.get("nothing").is_some() {
        allowed(&["nothing", "by"])?;
        return known_client(text(step, "by")?);
    }
    if step.get("await").is_some() {
        return allowed(&["await", "gives", "fails", "as"]);
    }
    if step.get("check").is_some() {
        return allowed(&["check", "is"]);
    }
    if let Some(until) = step.get("until") {
        allowed(&["until"])?;
        return check_step(until, clients, scripted);
    }
    if step.get("repeat").is_some() {
        allowed(&["repeat", "steps"])?;
        let steps = step.get("steps").and_then(Json::as_array).ok_or("repeat wants steps")?;
        return steps.iter().try_for_each(|step| check_step(step, clients, scripted));
    }
    Err(format!("not a step: {step}"))
}

fn text<'a>(step: &'a Json, name: &str) -> Result<&'a str, String> {
    step.get(name).and_then(Json::as_str).ok_or_else(|| format!("{name} wants a text"))
}

fn check_fields(what: &str, step: &Json, known: &[(&str, &[&str])], besides: &[&str]) -> Result<(), String> {
    let (_, takes) = known.iter().find(|(name, _)| *name == what).ok_or_else(|| format!("nobody can {what:?}"))?;
    let fields = step.fields().ok_or("a step is an object")?;
    for name in fields.keys().map(String::as_str) {
        if name != "do" && !besides.contains(&name) && !takes.iter().any(|field| field.trim_end_matches('?') == name) {
            return Err(format!("{what} takes no {name:?}"));
        }
    }
    if let Some(missing) = takes.iter().find(|field| !field.ends_with('?') && !fields.contains_key(**field)) {
        return Err(format!("{what} needs {missing:?}"));
    }
    for operation in step.get("then").and_then(Json::as_array).unwrap_or_default() {
        check_fields(text(operation, "do")?, operation, OPERATIONS, &["client"])?;
    }
    Ok(())
}
