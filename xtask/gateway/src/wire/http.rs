//! An HTTP/1.1 client for one request, from an address of one's choice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};

/// How long a step of an answer may take: posting a job waits up to 45 s for a lock.
const PATIENCE: Duration = Duration::from_secs(90);
const LARGEST: u64 = 256 << 20;
/// A registry hands a manifest out only to who says that it knows its type.
const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, */*";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body as text; invalid UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body for people: of a page its title.
    pub(crate) fn brief(&self) -> String {
        let text = self.text();
        let title = text
            .split_once("<title>")
            .and_then(|(_, rest)| rest.split_once("</title>"));
        title.map_or(text.trim(), |(title, _)| title).to_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }
}

/// Sends a request from address `from` to `to` and reads the answer. `body` is a media type and its bytes.
pub(crate) fn request(
    from: Ipv4Addr,
    to: SocketAddrV4,
    method: &str,
    path: &str,
    body: Option<(&str, &[u8])>,
) -> Result<Answer> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket
        .bind(&SocketAddrV4::new(from, 0).into())
        .with_context(|| format!("a connection from {from}"))?;
    socket
        .connect_timeout(&to.into(), PATIENCE)
        .with_context(|| format!("{method} http://{to}{path}"))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\nAccept: {ACCEPT}\r\nConnection: close\r\n"
    );
    if let Some((kind, bytes)) = body {
        head += &format!(
            "Content-Type: {kind}\r\nContent-Length: {}\r\n",
            bytes.len()
        );
    }
    head += "\r\n";
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(body.map_or(&[], |(_, bytes)| bytes))?;
    parse(BufReader::new(stream), method).with_context(|| format!("{method} http://{to}{path}"))
}

fn parse(mut reader: impl BufRead, method: &str) -> Result<Answer> {
    let status = line(&mut reader)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status: u16 = status.context("no status line")?;
    let (mut length, mut is_chunked) = (None, false);
    loop {
        let header = line(&mut reader)?.to_ascii_lowercase();
        match header
            .split_once(':')
            .map(|(name, value)| (name, value.trim()))
        {
            None => break,
            Some(("content-length", value)) => length = Some(value.parse::<u64>()?),
            Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
            Some(_) => {}
        }
    }
    let mut body = Vec::new();
    if method == "HEAD" {
        return Ok(Answer { status, body });
    }
    if is_chunked {
        loop {
            let size = line(&mut reader)?;
            let size = u64::from_str_radix(size.trim(), 16).context("no size of a chunk")?;
            ensure!(
                size + body.len() as u64 <= LARGEST,
                "a body of more than {LARGEST} bytes"
            );
            let read = (&mut reader).take(size).read_to_end(&mut body)?;
            ensure!(read as u64 == size, "the body ends in a chunk");
            line(&mut reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let wanted = length.unwrap_or(LARGEST).min(LARGEST);
        let read = (&mut reader).take(wanted).read_to_end(&mut body)? as u64;
        ensure!(
            length.is_none_or(|length| length == read),
            "the body ends after {read} bytes"
        );
    }
    Ok(Answer { status, body })
}

fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    reader.take(64 << 10).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answer> {
        parse(text.as_bytes(), "GET")
    }

    #[test]
    fn bodies_are_read_by_length_and_by_chunks() {
        let answer = read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "abc"));
        let chunks =
            "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(read(chunks).unwrap().text(), "abcd");
        assert_eq!(
            read("HTTP/1.0 200 OK\r\n\r\nto the end").unwrap().text(),
            "to the end"
        );
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").is_err());
        assert!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc").is_err());
        assert!(read("").is_err());
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        let answer = |body: &str| Answer {
            status: 500,
            body: body.into(),
        };
        let page = "<!doctype html>\n<title>500 Internal Server Error</title>\n<p>The server";
        assert_eq!(answer(page).brief(), "500 Internal Server Error");
        assert_eq!(answer("{\"error\": \"x\"}\n").brief(), "{\"error\": \"x\"}");
    }
}
