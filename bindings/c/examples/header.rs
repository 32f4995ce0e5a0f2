//! Makes `include/realtime_pubsub.h` from the sources: `cargo run -p realtime-pubsub-c --example header`. With `--check`
//! it says whether the one that is there is fresh.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use cbindgen::{Builder, Config, DocumentationStyle, EnumConfig, ExportConfig, Language, Layout, SortKey, Style};

/// The sections in their order: a type stands before what uses it.
const SECTIONS: [(&str, &str); 17] = [
    ("handles", "Handles"),
    ("input", "Text and time"),
    ("errors", "Errors, states, versions"),
    ("message", "Messages and replies"),
    ("event", "Events"),
    ("provider", "Where the URL comes from"),
    ("logger", "Logging"),
    ("callback", "Callbacks"),
    ("options", "Options"),
    ("listen", "Listening"),
    ("client", "The client"),
    ("publish", "Publishing, sending, asking"),
    ("wait", "Waiting for acks and replies"),
    ("stream", "Streams"),
    ("texts", "Texts"),
    ("gateway", "The local gateway"),
    ("faults", "The local gateway's faults"),
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../include/realtime_pubsub.h");
    let header = match header(root) {
        Ok(header) => header,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if std::env::args().any(|argument| argument == "--check") {
        if std::fs::read_to_string(&path).unwrap_or_default() == header {
            return ExitCode::SUCCESS;
        }
        eprintln!("include/realtime_pubsub.h is stale: cargo run -p realtime-pubsub-c --example header");
        return ExitCode::FAILURE;
    }
    match std::fs::write(&path, header) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn header(root: &Path) -> Result<String, String> {
    let mut header = include_str!("header/begin.h").to_owned();
    for (module, title) in SECTIONS {
        let path = root.join("src").join(module).with_extension("rs");
        let source = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let _ = write!(header, "\n/* ---- {title} ---- */\n");
        // The module's own words, without its first line, which is the title.
        let words: Vec<&str> =
            source.lines().take_while(|line| line.starts_with("//!")).skip(2).map(|line| line[3..].trim()).collect();
        if !words.is_empty() {
            let _ = write!(header, "/*\n * {}\n */\n", words.join("\n * "));
        }
        header.push('\n');
        let bindings = Builder::new().with_config(config(&source)).with_src(&path).generate();
        let mut section = Vec::new();
        bindings.map_err(|error| format!("{module}: {error}"))?.write(&mut section);
        let section = String::from_utf8(section).map_err(|error| error.to_string())?;
        header.push_str(&tidy(&section));
        if module == "input" {
            let _ = write!(header, "\n{}\n", include_str!("header/after_input.h"));
        }
    }
    header.push_str(include_str!("header/end.h"));
    Ok(header)
}

/// One line for what fits in one, and negative numbers in parentheses.
fn tidy(section: &str) -> String {
    let mut tidied = String::new();
    // Types of other sections are known by their short names too.
    let section = section.replace("struct rps_", "rps_").replace("typedef rps_", "typedef struct rps_");
    let lines: Vec<&str> = section.lines().map(str::trim_end).collect();
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let comment = lines.get(index + 1).and_then(|next| next.trim_start().strip_prefix("* "));
        let ends = lines.get(index + 2).is_some_and(|last| last.trim() == "*/");
        if let (Some(indent), Some(words), true) = (line.strip_suffix("/**"), comment, ends) {
            let _ = writeln!(tidied, "{indent}/** {words} */");
            index += 3;
            continue;
        }
        index += 1;
        let value = line.rsplit_once(" -").filter(|_| line.starts_with("#define"));
        match value {
            Some((name, number)) => drop(writeln!(tidied, "{name} (-{number})")),
            None if *line == "RPS_API" => tidied.push_str("RPS_API "),
            None => drop(writeln!(tidied, "{line}")),
        }
    }
    tidied.trim_matches('\n').to_owned() + "\n"
}

/// All of the module's types are shown, whether its functions use them or not.
fn config(source: &str) -> Config {
    let named = |line: &str| {
        let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub type "))?;
        rest.split([' ', ';', '(', '<']).next().map(str::to_owned)
    };
    Config {
        language: Language::C,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        line_length: 110,
        tab_width: 4,
        no_includes: true,
        usize_is_size_t: true,
        sort_by: SortKey::None,
        function: cbindgen::FunctionConfig {
            sort_by: Some(SortKey::None),
            args: Layout::Auto,
            prefix: Some("RPS_API".to_owned()),
            ..Default::default()
        },
        constant: cbindgen::ConstantConfig { sort_by: Some(SortKey::None), ..Default::default() },
        enumeration: EnumConfig::default(),
        export: ExportConfig { include: source.lines().filter_map(named).collect(), ..Default::default() },
        ..Config::default()
    }
}
