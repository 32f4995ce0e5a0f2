//! The native part of the Python package of Realtime Pub/Sub: what crosses from the core to Python and back. The faces
//! that users see, for asyncio and for threads, are written in Python on top of it.

mod client;
mod decode;
mod encode;
mod errors;
mod events;
mod gateway;
mod message;
mod ops;
mod options;
mod process;
mod receipt;
mod stream;
mod url;
mod wake;

/// The native part of `realtime_pubsub`. Use the package, not this.
#[pyo3::pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::client::Core;
    #[pymodule_export]
    use crate::gateway::{Faults, Gateway};
    #[pymodule_export]
    use crate::message::{IncomingMessage, MessageData, ResponseMessage};
    #[pymodule_export]
    use crate::ops::Op;
    #[pymodule_export]
    use crate::process::{after_fork_in_child, is_main_interpreter, prepare_exit};
    #[pymodule_export]
    use crate::receipt::{Receipt, Ticket};
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::url::UrlRequest;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
