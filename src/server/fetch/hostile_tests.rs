//! Servers that mean harm, or are broken: each costs a bounded number of octets and seconds, and is told by its name.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::client::{Client, Request};
use super::error::FetchError;
use super::fake_server::{Act, Ca, FakeWeb, Script, always, listen, ok, redirect, script};
use crate::config::HttpUrl;
use crate::env::RealNet;
use crate::limits::fetch::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX};

/// 64 MiB of zeros, as brotli packs them.
const BROTLI_BOMB: &[u8] = &[
    0xcb, 0xff, 0xff, 0x3f, 0xf8, 0x27, 0x00, 0xe2, 0xb1, 0x40, 0x20, 0xf7, 0xfe, 0x8f, 0xff, 0xff, 0x7f, 0xf0, 0x4f, 0x00, 0xc4, 0x61,
    0x11, 0x80, 0xee, 0xfd, 0x1f, 0xff, 0xff, 0xff, 0xe0, 0x9f, 0x00, 0x88, 0xc3, 0x02, 0x00, 0xdd, 0xfb, 0x3f, 0xfe, 0xff, 0xff, 0xc1,
    0x3f, 0x01, 0x10, 0x87, 0x05, 0x00, 0xba, 0xf7, 0x7f, 0xfc, 0xff, 0xff, 0x83, 0x7f, 0x02, 0x20, 0x0e, 0x0b, 0x00, 0x74, 0xef, 0xff,
    0xf8, 0xff, 0xff, 0x07, 0xff, 0x04, 0x40, 0x1c, 0x16, 0x00, 0xe8, 0xde, 0xff, 0xf1, 0xff, 0xff, 0x0f, 0xfe, 0x09, 0x80, 0x38, 0x2c,
    0x00, 0xd0, 0xbd, 0xff, 0xcb, 0xff, 0xff, 0x3f, 0xfc, 0x13, 0x00, 0x71, 0x58, 0x00, 0xa0, 0x7b, 0xff, 0x07,
];

fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 64 << 20]).expect("memory");
    encoder.finish().expect("memory")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

/// Counts the octets, up to where a disk is full.
struct Disk {
    room: u64,
}

