//! The gateway's settings, and what happens to them while it runs.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use support::{Ended, Running, run, spawn, start};

/// A folder of one test's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("configuration-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        // As tools do it that never leave a file half written.
        std::fs::write(self.0.join("new"), text).unwrap();
        std::fs::rename(self.0.join("new"), &path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the gateway's check with these variables.
fn check(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-pubsub"));
    command.args(["gateway", "--check"]).args(arguments);
    command.envs(variables.iter().map(|(name, value)| (format!("REALTIME_GATEWAY_{name}"), value)));
    spawn(command).ended()
}

fn token(key: &str) -> String {
    run(&["token", "--key", key, "--all"], None).with_code(0).out.trim().to_owned()
}

/// A gateway of a file, and its URL.
fn serve(config: &str) -> (Running, String) {
    let gateway = start(&["gateway", "--json", "--config", config], None);
    let url = gateway.json()["url"].as_str().unwrap().to_owned();
    (gateway, url)
}

fn publish(url: &str, token: &str) -> Ended {
    run(&["pub", "t", "x", "--url", url, "--token", token], None)
}

#[test]
fn a_flag_comes_before_the_environment_and_that_before_the_file() {
    let folder = Folder::new();
    let config = folder.file("gateway.toml", "listen = \"127.0.0.1:1\"\napp = [\"from\", \"file\"]\n");
    let file = ["--config", &config];
    let both = ["--config", &*config, "--listen", "127.0.0.1:3", "--app", "flag"];
    let variables = [("LISTEN", "127.0.0.1:2"), ("APP", "the, environment")];
    let says = |ended: Ended| ended.with_code(0).out;
    assert_eq!(says(check(&[], &[])), "The settings are good: 127.0.0.1:0, apps: local\n");
    assert_eq!(says(check(&file, &[])), "The settings are good: 127.0.0.1:1, apps: from, file\n");
    assert_eq!(says(check(&file, &variables)), "The settings are good: 127.0.0.1:2, apps: the, environment\n");
    assert_eq!(says(check(&both, &variables)), "The settings are good: 127.0.0.1:3, apps: flag\n");
    assert_eq!(says(check(&[], &[("CONFIG", &config)])), "The settings are good: 127.0.0.1:1, apps: from, file\n");
    assert_eq!(says(check(&file, &[("LISTEN", "")])), "The settings are good: 127.0.0.1:1, apps: from, file\n");
}

#[test]
fn every_error_names_its_setting_and_where_the_value_came_from() {
    let folder = Folder::new();
    let config =
        folder.file("gateway.toml", "\nidle = \"0s\"\nmessage-bytes = true\n\nclose = [\"1s\", \"2s\"]\ntypo = 1\n");
    let said = check(&["--config", &config], &[]).with_code(2).err;
    for error in [
        "message-bytes: must be text or a number, or a list of them (from ",
        "gateway.toml, line 3)",
        "typo: there is no such setting (from ",
        "gateway.toml, line 6)",
    ] {
        assert!(said.contains(error), "{error}\n{said}");
    }
    let config = folder.file("gateway.toml", "\nidle = \"0s\"\nclose = [\"1s\", \"2s\"]\n");
    let variables = [("CONNECTIONS", "-1"), ("CONSOLE", "perhaps")];
    let said = check(&["--config", &config, "--topic-bytes", "many", "--log-format=xml"], &variables).with_code(2).err;
    for error in [
        "idle: must be more than 0, and not for ever (from ",
        "gateway.toml, line 2)",
        "close: is given more than once (from ",
        "connections: must be a whole number, at least 1 and not without end (from the environment variable REALTIME_GATEWAY_CONNECTIONS)",
        "console: must be true or false (from the environment variable REALTIME_GATEWAY_CONSOLE)",
        "topic-bytes: must begin with a number (from --topic-bytes)",
        "log-format: must be text or json (from --log-format)",
    ] {
        assert!(said.contains(error), "{error}\n{said}");
    }
    for (text, error) in [
        ("idle = \n", "gateway.toml, line 1)"),
        ("[[app]]\nid = \"a\"\n[[app]]\nclient-key = \"x\"\n", "app.id: an app needs one"),
        ("[[app]]\nid = \"a\"\nclient-keys = \"x\"\n", "app.client-keys: there is no such setting of an app"),
        ("admin-key = \"x\"\n[[app]]\nid = \"a\"\n", "admin-key: the file has [[app]] tables: set it there (from "),
        ("json = true\n", "json: Is for the command line only"),
        ("admin-key = \"env:PATH\"\n", "admin-key: needs a client-key too (from "),
        ("[[app]]\nid = \"a\"\nclient-key = \"nowhere\"\n", "client-key: nowhere: can't be read: "),
        ("nats-user = \"x\"\n", "nats-user: needs nats too (from "),
        ("nats = \"a\"\nnats-password = \"env:PATH\"\n", "nats: there is a password but no user"),
        ("nats = \"a\"\nnats-token = \"nowhere\"\n", "nats-token: can't be read: "),
        ("nats = \"a\"\nnats-cert = \"nowhere\"\n", "nats-cert: needs nats-key too (from "),
        ("tls-cert = \"nowhere\"\n", "tls-cert: needs tls-key too (from "),
        ("[[app]]\nid = \"a/b\"\n", "an app's id has 1 to 128 of"),
        ("[[app]]\nid = \"a\"\nclient-key = \"env:PATH\"\n[[app]]\nid = \"b\"\n", "client-key: app \"b\" has none"),
    ] {
        let config = folder.file("gateway.toml", text);
        let said = check(&["--config", &config], &[]).with_code(2).err;
        assert!(said.to_lowercase().contains(&error.to_lowercase()), "{error}\n{said}");
        assert!(!said.contains("/bin"), "a key is quoted: {said}");
    }
    let said = check(&["--config", "/nowhere/at all"], &[]).with_code(2).err;
    assert!(said.contains("config: can't read /nowhere/at all"), "{said}");
}

#[test]
fn nats_is_configured_like_the_rest() {
    let folder = Folder::new();
    folder.file("password", "s3cret\n");
    let text = "nats = [\"nats://a:4222\", \"tls://b\"]\nnats-user = \"u\"\nnats-password = \"password\"\nnats-prefix = \"chat\"\n";
    let config = folder.file("gateway.toml", text);
    check(&["--config", &config], &[]).with_code(0);
    check(&[], &[("NATS", "nats://a, nats://b"), ("NATS_TIMEOUT", "1s")]).with_code(0);
    let said = check(&["--config", &config, "--nats-prefix", "a..b"], &[]).with_code(2).err;
    assert!(said.contains("nats") && said.contains("prefix") && !said.contains("s3cret"), "{said}");
    // What is in the files is looked at too, before anything is connected.
    for (setting, error) in [("--nats-ca", "no certificate authority"), ("--nats-credentials", "has no NATS USER JWT")]
    {
        let said = check(&["--nats", "a", setting, &config], &[]).with_code(2).err;
        assert!(said.contains("nats: ") && said.contains(error), "{said}");
    }
}

#[test]
fn a_switch_of_the_file_can_be_turned_off_again() {
    let folder = Folder::new();
    let config = folder.file("gateway.toml", "insecure = true\nlisten = \"0.0.0.0:1\"\n");
    check(&["--config", &config], &[]).with_code(2);
    let key = folder.file("a.key", "a secret");
    check(&["--config", &config, "--client-key", &key], &[]).with_code(2);
    check(&["--config", &config, "--client-key", &key, "--insecure=false"], &[]).with_code(0);
    check(&["--config", &config, "--client-key", &key], &[("INSECURE", "false")]).with_code(0);
}

#[test]
fn a_file_has_several_apps_with_keys_beside_it() {
    let folder = Folder::new();
    let (one, two) = (folder.file("one.key", "secret of one"), folder.file("two.key", "secret of two"));
    let config = folder.file(
        "gateway.toml",
        "log-level = \"off\"\n\
         [[app]]\nid = \"one\"\nclient-key = \"one.key\"\n\
         [[app]]\nid = \"two\"\nclient-key = [\"two.key\"]\nno-acks = true\n",
    );
    let (_gateway, url) = serve(&config);
    assert!(url.ends_with("/apps/one"), "{url}");
    publish(&url, &token(&one)).with_code(0);
    publish(&url, &token(&two)).with_code(4);
    let url = url.replace("/apps/one", "/apps/two");
    publish(&url, &token(&one)).with_code(4);
    run(&["pub", "t", "x", "--url", &url, "--token", &token(&two), "--timeout", "100ms"], None).with_code(3);
}

#[test]
fn on_sighup_keys_are_read_again_and_connections_stay() {
    let folder = Folder::new();
    let old = folder.file("client.key", "the old secret");
    let config = folder.file("gateway.toml", "[[app]]\nid = \"chat\"\nclient-key = \"client.key\"\n");
    let (gateway, url) = serve(&config);
    let old_token = token(&old);
    let sub = start(&["sub", "t", "--url", &url, "--token", &old_token], None);
    sub.says("subscribed: ");
    // Old and new together, then the new one alone.
    folder.file("new.key", "the new secret");
    folder.file("gateway.toml", "[[app]]\nid = \"chat\"\nclient-key = [\"client.key\", \"new.key\"]\n");
    gateway.signal("HUP");
    gateway.says_with("keys reloaded");
    let new_token = token(folder.0.join("new.key").to_str().unwrap());
    publish(&url, &old_token).with_code(0);
    sub.line();
    publish(&url, &new_token).with_code(0);
    sub.line();
    folder.file("gateway.toml", "[[app]]\nid = \"chat\"\nclient-key = \"new.key\"\n");
    gateway.signal("HUP");
    gateway.says_with("keys reloaded");
    publish(&url, &old_token).with_code(4);
    publish(&url, &new_token).with_code(0);
    sub.line();
    // What can't be used changes nothing, and is told.
    folder.file("new.key", "");
    gateway.signal("HUP");
    let said = gateway.says_with("can't reload the keys; those in use stay");
    assert!(said.contains("new.key") && said.contains("it is empty"), "{said}");
    publish(&url, &new_token).with_code(0);
    sub.line();
    folder.file("new.key", "the new secret");
    folder.file("gateway.toml", "idle = \"5s\"\n[[app]]\nid = \"chat\"\nclient-key = \"new.key\"\n");
    gateway.signal("HUP");
    gateway.says_with("settings other than keys have changed");
    gateway.says_with("none has changed");
    gateway.signal("TERM");
    let ended = gateway.ends().with_code(0);
    assert!(!ended.err.contains("secret"), "{}", ended.err);
}

#[test]
fn keys_that_change_are_noticed_without_a_signal_when_asked_for() {
    let folder = Folder::new();
    let old_token = token(&folder.file("client.key", "the old secret"));
    let config = folder.file("gateway.toml", "reload-keys = \"20ms\"\napp = \"chat\"\nclient-key = \"client.key\"\n");
    let (gateway, url) = serve(&config);
    publish(&url, &old_token).with_code(0);
    let new_token = token(&folder.file("client.key", "the new secret"));
    gateway.says_with("keys reloaded");
    publish(&url, &new_token).with_code(0);
    publish(&url, &old_token).with_code(4);
}

#[test]
fn logs_are_objects_a_line_when_asked_for() {
    let folder = Folder::new();
    let key = folder.file("client.key", "a secret");
    let arguments =
        ["gateway", "--json", "--app", "chat", "--client-key", &key, "--log-format", "json", "--log-level", "debug"];
    let gateway = start(&arguments, None);
    let url = gateway.json()["url"].as_str().unwrap().to_owned();
    let token = token(&key);
    publish(&url, &token).with_code(0);
    gateway.signal("TERM");
    let ended = gateway.ends().with_code(0);
    let lines: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find =
        |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(find("listening")["app"], "chat");
    assert!(find("closed by the client")["connection"].is_string());
    assert!(find("stopping")["timestamp"].is_string() && !ended.err.contains(&token));
}

#[test]
fn the_console_is_announced_and_its_link_opens_it() {
    let gateway = support::Gateway::start(&["--console"]);
    let (page, fragment) = gateway.get("console").split_once('#').unwrap();
    assert_eq!(page, format!("http://{}/console", gateway.get("address")));
    assert_eq!(fragment, format!("token={}", gateway.get("admin_token")));
}

#[test]
fn the_files_to_deploy_are_good_and_the_guide_tells_of_every_setting() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let folder = Folder::new();
    for key in ["chat-client.key", "chat-admin.key"] {
        folder.file(key, key);
    }
    // The comments of the example are settings too.
    let all: String = read("deploy/gateway.toml")
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
        .collect();
    let certificate = !all.contains("tls-cert");
    assert!(certificate, "the example needs no files but its keys");
    check(&["--config", &folder.file("gateway.toml", &all)], &[]).with_code(0);
    let guide = read("core/gateway/README.md");
    let help = run(&["gateway", "--help"], None).with_code(0).out;
    let flags = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
    let names: std::collections::BTreeSet<&str> = flags
        .map(|word| word.split(|c: char| c != '-' && !c.is_ascii_lowercase()).next().unwrap())
        .filter(|name| !["help", "verbose", "version", "", "check", "json", "until-stdin-closes"].contains(name))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "the guide's table has no `{name}`");
    }
}
