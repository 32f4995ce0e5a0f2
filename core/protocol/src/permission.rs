//! What a token's claims allow its bearer.

/// What a connection or an admin call may do: the permissions its token names.
///
/// ```
/// use realtime_pubsub_protocol::Permissions;
///
/// let may = Permissions::new(["realtime:publisher:write:topic:chat/*", "realtime:subscriber:read:topic:secure/inbound"]);
/// assert!(may.publish("chat/room1") && !may.publish("news"));
/// assert!(may.subscribe("anything") && may.subscribe("secure/inbound") && !may.subscribe("secure/other"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    names: Vec<Box<str>>,
}

const WRITE: &str = "realtime:publisher:write:topic:";
const READ: &str = "realtime:subscriber:read:topic:";
/// Lets an admin call end connections.
pub const MANAGE_CONNECTIONS: &str = "realtime:admin:manage:connections";
/// Lets an admin call end subscriptions.
pub const MANAGE_SUBSCRIBERS: &str = "realtime:admin:manage:subscribers";
/// Lets an admin look at a gateway's console: at connections and topics, and at the messages of any topic.
pub const READ_CONSOLE: &str = "realtime:admin:read:console";

impl Permissions {
    /// The permissions of these names. Names that mean nothing here are kept: receivers are shown them.
    pub fn new<S: Into<Box<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        Permissions { names: names.into_iter().map(Into::into).collect() }
    }

    /// Permissions from a token's `scope` claim, names separated by spaces.
    pub fn from_scope(scope: &str) -> Self {
        Permissions::new(scope.split_ascii_whitespace())
    }

    /// Everything: publish and read any topic, all admin calls.
    pub fn all() -> Self {
        Permissions::new([
            format!("{WRITE}*"),
            format!("{READ}*"),
            MANAGE_CONNECTIONS.into(),
            MANAGE_SUBSCRIBERS.into(),
            READ_CONSOLE.into(),
        ])
    }

    /// The names, as the token has them.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Whether this very name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|held| **held == *name)
    }

    /// Whether its bearer may publish to `topic`, replies included.
    pub fn publish(&self, topic: &str) -> bool {
        self.grants(WRITE, topic)
    }

    /// Whether its bearer may subscribe to `topic`: only topics under [`crate::PREFIX_SECURE`] need a permission.
    pub fn subscribe(&self, topic: &str) -> bool {
        !topic.starts_with(crate::PREFIX_SECURE) || self.grants(READ, topic)
    }

    fn grants(&self, action: &str, topic: &str) -> bool {
        self.names.iter().any(|name| {
            name.strip_prefix(action).is_some_and(|granted| match granted.strip_suffix('*') {
                Some(prefix) => topic.starts_with(prefix),
                None => topic == granted,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_ends_a_grant_and_means_nothing_elsewhere() {
        let may = Permissions::new([format!("{WRITE}a*b"), format!("{WRITE}priv/*"), format!("{WRITE}main")]);
        assert!(may.publish("a*b") && !may.publish("axb"));
        assert!(may.publish("priv/") && may.publish("priv/x") && !may.publish("priv"));
        assert!(may.publish("main") && !may.publish("main2"));
    }

    #[test]
    fn reading_is_not_writing_and_neither_is_admin() {
        let may = Permissions::from_scope(&format!("{READ}*  {WRITE}x"));
        assert!(may.subscribe("secure/x") && !may.publish("y") && !may.has(MANAGE_CONNECTIONS));
        assert!(!Permissions::default().subscribe("secure/x") && Permissions::default().subscribe("secure"));
    }

    proptest! {
        #[test]
        fn no_permission_grants_nothing(topic in any::<String>()) {
            prop_assert!(!Permissions::default().publish(&topic));
            prop_assert!(Permissions::all().publish(&topic) && Permissions::all().subscribe(&topic));
        }

        #[test]
        fn an_exact_grant_grants_just_that(granted in "[a-z/.@]{0,8}", topic in "[a-z/.@]{0,8}") {
            prop_assert_eq!(Permissions::new([format!("{WRITE}{granted}")]).publish(&topic), granted == topic);
            let prefix = Permissions::new([format!("{WRITE}{granted}*")]);
            prop_assert_eq!(prefix.publish(&topic), topic.starts_with(&granted));
        }
    }
}
