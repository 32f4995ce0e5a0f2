//! File descriptors: a connection needs one, and many systems begin with 1,024 for a process.

/// Allows this process, and those it starts, as many as the system lets it have.
pub(crate) fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // Where there is no maximum the system still has one, which it does not tell: more than anybody needs will do.
        let wanted = maximum.unwrap_or(1 << 20);
        if current.is_some_and(|current| current < wanted)
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        {
            tracing::warn!(%error, "can't raise the number of file descriptors");
        }
    }
}
