//! What a Service is to replicas: one address, and each connection goes to one of them.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Connections in turn to each of some ports; one that nobody listens at is left out.
pub struct Balancer {
    pub port: u16,
    ports: Mutex<Vec<u16>>,
    next: AtomicUsize,
}

// === impl Balancer ===

impl Balancer {
    pub fn start() -> Arc<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let balancer = Arc::new(Self {
            port: listener.local_addr().expect("it has an address").port(),
            ports: Mutex::default(),
            next: AtomicUsize::new(0),
        });
        let accepting = Arc::downgrade(&balancer);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Some(balancer) = accepting.upgrade() else {
                    return;
                };
                if let Some(server) = balancer.connect() {
                    carry_both_ways(&client, &server);
                }
            }
        });
        balancer
    }

    /// From now on there too.
    pub fn add(&self, port: u16) {
        self.ports.lock().expect("no panic").push(port);
    }

    fn connect(&self) -> Option<TcpStream> {
        let ports = self.ports.lock().expect("no panic").clone();
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..ports.len()).map(|it| ports[(at + it) % ports.len()]);
        in_turn.find_map(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Whoever waits for a connection gets one, and sees that it is over.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn carry_both_ways(client: &TcpStream, server: &TcpStream) {
    for (from, to) in [(client, server), (server, client)] {
        let handles = from
            .try_clone()
            .and_then(|from| Ok((from, to.try_clone()?)));
        let (from, to) = handles.expect("a handle");
        thread::spawn(move || {
            // However it ends, the other side learns of it.
            let _ = carry(&from, &to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match from.read(&mut bytes)? {
            0 => return Ok(()),
            count => to.write_all(&bytes[..count])?,
        }
    }
}
