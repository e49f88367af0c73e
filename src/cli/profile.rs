//! `cairn system profile`: what phones, computers and browsers are told so that they ask this server over TLS or HTTPS.

use clap::Args;

use super::dhcp::Reached;
use super::exit_code::{FAILED, GOOD};
use super::run::Everywhere;
use super::terminal::{complain, say};
use crate::announce::device_profile;

const EXAMPLES: &str = "\
Examples:
  cairn system profile > dns.mobileconfig      then send it to an iPhone, an iPad or a Mac, and open it there
  cairn system profile --name dns.example.org --address 192.0.2.53 > dns.mobileconfig

The profile goes to stdout. The name for Android's \"Private DNS\" and the URL for browsers go to
stderr. The certificate has to be from an authority that the device trusts.";

/// Print a profile by which devices by Apple ask this server over TLS or HTTPS, and what to type into others
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ProfileArgs {
    #[command(flatten)]
    reached: Reached,
}

pub(super) fn profile(args: &ProfileArgs, everywhere: &Everywhere) -> u8 {
    let resolver = match args.reached.resolver(everywhere) {
        Ok(resolver) => resolver,
        Err(code) => return code,
    };
    let Some(profile) = device_profile(&resolver) else {
        complain!("cairn: no profile can tell of this server: set server.listen-tls (port 853) or server.listen-https");
        return FAILED;
    };
    say!("{}", profile.apple.trim_end());
    if let Some(name) = &profile.private_dns {
        complain!("Android, Private DNS: {name}");
    }
    if let Some(url) = &profile.url {
        complain!("browsers and Windows, DNS over HTTPS: {url}");
    }
    GOOD
}
