//! Bytes to the server as they are, and its answers as bytes.

use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, split};

use super::support::{Server, read_to_close};

/// Sends the bytes to a server that may refuse before it has taken them all, and reads until it closes.
/// The answers: status and what they say.
pub(crate) async fn answers(server: &Server, request: impl AsRef<[u8]>) -> Vec<(u16, String)> {
    let stream = server.tls().await.expect("the handshake succeeds");
    let (mut read, mut write) = split(stream);
    let send = async {
        let _ = write.write_all(request.as_ref()).await;
        let _ = write.flush().await;
    };
    let (text, ()) = tokio::join!(read_to_close(&mut read), send);
    let heads = text.split("HTTP/1.1 ").filter(|text| !text.is_empty());
    heads.map(said).collect()
}

/// The one answer to a request that is the last on its connection.
pub(crate) async fn says(server: &Server, request: impl AsRef<[u8]>, status: u16, said: &str) {
    let request = request.as_ref();
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    let found = answers(server, request).await;
    assert_eq!(found, [(status, said.to_owned())], "{shown}");
}

/// Status and body of one answer; of a `Status` its message, and of a review whether it is allowed.
fn said(answer: &str) -> (u16, String) {
    let status = answer.split(' ').next().unwrap_or_default();
    let status = status.parse().expect("it begins with its status");
    let (head, body) = answer.split_once("\r\n\r\n").expect("the head ends");
    let json = serde_json::from_str::<Value>(body).unwrap_or_default();
    assert_eq!(
        json.is_object(),
        head.contains("content-type: application/json"),
        "{answer}"
    );
    let said = match (&json["message"], &json["response"]["allowed"]) {
        (Value::String(message), _) => message.clone(),
        (_, Value::Bool(allowed)) => format!("allowed: {allowed}"),
        _ => body.to_owned(),
    };
    (status, said)
}
