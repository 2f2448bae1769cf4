//! The TLS handshake, which takes its turn: what it computes is worth a hundred reviews of processor time.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::server::{peer::Peer, turns::Turns};

/// Shakes hands. A turn is held while something is computed, never while bytes are waited for; so a client that says
/// nothing holds none, and one that asks for another round takes another turn.
pub(crate) async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    turns: &Arc<Turns>,
    peer: Peer,
) -> io::Result<TlsStream<TcpStream>> {
    stream.readable().await?;
    let mut handshake = pin!(acceptor.accept(stream));
    loop {
        let turn = turns.take(peer).await;
        let polled = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
        drop(turn);
        if let Poll::Ready(done) = polled {
            return done;
        }
        woken().await;
    }
}

/// Until the task is woken again, by whatever it was.
async fn woken() {
    let mut before = true;
    poll_fn(|_| {
        if std::mem::take(&mut before) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}
