//! The scenarios, as they stand in the files.

use std::collections::HashSet;
use std::path::Path;

use crate::json::Json;
use crate::vocabulary::check_step;

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) area: String,
    pub(crate) name: String,
    pub(crate) gateway: Json,
    /// The server has TLS.
    pub(crate) tls: Option<Json>,
    /// A scripted server takes the gateway's place.
    pub(crate) scripted: bool,
    pub(crate) clients: Vec<ClientSpec>,
    pub(crate) steps: Vec<Json>,
}

/// A client of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct ClientSpec {
    pub(crate) name: String,
    pub(crate) settings: Json,
}

impl ClientSpec {
    /// Runs in the other language of a pair.
    pub(crate) fn is_other(&self) -> bool {
        self.settings.get("other").and_then(Json::as_bool) == Some(true)
    }

    pub(crate) fn subject(&self) -> &str {
        self.settings.get("subject").and_then(Json::as_str).unwrap_or(&self.name)
    }
}

impl Scenario {
    /// Whether it is to be run with each language beside each other.
    pub(crate) fn is_pair(&self) -> bool {
        self.clients.iter().any(ClientSpec::is_other)
    }
}

/// Reads all scenarios of a folder, and checks them.
pub(crate) fn load(folder: &Path) -> Result<Vec<Scenario>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut scenarios = Vec::new();
    for file in files {
        let within = |error: String| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(&file).map_err(|error| within(error.to_string()))?;
        let json = Json::parse(&text).map_err(|error| within(error.to_string()))?;
        let area = json.get("area").and_then(Json::as_str).ok_or_else(|| within("has no area".into()))?;
        let list = json.get("scenarios").and_then(Json::as_array).ok_or_else(|| within("has no scenarios".into()))?;
        for scenario in list {
            scenarios.push(read(area, scenario).map_err(within)?);
        }
    }
    let mut names = HashSet::new();
    match scenarios.iter().find(|scenario| !names.insert(scenario.name.clone())) {
        Some(scenario) => Err(format!("there are two scenarios {:?}", scenario.name)),
        None => Ok(scenarios),
    }
}

fn read(area: &str, json: &Json) -> Result<Scenario, String> {
    let name = json.get("name").and_then(Json::as_str).ok_or("a scenario without a name")?;
    let within = |error: String| format!("{name}: {error}");
    let fields = json.fields().ok_or("a scenario is an object")?;
    const FIELDS: [&str; 6] = ["name", "gateway", "server", "tls", "clients", "steps"];
    if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(within(format!("a scenario has no {unknown:?}")));
    }
    let clients = fields.get("clients").and_then(Json::fields).ok_or_else(|| within("has no clients".into()))?;
    let clients: Vec<_> =
        clients.iter().map(|(name, settings)| ClientSpec { name: name.clone(), settings: settings.clone() }).collect();
    for client in &clients {
        const SETTINGS: [&str; 8] =
            ["make", "subject", "permissions", "options", "connect", "subscribe", "other", "url"];
        let given = client.settings.fields().ok_or_else(|| within("a client's settings are an object".into()))?;
        if let Some(unknown) = given.keys().find(|name| !SETTINGS.contains(&name.as_str())) {
            return Err(within(format!("a client has no {unknown:?}")));
        }
    }
    let scripted = fields.get("server").and_then(Json::as_str) == Some("scripted");
    let steps = fields.get("steps").and_then(Json::as_array).ok_or_else(|| within("has no steps".into()))?.to_vec();
    let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    for (index, step) in steps.iter().enumerate() {
        check_step(step, &names, scripted).map_err(|error| within(format!("step {}: {error}", index + 1)))?;
    }
    if !steps.iter().any(expects) {
        return Err(within("expects nothing".into()));
    }
    let tls = fields.get("tls").cloned();
    for setting in tls.iter().filter_map(Json::fields).flat_map(|settings| settings.keys()) {
        if !["name", "expired", "clients"].contains(&setting.as_str()) {
            return Err(within(format!("tls has no {setting:?}")));
        }
    }
    let gateway = fields.get("gateway").cloned().unwrap_or(Json::Null);
    Ok(Scenario { area: area.to_owned(), name: name.to_owned(), gateway, tls, scripted, clients, steps })
}

fn expects(step: &Json) -> bool {
    let within = step.get("steps").and_then(Json::as_array).unwrap_or_default();
    ["hear", "gives", "fails", "is", "nothing", "until"].iter().any(|name| step.get(name).is_some())
        || within.iter().any(expects)
}
