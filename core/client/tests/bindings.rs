//! What only language bindings use.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use realtime_pubsub::{ErrorKind, RawJson};
use support::{World, listen};

#[tokio::test]
async fn a_message_of_which_only_sender_and_id_were_kept_can_be_replied_to() {
    let world = World::new().await;
    let (answerer, asker) = (world.client("bob").await, world.client("alice").await);
    answerer.subscribe_remote_topic("chat").await.unwrap();
    let mut heard = listen(&answerer, "chat.*", |message| {
        let raw = message.sender_raw().map(|raw| raw.as_str().to_owned());
        (raw, message.sender().unwrap().connection_id.into_owned(), message.id().unwrap().into_owned())
    });
    let waiter = asker.publish("chat", 1).await.unwrap();
    let (raw, connection_id, id) = heard.recv().await.unwrap();
    assert!(raw.unwrap().contains(&format!(r#""connectionId":"{connection_id}""#)));
    drop(answerer.reply_raw(&connection_id, &id, RawJson::trusted("[2]")).status("fine").enqueue().unwrap());
    let reply = waiter.wait_for_reply().await.unwrap();
    assert_eq!((reply.status(), reply.data().as_str()), ("fine", "[2]"));

    for (connection_id, id) in [("", "x"), ("x", "")] {
        let error = answerer.reply_raw(connection_id, id, RawJson::NULL).enqueue().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReplyable);
    }
}