impl Write for Disk {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Room for more than any bomb below may give.
const ROOM: u64 = 8 << 20;

async fn error_of(what: &str, client: &Client, text: &str) -> FetchError {
    let url = HttpUrl::parse(text).expect("a URL");
    client.fetch(&Request { url: &url, ca: None, validators: None }, &mut Disk { room: ROOM }).await.expect_err(what)
}

/// Each row with the error that it must lead to.
fn rows() -> Vec<(&'static str, Script, FetchError)> {
    let many_fields: String = (0..=HEADER_FIELDS_MAX).map(|at| format!("x-{at}: y\r\n")).collect();
    let long_field = format!("x: {}\r\n", "y".repeat(4 * HEAD_BYTES_MAX));
    vec![
        ("a bomb of gzip", always(ok("content-encoding: gzip\r\n", gzip_bomb())), FetchError::UnpackedTooLarge),
        ("a bomb of brotli", always(ok("content-encoding: br\r\n", BROTLI_BOMB)), FetchError::UnpackedTooLarge),
        ("a bomb that is not said to be one", always(ok("", gzip_bomb())), FetchError::UnpackedTooLarge),
        ("gzip in gzip", always(ok("content-encoding: gzip, gzip\r\n", "x")), FetchError::ContentEncoding("gzip, gzip".to_owned())),
        ("no gzip", always(ok("content-encoding: gzip\r\n", "ads.example\n")), FetchError::Damaged("gzip")),
        ("half a gzip file", always(ok("content-encoding: gzip\r\n", &gzip("ads.example\n")[..20])), FetchError::Damaged("gzip")),
        ("a page", always(ok("content-type: text/html\r\n", "<html>")), FetchError::ContentType("text/html".to_owned())),
        ("an error", always("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), FetchError::Status(503)),
        ("nothing newer than nothing", always("HTTP/1.1 304 Not Modified\r\n\r\n"), FetchError::NotModifiedUnasked),
        ("a redirect to itself", always(redirect("/")), FetchError::TooManyRedirects),
        (
            "a redirect to a file",
            always(redirect("file:///etc/passwd")),
            FetchError::BadRedirect { to: "file:///etc/passwd".to_owned(), why: "is neither an https:// nor an http:// URL" },
        ),
        ("half a body", always("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nads.example\n"), FetchError::CutShort),
        ("half a chunk", always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\nads.example\n"), FetchError::CutShort),
        ("no last chunk", always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nc\r\nads.example\n\r\n"), FetchError::CutShort),
        ("half a head", always("HTTP/1.1 200 OK\r\nconte"), FetchError::CutShort),
        ("nothing", always(""), FetchError::CutShort),
        ("too many fields", always(format!("HTTP/1.1 200 OK\r\n{many_fields}\r\n")), FetchError::HeadTooLarge),
        ("a long field", always(format!("HTTP/1.1 200 OK\r\n{long_field}\r\n")), FetchError::HeadTooLarge),
        ("a promise of too much", always("HTTP/1.1 200 OK\r\ncontent-length: 268435457\r\n\r\n"), FetchError::TooLarge),
        ("more than the disk holds", always(ok("", vec![b'a'; ROOM as usize + 1])), FetchError::NotWritten("no storage space".to_owned())),
    ]
}

#[tokio::test]
async fn over_tls_on_the_loopback_interface() {
    let ca = Ca::new();
    let tls = ca.server("a.example");
    let run = async {
        let web = Rc::new(FakeWeb::new(&[("a.example", &["127.0.0.1"])]));
        let client = Client { net: Rc::new(RealNet::default()), ..web.client(&ca) };
        for (what, script, expected) in rows() {
            let server = listen(tls.clone(), script).await;
            assert_eq!(error_of(what, &client, &format!("https://a.example:{}/", server.port())).await, expected, "{what}");
        }
        // An end without TLS's own end may be anybody's (RFC 8446 6.1); lengths that contradict each other are refused (RFC 9112 6.3).
        let lies = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\ncontent-length: 4\r\n\r\nads.example\n";
        for not_http in [lies, "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n"] {
            let server = listen(tls.clone(), always(not_http)).await;
            let error = error_of(not_http, &client, &format!("https://a.example:{}/", server.port())).await;
            assert!(matches!(error, FetchError::NotHttp(_)), "{not_http}: {error:?}");
        }
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test(start_paused = true)]
async fn in_memory() {
    let run = async {
        for (what, script, expected) in rows() {
            let web = Rc::new(FakeWeb::default().with("192.0.2.1:80", script));
            assert_eq!(error_of(what, &web.client(&Ca::new()), "http://192.0.2.1/").await, expected, "{what}");
        }
    };
    LocalSet::new().run_until(run).await;
}

/// No server holds a fetch longer than its time.
#[tokio::test(start_paused = true)]
async fn slow_servers() {
    let begin = || Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec());
    let second = Duration::from_secs(1);
    let scripts = [
        ("never answers", script(|_| vec![Act::Hang])),
        ("drips its head", script(move |_| vec![Act::Drip(b"HTTP/1.1 200 OK\r\n".repeat(10), second)])),
        ("drips its body", script(move |_| vec![begin(), Act::Drip(vec![b'a'; 100], second)])),
        ("stops in its body", script(move |_| vec![begin(), Act::Send(b"ads.example\n".to_vec()), Act::Hang])),
        ("redirects slowly", script(move |_| vec![Act::Drip(redirect("/"), Duration::from_millis(60))])),
    ];
    let run = async {
        for (what, script) in scripts {
            let web = Rc::new(FakeWeb::default().with("192.0.2.1:80", script));
            let begun = Instant::now();
            assert_eq!(error_of(what, &web.client(&Ca::new()), "http://192.0.2.1/").await, FetchError::TooSlow, "{what}");
            assert_eq!(begun.elapsed().as_secs(), 15, "{what}");
        }
    };
    LocalSet::new().run_until(run).await;
}

/// Data without an end is taken up to the bound of a list, or of the disk.
#[tokio::test]
async fn endless_data() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let endless =
        |head: &'static str, piece: Vec<u8>| script(move |_| vec![Act::Send(head.as_bytes().to_vec()), Act::SendForEver(piece.clone())]);
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 65_536], b"\r\n".to_vec()].concat();
    let run = async {
        for (what, script, expected) in [
            ("a body", endless(head, b"ads.example\n".repeat(4_096)), FetchError::NotWritten("no storage space".to_owned())),
            (
                "chunks",
                endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk),
                FetchError::NotWritten("no storage space".to_owned()),
            ),
            ("fields", endless("HTTP/1.1 200 OK\r\n", b"x: y\r\n".to_vec()), FetchError::HeadTooLarge),
            ("a status line", endless("HTTP/1.1 200 ", b"OK".repeat(4_096)), FetchError::HeadTooLarge),
        ] {
            let web = Rc::new(FakeWeb::default().with("192.0.2.1:80", script));
            assert_eq!(error_of(what, &web.client(&Ca::new()), "http://192.0.2.1/").await, expected, "{what}");
        }
    };
    LocalSet::new().run_until(run).await;
}

/// Redirects are counted whoever gives them.
#[tokio::test(start_paused = true)]
async fn five_redirects_and_no_more() {
    let count = Rc::new(Cell::new(0));
    let counted = count.clone();
    let chain = script(move |request: &str| {
        counted.set(counted.get() + 1);
        let at: usize = request.split_whitespace().nth(1).and_then(|path| path[1..].parse().ok()).unwrap_or(0);
        vec![Act::Send(if at == 0 { ok("", "ads.example\n") } else { redirect(&format!("/{}", at - 1)) })]
    });
    let web = Rc::new(FakeWeb::default().with("192.0.2.1:80", chain));
    let run = async {
        let client = web.client(&Ca::new());
        let url = HttpUrl::parse("http://192.0.2.1/5").expect("a URL");
        assert!(client.fetch(&Request { url: &url, ca: None, validators: None }, &mut Disk { room: ROOM }).await.is_ok());
        assert_eq!(count.replace(0), 6);
        assert_eq!(error_of("six redirects", &client, "http://192.0.2.1/6").await, FetchError::TooManyRedirects);
        assert_eq!(count.get(), 6);
    };
    LocalSet::new().run_until(run).await;
}
