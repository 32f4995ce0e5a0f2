//! `gateway` and `token`, as child processes.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::net::TcpStream;
use std::process::Command;

use support::{Gateway, run, spawn, start};

/// A file in a folder of this test's.
fn file(name: &str, text: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("gateway");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn json_is_one_line_with_all_that_a_test_suite_needs() {
    let gateway = Gateway::start(&["--app", "chat"]);
    assert_eq!(gateway.get("app"), "chat");
    let (address, token) = (gateway.get("address"), gateway.get("token"));
    assert_eq!(gateway.url(), format!("ws://{address}/apps/chat?access_token={token}"));
    assert_eq!(gateway.ready.as_object().unwrap().len(), 5);
    gateway.run(&["pub", "x", "y"]).with_code(0);
    let published = gateway.post("/api/topics/chat/publish", r#"{"topic":"main","message":1}"#);
    assert_eq!(published, (200, r#"{"delivered":0}"#.to_owned()));
    gateway.running.signal("TERM");
    let ended = gateway.running.ends().with_code(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
}

#[test]
fn a_development_gateway_says_what_to_do_and_what_it_says_works() {
    let gateway = start(&["gateway", "--listen", "127.0.0.1:0"], None);
    let lines: Vec<String> =
        std::iter::repeat_with(|| gateway.line()).take_while(|line| !line.starts_with("Try: ")).collect();
    assert!(lines[0].starts_with("The gateway is ready: 127.0.0.1:"), "{lines:?}");
    let export = lines.iter().find(|line| line.starts_with("export REALTIME_URL=")).unwrap();
    let mut shell = Command::new("sh");
    let script = format!("{export}; exec \"$0\" pub chat 'Hello, World!'");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_realtime-pubsub")]);
    assert_eq!(spawn(shell).ended().with_code(0).err, "acknowledged: 1 message\n");
    gateway.signal("INT");
    gateway.ends().with_code(0);
}

#[test]
fn ctrl_c_closes_the_connections_and_a_gateway_that_nobody_owns_ends() {
    let mut gateway = Gateway::start(&["--until-stdin-closes"]);
    let sub = gateway.sub(&["chat"]);
    gateway.running.close_stdin();
    assert_eq!(sub.says("connection lost"), "connection lost (1001 going away), connecting again");
    gateway.running.ends().with_code(0);
    sub.signal("INT");
    sub.ends().with_code(0);
}

#[test]
fn a_development_or_insecure_gateway_stays_on_loopback() {
    let said = run(&["gateway", "--listen", "0.0.0.0:0"], None).with_code(2).err;
    assert!(said.contains("loopback only") && said.contains("--client-key"), "{said}");
    run(&["gateway", "--insecure", "--listen", "0.0.0.0:0"], None).with_code(2);
    let key = file("loopback.key", "a secret of some length");
    run(&["gateway", "--insecure", "--client-key", &key], None).with_code(2);
}

#[test]
fn an_insecure_gateway_takes_no_token() {
    let gateway = Gateway::start(&["--insecure"]);
    let bare = gateway.url().split('?').next().unwrap();
    run(&["pub", "x", "y"], Some(bare)).with_code(0);
    run(&["pub", "x", "y", "--token", "nonsense"], Some(bare)).with_code(0);
}

#[test]
fn keys_come_from_files_and_the_environment_for_each_app_its_own() {
    let (chat, admin) = (file("chat.key", "chat secret\n"), file("admin.key", "admin secret"));
    let arguments = ["gateway", "--json", "--app", "chat", "--app", "news", "--client-key"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-pubsub"));
    command.args(arguments).args([&chat, "--client-key", "news=env:NEWS_KEY", "--admin-key", &admin]);
    let gateway = spawn({
        command.env("NEWS_KEY", "news secret");
        command
    });
    let ready = gateway.json();
    assert!(ready["token"].is_null() && ready["admin_token"].is_null());
    let url = ready["url"].as_str().unwrap();
    let news_url = url.replace("/apps/chat", "/apps/news");
    let token = |key: &str| {
        let out = run(&["token", "--key", key, "--publish", "*", "--subject", "alice"], None).with_code(0).out;
        out.trim().to_owned()
    };
    let (for_chat, for_news) = (token(&chat), token(&file("news.key", "news secret")));
    let pub_with = |url: &str, token: &str| run(&["pub", "t", "x", "--url", url, "--token", token], None);
    pub_with(url, &for_chat).with_code(0);
    pub_with(&news_url, &for_news).with_code(0);
    for refused in [pub_with(url, &for_news), pub_with(&news_url, &for_chat), pub_with(url, &token(&admin))] {
        let refused = refused.with_code(4);
        assert!(refused.err.contains("401") && !refused.err.contains("eyJ"), "{refused:?}");
    }
}

#[test]
fn tokens_say_what_they_are_made_for() {
    let key = file("token.key", "token secret");
    let gateway = Gateway::start(&["--app", "a", "--client-key", &key]);
    let made = |arguments: &[&str]| run(&[&["token", "--key", &key], arguments].concat(), None).with_code(0);
    let none = made(&[]);
    assert!(none.err.contains("no permissions"), "{none:?}");
    let url = |token: &str| gateway.url_with(token.trim());
    // May subscribe and send; may not publish: no ack comes.
    run(&["send", "x"], Some(&url(&none.out))).with_code(0);
    run(&["pub", "t", "x", "--timeout", "100ms"], Some(&url(&none.out))).with_code(3);
    run(&["sub", "secure/x"], Some(&url(&none.out))).with_code(5);
    let some = made(&["--publish", "t/*", "--read", "secure/x", "--app", "a", "--expires", "1m"]).out;
    run(&["pub", "t/1", "x"], Some(&url(&some))).with_code(0);
    run(&["pub", "u", "x", "--timeout", "100ms"], Some(&url(&some))).with_code(3);
    run(&["sub", "secure/x", "--timeout", "1ms"], Some(&url(&some))).with_code(0);
    run(&["pub", "t", "x"], Some(&url(&made(&["--all", "--app", "b"]).out))).with_code(4);
    // Usage.
    run(&["token", "--key", "/nowhere/at all"], None).with_code(2);
    run(&["token", "--key", "env:REALTIME_NO_SUCH_VARIABLE"], None).with_code(2);
    run(&["token", "--key", &file("empty.key", " \n")], None).with_code(2);
    run(&["token", "--key", &file("public.pem", "-----BEGIN PUBLIC KEY-----")], None).with_code(2);
}

#[test]
fn limits_are_given_by_name() {
    let gateway = Gateway::start(&["--connections-per-subject", "1", "--message-bytes", "2KiB", "--no-acks"]);
    let _sub = gateway.sub(&["x"]);
    let refused = gateway.run(&["pub", "x", "y"]).with_code(4);
    assert!(refused.err.contains("429"), "{refused:?}");
    let roomy = Gateway::start(&["--message-bytes", "2KiB"]);
    roomy.run(&["pub", "x", &"y".repeat(1800)]).with_code(0);
    roomy.run(&["pub", "x", &"y".repeat(2048)]).with_code(4);
    let silent = Gateway::start(&["--no-acks"]);
    silent.run(&["pub", "x", "y", "--timeout", "100ms"]).with_code(3);
    silent.run(&["pub", "x", "y", "--no-ack"]).with_code(0);
}

#[test]
fn what_makes_no_sense_is_a_usage_error_and_quotes_no_secret() {
    for wrong in [
        &["gateway", "--listen", "nowhere"][..],
        &["gateway", "--idle", "0"],
        &["gateway", "--message-bytes", "many"],
        &["gateway", "--tls-cert", "x"],
        &["gateway", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"],
        &["gateway", "--app", "a/b"],
        &["gateway", "--admin-key", "env:PATH"],
        &["gateway", "--app", "a", "--app", "b", "--client-key", "a=env:PATH"],
        &["gateway", "--client-key", "env:PATH", "--admin-key", "env:PATH"],
    ] {
        let ended = run(wrong, None).with_code(2);
        assert!(ended.out.is_empty() && !ended.err.contains("/bin"), "{ended:?}");
    }
    let gateway = Gateway::start(&[]);
    let taken = run(&["gateway", "--listen", gateway.get("address")], None).with_code(1);
    assert!(taken.err.contains("can't listen on"), "{taken:?}");
}

#[test]
fn a_client_that_is_still_there_does_not_keep_the_gateway() {
    let gateway = Gateway::start(&["--drain", "100ms"]);
    let _idle = TcpStream::connect(gateway.get("address")).unwrap();
    gateway.running.signal("INT");
    gateway.running.ends().with_code(0);
}

#[test]
fn tls_is_served_and_its_certificate_is_checked() {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, secret) = (file("tls.pem", &key.cert.pem()), file("tls.key", &key.signing_key.serialize_pem()));
    let gateway = Gateway::start(&["--tls-cert", &certificate, "--tls-key", &secret]);
    assert!(gateway.url().starts_with("wss://127.0.0.1:"));
    gateway.run(&["pub", "x", "y", "--ca", &certificate]).with_code(0);
    let unknown = gateway.run(&["pub", "x", "y"]).with_code(4);
    assert!(unknown.err.contains("certificate"), "{unknown:?}");
    gateway.run(&["pub", "x", "y", "--ca", "/nowhere"]).with_code(2);
}

/// Many systems begin with 1,024 file descriptors for a process, of which each connection takes one.
#[test]
fn a_gateway_takes_more_connections_than_a_shell_gives_it_descriptors() {
    use std::io::{Read, Write};
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -n 64; exec \"$0\" gateway --json", env!("CARGO_BIN_EXE_realtime-pubsub")]);
    let gateway = spawn(shell);
    let ready = gateway.json();
    let address = ready["address"].as_str().unwrap();
    let held: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut tcp = TcpStream::connect(address).unwrap();
            tcp.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
            tcp.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut head = [0; 15];
            tcp.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            tcp
        })
        .collect();
    drop(held);
    gateway.signal("TERM");
    gateway.ends().with_code(0);
}
