//! Writes the part of `tests/abi/surface.c` that knows every function of the header: how to call each with valid
//! arguments, and with any one of them spoiled. `cargo run -p realtime-pubsub-c --example surface > functions.h`.

use std::fmt::Write as _;

struct Parameter {
    kind: char,
    given: String,
    before: String,
    after: String,
}

fn main() {
    let header = include_str!("../../../include/realtime_pubsub.h");
    let mut out = String::from("/* Made by bindings/c/examples/surface.rs. */\n");
    let mut table = String::new();
    for declaration in header.split("RPS_API ").skip(1) {
        let Some((declaration, _)) = declaration.split_once(");") else { continue };
        let Some((head, parameters)) = declaration.split_once('(') else { continue };
        let Some(name) = head.strip_prefix("int32_t ") else { continue };
        let parameters: Vec<&str> = parameters.split(',').map(str::trim).collect();
        let parameters: Vec<Parameter> = parameters
            .iter()
            .enumerate()
            .map(|(index, parameter)| spoilable(index, parameter, &parameters[..index]))
            .collect();
        let kinds: String = parameters.iter().map(|parameter| parameter.kind).collect();
        let join = |part: fn(&Parameter) -> &str, with: &str| {
            parameters.iter().map(part).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(with)
        };
        let _ = writeln!(
            out,
            "static int32_t call_{name}(int at, int how, uint64_t bad) {{\n    (void)at, (void)how, (void)bad;\n    {}\n    \
             int32_t got = {name}({});\n    {}\n    return got;\n}}",
            join(|p| &p.before, "\n    "),
            join(|p| &p.given, ", "),
            join(|p| &p.after, "\n    "),
        );
        let destructive = name.ends_with("_free")
            || name.starts_with("rps_disconnect")
            || ["rps_off", "rps_cancel", "rps_gateway_stop", "rps_gateway_kick", "rps_gateway_fault"].contains(&name);
        let handle = parameters[0].given.split("F.").nth(1).unwrap_or("").trim_end_matches(')');
        let _ =
            writeln!(table, "    {{\"{name}\", call_{name}, \"{kinds}\", {}, \"{handle}\"}},", i32::from(destructive));
    }
    let _ = writeln!(out, "static const struct function FUNCTIONS[] = {{\n{table}}};");
    print!("{out}");
}

/// How to pass one parameter, spoiled where `at` is its index.
fn spoilable(index: usize, parameter: &str, before: &[&str]) -> Parameter {
    let (kind, name) = parameter.rsplit_once([' ', '*']).unwrap_or((parameter, ""));
    let kind = kind.trim();
    let plain = |kind: char, given: String| Parameter { kind, given, before: String::new(), after: String::new() };
    let or_null = |given: String| format!("at == {index} ? NULL : {given}");
    let is_pointer = parameter.contains('*');
    match (kind, is_pointer) {
        ("const char", true) => {
            let json = ["payload", "data", "json"].contains(&name);
            let text = match name {
                "url" => "ws://127.0.0.1:1/apps/x",
                "name" | "pattern" => "a.b",
                _ if json => "1",
                _ => "text",
            };
            plain(if json { 'j' } else { 's' }, format!("spoiled(at == {index}, how, \"{text}\")"))
        }
        ("size_t", false) => {
            let of = before.last().and_then(|text| text.rsplit_once('*')).map_or("", |(_, name)| name);
            let text = match of {
                "url" => "ws://127.0.0.1:1/apps/x",
                "name" | "pattern" => "a.b",
                "payload" | "data" | "json" => "1",
                _ => "text",
            };
            plain('z', format!("spoiled_len(at == {}, how, {})", index - 1, text.len()))
        }
        ("rps_error", true) => plain('e', or_null("&error".into())).with_before("rps_error error;"),
        (_, true) if kind.starts_with("const ") => {
            let kind = &kind["const ".len()..];
            plain('p', or_null(format!("&{name}"))).with_before(&format!("{kind} {name} = RPS_INIT({kind});"))
        }
        (_, true) => {
            let free = match kind {
                "rps_listener" => "rps_off",
                "rps_pending" => "rps_cancel",
                "rps_message" | "rps_event" | "rps_response" | "rps_wait" | "rps_client" | "rps_gateway"
                | "rps_text" | "rps_messages" | "rps_replies" => "free",
                _ => "",
            };
            let after = match free {
                "" => String::new(),
                "free" => format!("if (got == RPS_OK && {name}) {kind}_free({name}, NULL);"),
                other => format!("if (got == RPS_OK && {name}) {other}({name}, NULL);"),
            };
            let sized = ["rps_event_view", "rps_stats", "rps_sender", "rps_presence"].contains(&kind);
            let start = if sized { format!("RPS_INIT({kind})") } else { "0".into() };
            let before = match kind {
                "rps_str" => format!("rps_str {name} = {{NULL, 0}};"),
                _ => format!("{kind} {name} = {start};"),
            };
            Parameter { after, ..plain('o', or_null(format!("&{name}"))).with_before(&before) }
        }
        ("rps_listener_callback" | "rps_completion" | "rps_url_provider" | "rps_logger", false) => {
            plain('c', format!("made_{kind}()"))
        }
        ("int64_t" | "int32_t" | "uint32_t" | "uint16_t", false) => {
            let value = match name {
                "level" => "RPS_LOG_INFO",
                "code" => "4000",
                _ => "0",
            };
            plain('n', value.into())
        }
        (handle, false) => plain('h', format!("(at == {index} ? bad : F.{})", handle.trim_start_matches("rps_"))),
    }
}

impl Parameter {
    fn with_before(self, before: &str) -> Self {
        Parameter { before: before.into(), ..self }
    }
}
