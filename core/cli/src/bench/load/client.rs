//! One connection of the load.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::Outcome;
use super::ledger::Subscription;
use super::target::Entrance;
use super::wire::{Reader, Wire};

/// How long a server may take for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that subscribes or publishes.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: mio::net::TcpStream,
    pub(super) reader: Reader,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) confirmed: bool,
    /// What the system did not take yet.
    out: Vec<u8>,
}

impl Client {
    /// Sends what waits, or as much of it as the system takes.
    pub(super) fn flush(&mut self) -> Outcome<()> {
        let mut written = 0;
        while written < self.out.len() {
            match self.stream.write(&self.out[written..]) {
                Ok(0) => return Err("a server takes nothing more".into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.drain(..written);
        Ok(())
    }

    /// What is to be sent with the next [`Client::flush`].
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The parts that reading needs.
    pub(super) fn parts(&mut self) -> (&mut Reader, &mut Vec<Subscription>, &mut Vec<u8>) {
        (&mut self.reader, &mut self.subscriptions, &mut self.out)
    }
}

/// A connection whose handshake is under way.
pub(super) struct Opening {
    stream: TcpStream,
    wire: Wire,
}

impl Opening {
    pub(super) fn begin(wire: Wire, entrance: &Entrance) -> Outcome<Opening> {
        let mut stream = TcpStream::connect_timeout(&entrance.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // It ends as a client does that is killed: with a reset. So no port has to wait for stray packets either.
        #[cfg(unix)]
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        if let Some(request) = wire.request(&entrance.path) {
            stream.write_all(&request)?;
        }
        Ok(Opening { stream, wire })
    }

    /// Waits for the handshake's end, and asks for the subscriptions. What came behind the handshake is left to be read.
    pub(super) fn finish(mut self, name: &str, topics: &[usize]) -> Outcome<(Client, Vec<u8>)> {
        let (hello, mut early) = (self.wire.hello(name, topics), Vec::new());
        if self.wire.request("").is_some() {
            let end = loop {
                self.read(&mut early)?;
                if let Some(end) = Wire::answered(&early)? {
                    break end;
                }
            };
            early.drain(..end);
            self.stream.write_all(&hello)?;
        } else {
            // Its answer is waited for as well, so that not more come at once than the server's system queues.
            self.stream.write_all(&hello)?;
            self.read(&mut early)?;
        }
        self.stream.set_nonblocking(true)?;
        let client = Client {
            stream: mio::net::TcpStream::from_std(self.stream),
            reader: Reader::default(),
            subscriptions: topics.iter().copied().map(Subscription::new).collect(),
            confirmed: false,
            out: Vec::new(),
        };
        Ok((client, early))
    }

    fn read(&mut self, into: &mut Vec<u8>) -> Outcome<()> {
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err("a server closed during the handshake".into()),
            read => {
                into.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}
