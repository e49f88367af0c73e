//! One fetch, with its redirects, within one bound of time.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;

use tokio::time::timeout;

use super::addresses::Addresses;
use super::connect::open;
use super::error::FetchError;
use super::exchange::{Got, get};
use super::head::Validators;
use super::host_scope::is_local;
use super::tls::MakeTls;
use crate::config::{Host, HttpUrl, Scheme};
use crate::env::Net;
use crate::limits::fetch::{ADDRESSES_MAX, FETCH_TIME_MAX, REDIRECTS_MAX};

/// What is to be fetched.
pub(in crate::server) struct Request<'a> {
    pub(in crate::server) url: &'a HttpUrl,
    /// File of the CAs; `None`: the system's.
    pub(in crate::server) ca: Option<&'a Path>,
    /// Of the copy that is there.
    pub(in crate::server) validators: Option<&'a Validators>,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Fetched {
    /// It has been written. With what the next request is to send.
    Data(Validators),
    /// The copy is as new as what the server has.
    NotModified,
}

/// Fetches over the network and with the resolver that it is given. For one thread.
pub(in crate::server) struct Client {
    pub(in crate::server) net: Rc<dyn Net>,
    pub(in crate::server) addresses: Rc<dyn Addresses>,
    pub(in crate::server) tls: MakeTls,
}

impl Client {
    /// Writes what the URL has to `into`. After an error, what was written is of no use. Inside a `LocalSet`.
    pub(in crate::server) async fn fetch(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError> {
        timeout(FETCH_TIME_MAX, self.follow(request, into)).await.unwrap_or(Err(FetchError::TooSlow))
    }

    async fn follow(&self, request: &Request<'_>, into: &mut dyn Write) -> Result<Fetched, FetchError> {
        let validators = request.validators.filter(|validators| !validators.are_none());
        let mut url = request.url.clone();
        // A public server has said where to go.
        let mut is_sent_by_public = false;
        let mut tls = None;
        for _ in 0..=REDIRECTS_MAX {
            if url.scheme == Scheme::Https && tls.is_none() {
                tls = Some((self.tls)(request.ca).map_err(FetchError::NoTrust)?);
            }
            let addresses = self.addresses(&url, is_sent_by_public).await?;
            let over_tls = tls.clone().filter(|_| url.scheme == Scheme::Https);
            let (peer, stream) = open(&*self.net, &url, &addresses, over_tls).await?;
            is_sent_by_public |= !self.is_local(peer.ip());
            match get(stream, &url, validators, into).await? {
                Got::Data(validators) => return Ok(Fetched::Data(validators)),
                Got::NotModified => return Ok(Fetched::NotModified),
                Got::Redirect(to) => url = to,
            }
        }
        Err(FetchError::TooManyRedirects)
    }

    /// Whether it belongs to a local network, also behind the translator of this network.
    fn is_local(&self, address: IpAddr) -> bool {
        is_local(address) || self.addresses.translated(address).is_some_and(|behind| is_local(IpAddr::V4(behind)))
    }

    /// Where the URL leads. The operator's own may lead anywhere; once a public server redirects, no local address counts.
    async fn addresses(&self, url: &HttpUrl, is_sent_by_public: bool) -> Result<Vec<SocketAddr>, FetchError> {
        let (host, found) = match &url.host {
            Host::Address(address) => (address.to_string(), vec![*address]),
            Host::Name(name) => {
                let found = self.addresses.of(name).await.map_err(|why| FetchError::NotResolved { host: name.clone(), why })?;
                (name.clone(), found)
            }
        };
        let local = found.iter().copied().find(|address| is_sent_by_public && self.is_local(*address));
        let usable = |address: &IpAddr| !(is_sent_by_public && self.is_local(*address));
        let usable: Vec<SocketAddr> =
            found.into_iter().filter(usable).take(ADDRESSES_MAX).map(|address| SocketAddr::new(address, url.port)).collect();
        match (usable.is_empty(), local) {
            (true, Some(address)) => Err(FetchError::LocalAddress { host, address }),
            (true, None) => Err(FetchError::NoAddress { host }),
            (false, _) => Ok(usable),
        }
    }
}
