//! Fetches that go well, and those that end for a reason of the network or of TLS, in virtual time.

use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use super::client::{Fetched, Request};
use super::error::FetchError;
use super::fake_server::{Act, Ca, FakeWeb, always, listen, ok, redirect, script};
use super::head::Validators;
use crate::config::HttpUrl;
use crate::env::RealNet;

/// What came, and the data.
async fn fetched(web: &Rc<FakeWeb>, url: &str, validators: Option<&Validators>) -> Result<(Fetched, String), FetchError> {
    fetched_from(web, &Ca::new(), url, validators).await
}

async fn fetched_from(web: &Rc<FakeWeb>, ca: &Ca, url: &str, validators: Option<&Validators>) -> Result<(Fetched, String), FetchError> {
    let url = HttpUrl::parse(url).expect("a URL");
    let mut into = Vec::new();
    let fetching = async { web.client(ca).fetch(&Request { url: &url, ca: None, validators }, &mut into).await };
    let fetched = LocalSet::new().run_until(fetching).await?;
    Ok((fetched, String::from_utf8(into).expect("text")))
}

fn no_validators() -> Fetched {
    Fetched::Data(Validators::default())
}

#[tokio::test(start_paused = true)]
async fn data_and_what_comes_with_it() {
    let asked = |request: &str| {
        for line in
            ["GET /ads.txt?v=1 HTTP/1.1\r\n", "\r\nhost: a.example\r\n", "\r\naccept-encoding: gzip, br\r\n", "\r\nuser-agent: cairn/"]
        {
            assert!(request.contains(line), "{request}");
        }
        assert!(!request.contains("if-"), "{request}");
        vec![Act::Send(ok("etag: \"x\"\r\nlast-modified: Mon, 30 Nov 2026 00:00:00 GMT\r\n", "ads.example\n"))]
    };
    let web = Rc::new(FakeWeb::new(&[("a.example", &["192.0.2.1"])]).with("192.0.2.1:80", script(asked)));
    let kept = Validators { etag: Some("\"x\"".to_owned()), last_modified: Some("Mon, 30 Nov 2026 00:00:00 GMT".to_owned()) };
    let expected = Ok((Fetched::Data(kept.clone()), "ads.example\n".to_owned()));
    assert_eq!(fetched(&web, "http://a.example/ads.txt?v=1", None).await, expected);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nads.\r\n8\r\nexample\n\r\n0\r\n\r\n";
    let until_closed = "HTTP/1.0 200 OK\r\n\r\nads.example\n";
    let early = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nads.example\n";
    for response in [chunked, until_closed, early] {
        let web = Rc::new(FakeWeb::default().with("192.0.2.1:8080", always(response)));
        let expected = Ok((no_validators(), "ads.example\n".to_owned()));
        assert_eq!(fetched(&web, "http://192.0.2.1:8080", None).await, expected, "{response}");
    }
    // Only newer data is wanted.
    let asked = |request: &str| {
        assert!(request.contains("\r\nif-none-match: \"x\"\r\nif-modified-since: Mon, 30 Nov 2026 00:00:00 GMT\r\n"), "{request}");
        vec![Act::Send(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec())]
    };
    let web = Rc::new(FakeWeb::default().with("192.0.2.1:80", script(asked)));
    assert_eq!(fetched(&web, "http://192.0.2.1/", Some(&kept)).await, Ok((Fetched::NotModified, String::new())));
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed_to_the_same_or_more_security() {
    let ca = Ca::new();
    let web = FakeWeb::new(&[("a.example", &["192.0.2.1"]), ("b.example", &["192.0.2.2"])])
        .with("192.0.2.1:80", always(redirect("https://a.example/x")))
        .with_tls("192.0.2.1:443", ca.server("a.example"), always(redirect("//b.example/y")))
        .with_tls(
            "192.0.2.2:443",
            ca.server("b.example"),
            script(|request| {
                assert!(request.starts_with("GET /y HTTP/1.1\r\n") && request.contains("host: b.example"), "{request}");
                vec![Act::Send(ok("", "ads.example\n"))]
            }),
        );
    let web = Rc::new(web);
    let expected = Ok((no_validators(), "ads.example\n".to_owned()));
    assert_eq!(fetched_from(&web, &ca, "http://a.example/", None).await, expected);
    let down = FakeWeb::default().with_tls("192.0.2.1:443", ca.server("192.0.2.1"), always(redirect("http://192.0.2.1/x")));
    let expected = Err(FetchError::LessSecure { to: "http://192.0.2.1/x".to_owned() });
    assert_eq!(fetched_from(&Rc::new(down), &ca, "https://192.0.2.1/", None).await, expected);
}

/// The operator may name any address, and a local server another local one; a public one only public ones.
#[tokio::test(start_paused = true)]
async fn a_public_server_does_not_lead_into_the_local_network() {
    let hosts: &[(&str, &[&str])] =
        &[("inside.example", &["127.0.0.1"]), ("both.example", &["10.0.0.1", "192.0.2.9"]), ("public.example", &["192.0.2.9"])];
    let data = || always(ok("", "ads.example\n"));
    let of = async |first: &str, to: &str| {
        let web = FakeWeb::new(hosts).with(&format!("{first}:80"), always(redirect(to)));
        let web =
            ["10.0.0.1:80", "127.0.0.1:80", "[::1]:80", "192.0.2.9:80"].into_iter().fold(web, |web, address| web.with(address, data()));
        fetched(&Rc::new(web), &format!("http://{first}/"), None).await.map(|(_, data)| data)
    };
    let local =
        |host: &str, address: &str| Err(FetchError::LocalAddress { host: host.to_owned(), address: address.parse().expect("an address") });
    for (to, expected) in [
        ("http://10.0.0.1/", local("10.0.0.1", "10.0.0.1")),
        ("http://[::1]/", local("::1", "::1")),
        ("http://[::ffff:10.0.0.1]/", local("::ffff:10.0.0.1", "::ffff:10.0.0.1")),
        ("http://169.254.169.254/latest", local("169.254.169.254", "169.254.169.254")),
        ("http://inside.example/", local("inside.example", "127.0.0.1")),
        ("http://both.example/", Ok("ads.example\n".to_owned())),
        ("http://public.example/", Ok("ads.example\n".to_owned())),
    ] {
        assert_eq!(of("192.0.2.1", to).await, expected, "{to}");
    }
    assert_eq!(of("10.0.0.2", "http://10.0.0.1/").await, Ok("ads.example\n".to_owned()));
    assert_eq!(of("10.0.0.2", "http://public.example/").await, Ok("ads.example\n".to_owned()));
    // By way of a public server is no way either.
    let web = FakeWeb::default()
        .with("10.0.0.2:80", always(redirect("http://192.0.2.1/")))
        .with("192.0.2.1:80", always(redirect("http://10.0.0.2/secret")));
    let led = fetched(&Rc::new(web), "http://10.0.0.2/", None).await;
    assert_eq!(led.map(|(_, data)| data), local("10.0.0.2", "10.0.0.2"));
}

#[tokio::test(start_paused = true)]
async fn addresses_are_tried_side_by_side() {
    let hosts: &[(&str, &[&str])] = &[("a.example", &["2001:db8::1", "192.0.2.1", "192.0.2.2"]), ("none.example", &[])];
    let web = Rc::new(FakeWeb::new(hosts).with("192.0.2.2:80", always(ok("", "ads.example\n"))));
    let begun = Instant::now();
    assert_eq!(fetched(&web, "http://a.example/", None).await, Ok((no_validators(), "ads.example\n".to_owned())));
    assert_eq!((begun.elapsed().as_millis(), web.connected.borrow().len()), (500, 3));
    let refused = Rc::new(FakeWeb::new(hosts));
    let begun = Instant::now();
    let expected = FetchError::NotConnected { authority: "a.example:1".to_owned(), why: "connection refused".to_owned() };
    assert_eq!(fetched(&refused, "http://a.example:1/", None).await, Err(expected));
    assert_eq!((begun.elapsed(), refused.connected.borrow().len()), (Duration::ZERO, 3));
    assert_eq!(fetched(&refused, "http://a.example/", None).await, Err(FetchError::TooSlow));
    assert_eq!(begun.elapsed().as_secs(), 15);
    let expected = FetchError::NotResolved { host: "other.example".to_owned(), why: "SERVFAIL".to_owned() };
    assert_eq!(fetched(&refused, "http://other.example/", None).await, Err(expected));
    assert_eq!(fetched(&refused, "http://none.example/", None).await, Err(FetchError::NoAddress { host: "none.example".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn servers_that_cannot_be_verified() {
    let (ca, other) = (Ca::new(), Ca::new());
    let hosts: &[(&str, &[&str])] = &[("a.example", &["192.0.2.1"])];
    for (what, server, expected) in [
        ("another name", ca.server("b.example"), "not valid for name"),
        ("another CA", other.server("a.example"), "BadSignature"),
        ("expired", ca.server_between("a.example", 2020, 2021), "certificate expired"),
        ("not valid yet", ca.server_between("a.example", 2034, 2035), "certificate not valid yet"),
    ] {
        let web = FakeWeb::new(hosts).with_tls("192.0.2.1:443", server, always(ok("", "ads.example\n")));
        let error = fetched_from(&Rc::new(web), &ca, "https://a.example/", None).await.expect_err(what);
        assert!(matches!(&error, FetchError::Certificate { why, .. } if why.contains(expected)), "{what}: {error:?}");
    }
    let plain = FakeWeb::new(hosts).with("192.0.2.1:443", always(ok("", "ads.example\n")));
    let error = fetched_from(&Rc::new(plain), &ca, "https://a.example/", None).await.expect_err("no TLS");
    assert!(matches!(error, FetchError::Tls { .. }), "{error:?}");
}

/// With real sockets and the resolver's own network.
#[tokio::test]
async fn over_tls_on_the_loopback_interface() {
    let ca = Ca::new();
    let local = LocalSet::new();
    let data = local.run_until(async {
        let server = listen(ca.server("a.example"), always(ok("content-type: text/plain\r\n", "ads.example\n"))).await;
        let web = Rc::new(FakeWeb::new(&[("a.example", &["127.0.0.1"])]));
        let client = super::client::Client { net: Rc::new(RealNet::default()), ..web.client(&ca) };
        let url = HttpUrl::parse(&format!("https://a.example:{}/", server.port())).expect("a URL");
        let mut into = Vec::new();
        let fetched = client.fetch(&Request { url: &url, ca: None, validators: None }, &mut into).await;
        fetched.map(|fetched| (fetched, into))
    });
    assert_eq!(data.await, Ok((no_validators(), b"ads.example\n".to_vec())));
}
