//! A wire to the API server that is cut once, as when it is killed and started again: every connection breaks in the
//! middle of what it carries, and for a moment there is nobody to connect to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long nobody listens.
const AWAY: Duration = Duration::from_secs(1);

/// The wire. Dropping it takes it away.
pub(super) struct Wire {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    /// Bytes from the API server until it is cut.
    left: AtomicUsize,
    was_cut: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

// === impl Wire ===

impl Wire {
    /// To the API server at this port; it is cut after so many bytes from there.
    pub(super) fn new(upstream: u16, cut_after: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared {
            upstream,
            left: AtomicUsize::new(cut_after),
            was_cut: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let of_thread = shared.clone();
        thread::spawn(move || of_thread.listen(listener, port));
        Self { port, shared }
    }

    pub(super) fn was_cut(&self) -> bool {
        self.shared.was_cut.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.close();
        // Whoever waits for a connection gets one, and sees that it is over.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

// === impl Shared ===

impl Shared {
    fn listen(self: Arc<Self>, mut listener: TcpListener, port: u16) {
        let mut was_away = false;
        while let Ok((client, _)) = listener.accept() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            if self.was_cut.load(Ordering::SeqCst) && !was_away {
                was_away = true;
                drop((client, listener));
                thread::sleep(AWAY);
                let again = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
                listener = again.expect("nobody took the port");
                continue;
            }
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream));
            let server = server.expect("the API server listens");
            self.open
                .lock()
                .unwrap()
                .extend([&client, &server].map(|it| it.try_clone().expect("a handle")));
            let (to_server, to_client) = (self.clone(), self.clone());
            let (client_too, server_too) = (
                client.try_clone().expect("a handle"),
                server.try_clone().expect("a handle"),
            );
            thread::spawn(move || to_server.carry(client_too, server_too, false));
            thread::spawn(move || to_client.carry(server, client, true));
        }
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_counted: bool) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if is_counted && !self.was_cut.load(Ordering::SeqCst) {
                let left = self.left.load(Ordering::SeqCst).saturating_sub(count);
                self.left.store(left, Ordering::SeqCst);
                if left == 0 {
                    self.was_cut.store(true, Ordering::SeqCst);
                    return self.close();
                }
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    fn close(&self) {
        for it in self.open.lock().unwrap().drain(..) {
            let _ = it.shutdown(Shutdown::Both);
        }
    }
}
