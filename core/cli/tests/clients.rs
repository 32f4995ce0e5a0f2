//! `pub`, `sub`, `send`, `request`, `serve` and `completions`, as child processes.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{Gateway, run, start};

#[test]
fn what_is_published_is_printed_as_json_lines() {
    let gateway = Gateway::start(&[]);
    let sub = gateway.sub(&["chat"]);
    gateway.run(&["pub", "chat", "Hello, \"World\"!", "--type", "text-message", "--id", "one"]).with_code(0);
    let message = sub.json();
    assert_eq!(message["topic"], "chat");
    assert_eq!(message["messageType"], "text-message");
    assert_eq!(message["payload"], "Hello, \"World\"!");
    assert_eq!(message["id"], "one");
    assert_eq!(message["compression"], false);
    assert_eq!(message["client"]["subject"], "developer");
    // Numbers come out as they went in, digit by digit.
    gateway.run(&["pub", "chat", "--json", r#"{"n":9007199254740993.10}"#, "--compress"]).with_code(0);
    let line = sub.line();
    assert!(
        line.contains(r#""payload":{"n":9007199254740993.10}"#) && line.contains(r#""compression":true"#),
        "{line}"
    );
    let (status, _) = gateway.post("/api/topics/local/publish", r#"{"topic":"chat","message":[1]}"#);
    assert_eq!(status, 200);
    assert_eq!(sub.json(), json!({"topic": "chat", "messageType": "broadcast", "payload": [1], "compression": false}));
    sub.signal("TERM");
    sub.ends().with_code(0);
}

#[test]
fn patterns_choose_what_is_printed() {
    let gateway = Gateway::start(&[]);
    let all = gateway.sub(&["--topic", "a", "--topic", "b", "**.yes", "--payload"]);
    let one = gateway.sub(&["a.*", "--payload", "-n", "1"]);
    gateway.run(&["pub", "a", "1", "-t", "no"]).with_code(0);
    gateway.run(&["pub", "b", "2", "-t", "yes"]).with_code(0);
    gateway.run(&["pub", "a", "3", "-t", "yes"]).with_code(0);
    assert_eq!((all.line(), all.line()), ("2".to_owned(), "3".to_owned()));
    assert_eq!(one.ends().with_code(0).out, "1\n");
    assert_eq!(run(&["sub", "a***"], Some("ws://127.0.0.1:1/apps/a")).code(), 2);
}

#[test]
fn each_line_of_stdin_is_a_message_in_order() {
    let gateway = Gateway::start(&[]);
    let sub = gateway.sub(&["log", "--payload", "--count", "3000"]);
    let mut publisher = start(&["pub", "log"], Some(gateway.url()));
    let lines: String = (0..3000).map(|number| format!("line {number}\n")).collect();
    publisher.write(&lines);
    let ended = publisher.ended().with_code(0);
    assert_eq!(ended.err, "acknowledged: 3000 messages\n");
    assert_eq!(sub.ends().with_code(0).out, lines);
}

#[test]
fn counts_and_timeouts_have_their_exit_codes() {
    let gateway = Gateway::start(&[]);
    gateway.run(&["sub", "x", "--timeout", "50ms"]).with_code(0);
    let few = gateway.run(&["sub", "x", "--count", "2", "--timeout", "50ms"]).with_code(3);
    assert!(few.err.contains("fewer than 2"), "{few:?}");
    let forbidden = run(&["sub", "secure/x"], Some(&gateway.url_with("nonsense"))).with_code(4);
    assert!(forbidden.err.contains("401") && !forbidden.err.contains("nonsense"), "{forbidden:?}");
    let none = gateway.run(&["request", "nobody", "?", "--timeout", "50ms"]).with_code(3);
    assert!(none.out.is_empty());
}

#[test]
fn a_subscriber_goes_on_after_its_connection_was_lost() {
    let gateway = Gateway::start(&[]);
    let sub = gateway.sub(&["chat", "--payload"]);
    let request = |method: &str| {
        use std::io::{Read, Write};
        let mut tcp = std::net::TcpStream::connect(gateway.get("address")).unwrap();
        let head = format!(
            "{method} /api/connections/local HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            gateway.get("admin_token")
        );
        tcp.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    };
    request("DELETE");
    sub.says("connection lost (1008 terminated by an administrator)");
    sub.says("connected again");
    gateway.run(&["pub", "chat", "after"]).with_code(0);
    assert_eq!(sub.line(), "after");
}

#[test]
fn a_command_answers_requests() {
    let gateway = Gateway::start(&[]);
    let serve = start(&["serve", "shout", "--", "tr", "a-z", "A-Z"], Some(gateway.url()));
    serve.says("serving: shout.broadcast");
    assert_eq!(gateway.run(&["request", "shout", "hello"]).with_code(0).out, "HELLO\n");
    let full = gateway.run(&["request", "shout", "x", "--full", "--id", "7"]).with_code(0).out;
    let full: serde_json::Value = serde_json::from_str(&full).unwrap();
    assert_eq!((&full["id"], &full["status"], &full["data"]), (&json!("7"), &json!("ok"), &json!("X")));
    assert_eq!(full["from"]["subject"], "developer");
    serve.signal("INT");
    serve.ends().with_code(0);
}

#[test]
fn a_command_answers_what_is_sent_and_knows_where_it_came_from() {
    let gateway = Gateway::start(&[]);
    let script = r#"read payload; echo "{\"got\":$payload,\"type\":\"$REALTIME_TYPE\",\"by\":\"$REALTIME_SUBJECT\",\"id\":\"$REALTIME_ID\"}""#;
    let serve =
        start(&["serve", "secure/inbound", "-t", "order", "--json", "--", "sh", "-c", script], Some(gateway.url()));
    serve.says("serving: secure/inbound.order");
    let reply = gateway.run(&["request", "--send", "-t", "order", "--id", "i", "-j", r#"{"item":7}"#]).with_code(0).out;
    assert_eq!(reply, "{\"got\":{\"item\":7},\"type\":\"order\",\"by\":\"developer\",\"id\":\"i\"}\n");
}

#[test]
fn a_command_that_fails_is_a_reply_with_status_error() {
    let gateway = Gateway::start(&[]);
    let failing = start(&["serve", "f", "--", "sh", "-c", "echo broken >&2; exit 3"], Some(gateway.url()));
    let missing = start(&["serve", "m", "--", "/no/such/command"], Some(gateway.url()));
    let slow = start(&["serve", "s", "--timeout", "50ms", "--", "cat", "/dev/zero"], Some(gateway.url()));
    let no_json = start(&["serve", "j", "--json", "--", "echo", "{"], Some(gateway.url()));
    for (server, topic, says) in [
        (&failing, "f", "broken"),
        (&missing, "m", "can't be run"),
        (&slow, "s", "ran longer"),
        (&no_json, "j", "no JSON"),
    ] {
        server.says("serving: ");
        let ended = gateway.run(&["request", topic, "x"]).with_code(6);
        assert!(ended.out.contains(says) && ended.err.contains("\"error\""), "{ended:?}");
    }
}

#[test]
fn all_replies_are_printed_until_the_time_is_up() {
    let gateway = Gateway::start(&[]);
    let one = start(&["serve", "who", "--", "echo", "one"], Some(gateway.url()));
    let two = start(&["serve", "who", "--", "echo", "two"], Some(gateway.url()));
    one.says("serving: ");
    two.says("serving: ");
    let out = gateway.run(&["request", "who", "?", "--all", "--timeout", "2s"]).with_code(0).out;
    let mut answers: Vec<&str> = out.lines().map(|line| if line.contains("one") { "one" } else { "two" }).collect();
    answers.sort_unstable();
    assert_eq!(answers, ["one", "two"]);
}

#[test]
fn ctrl_c_and_sigterm_have_the_usual_codes() {
    let gateway = Gateway::start(&[]);
    let sub = gateway.sub(&["in"]);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut publisher = start(&["pub", "in"], Some(gateway.url()));
        publisher.write("first\n");
        // It is in the middle of its work now, waiting for stdin.
        assert_eq!(sub.json()["payload"], "first");
        publisher.signal(signal);
        publisher.ends().with_code(code);
        let request = start(&["request", "in", "?", "--timeout", "60s"], Some(gateway.url()));
        assert_eq!(sub.json()["payload"], "?");
        request.signal(signal);
        request.ends().with_code(code);
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let gateway = Gateway::start(&[]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$0\" sub x --payload | head -n 1", env!("CARGO_BIN_EXE_realtime-pubsub")]);
    shell.env("REALTIME_URL", gateway.url());
    let mut shell = support::spawn(shell);
    shell.says("subscribed");
    gateway.run(&["pub", "x", "1"]).with_code(0);
    assert_eq!(shell.line(), "1");
    // `head` is gone now or soon; sooner or later a message finds that out.
    for _ in 0..100 {
        if shell.has_ended() {
            break;
        }
        gateway.run(&["pub", "x", "2"]).with_code(0);
    }
    let ended = shell.ends().with_code(0);
    assert!(!ended.err.contains("panic") && !ended.err.contains("pipe"), "{ended:?}");
}

#[test]
fn without_a_connection_it_says_why() {
    let none = run(&["pub", "x", "y"], None).with_code(2);
    assert!(none.err.contains("REALTIME_URL"), "{none:?}");
    let dead = run(&["pub", "x", "y"], Some("ws://127.0.0.1:1/apps/a?access_token=SECRET")).with_code(4);
    assert!(dead.err.contains("127.0.0.1:1") && !dead.err.contains("SECRET"), "{dead:?}");
    run(&["pub", "x", "y", "--connect-timeout", "300ms"], Some("ws://127.0.0.1:1/apps/a")).with_code(4);
    run(&["pub", "x", "y"], Some("http://127.0.0.1:1/apps/a")).with_code(2);
}

#[test]
fn wrong_usage_is_told_without_secrets() {
    let url = "ws://h/apps/a?access_token=SECRET";
    let surplus = run(&["pub", "a", "b", url], None).with_code(2);
    assert!(surplus.err.contains("unexpected argument") && !surplus.err.contains("SECRET"), "{surplus:?}");
    let token = "eyJhbGciOi.eyJzdWIi.SECRET";
    assert!(!run(&["send", "a", token], Some(url)).with_code(2).err.contains("SECRET"));
    for wrong in [
        &["pub"][..],
        &["pub", "x", "--json", "{"],
        &["pub", "x", "--id", "i"],
        &["request", "x"],
        &["request", "--send", "x", "y"],
        &["serve", "x"],
        &["sub", "--count", "0"],
        &["sub", "--timeout", "soon"],
        &["nonsense"],
        &[],
    ] {
        assert_eq!(run(wrong, Some(url)).with_code(2).out, "", "{wrong:?}");
    }
    let help = run(&["help", "sub"], Some(url)).with_code(0).out;
    assert!(help.contains("REALTIME_URL") && !help.contains("SECRET"), "{help}");
}

#[test]
fn what_is_sent_reaches_who_listens_to_the_application() {
    let gateway = Gateway::start(&[]);
    let backend = gateway.sub(&["secure/inbound"]);
    let told = gateway.run(&["send", "--type", "order", "--json", r#"{"item":7}"#, "--id", "s1"]).with_code(0);
    assert_eq!((told.out.as_str(), told.err.as_str()), ("", "acknowledged: 1 message\n"));
    let orders =
        || std::iter::repeat_with(|| backend.json()).find(|message| message["messageType"] != "presence").unwrap();
    let order = orders();
    assert_eq!((&order["topic"], &order["messageType"]), (&json!("secure/inbound"), &json!("order")));
    assert_eq!((&order["payload"], &order["id"]), (&json!({"item": 7}), &json!("s1")));
    let mut lines = start(&["send"], Some(gateway.url()));
    lines.write("one\ntwo\n");
    assert_eq!(lines.ended().with_code(0).err, "acknowledged: 2 messages\n");
    assert_eq!((orders()["payload"].clone(), orders()["payload"].clone()), (json!("one"), json!("two")));
}

#[test]
fn the_url_and_the_token_come_from_the_environment_and_arguments_go_first() {
    let gateway = Gateway::start(&[]);
    let bare = gateway.url().split('?').next().unwrap();
    let with = |token: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_realtime-pubsub"));
        command.args(["pub", "x", "y"]).args(arguments).env("REALTIME_URL", bare).env("REALTIME_TOKEN", token);
        support::spawn(command).ended()
    };
    with(gateway.get("token"), &[]).with_code(0);
    with("rubbish", &[]).with_code(4);
    with("rubbish", &["--token", gateway.get("token")]).with_code(0);
    with("", &["--url", gateway.url()]).with_code(0);
    with(gateway.get("token"), &["--url", "ws://127.0.0.1:1/apps/x"]).with_code(4);
    with("no token", &[]).with_code(2);
}

#[test]
fn logs_go_to_stderr_and_have_no_token() {
    let gateway = Gateway::start(&[]);
    let quiet = gateway.run(&["pub", "x", "y"]).with_code(0);
    assert_eq!(quiet.err, "acknowledged: 1 message\n");
    let loud = gateway.run(&["pub", "x", "y", "-vvvv"]).with_code(0);
    assert!(loud.err.lines().count() > 1 && loud.out.is_empty(), "{loud:?}");
    assert!(!loud.err.contains(gateway.get("token")), "{loud:?}");
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let help = run(&["--help"], None).with_code(0).out;
    assert!(help.contains("Exit codes:") && help.contains("143"), "{help}");
    for command in ["gateway", "pub", "sub", "send", "request", "serve", "token", "bench", "completions"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let help = run(&[command, "--help"], None).with_code(0).out;
        assert!(help.contains("Examples:\n  "), "{help}");
    }
    assert!(run(&["--version"], None).with_code(0).out.starts_with("realtime-pubsub 0."));
}

#[test]
fn completions_are_for_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell], None).with_code(0).out;
        for command in ["gateway", "pub", "sub", "send", "request", "serve", "token", "bench", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(!script.contains("bench-peer"), "{shell}");
    }
    // It is a script that the shell takes.
    let script = run(&["completions", "bash"], None).with_code(0).out;
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", &format!("{script}\ncomplete -p realtime-pubsub")]);
    assert!(support::spawn(bash).ended().with_code(0).out.starts_with("complete "));
    run(&["completions", "dos"], None).with_code(2);
}
