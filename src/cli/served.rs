//! What the running server serves, for commands that tell others of it; without one, what the configuration says.

use std::net::SocketAddr;

use serde_json::Value;

use super::exit_code::MISTAKE;
use super::run::{Everywhere, FileArgs};
use crate::announce::Served;
use crate::policy::{EncryptedService, name_in_certificate};
use crate::server::{self, Command, certificate_names, configuration};

/// The error is an exit code: what is wrong has been printed.
pub(super) fn served(everywhere: &Everywhere) -> Result<Served, u8> {
    let mut running = None;
    let asked = server::ask(&everywhere.control_sockets(), &Command::Status, |line| running = of_status(&line));
    if let (Ok(true), Some(served)) = (asked, running) {
        return Ok(served);
    }
    let configuration = configuration(&FileArgs::default().start_options(everywhere)).map_err(|problems| {
        super::check::print_problems(&problems);
        MISTAKE
    })?;
    let settings = &configuration.settings;
    let server = &settings.server;
    let name = name_in_certificate(&certificate_names(settings));
    Ok(of(server.listen_addrs(), &server.listen_tls, &server.listen_https, &server.https_path, name))
}

/// `None`: this is no status of a server that listens.
fn of_status(status: &Value) -> Option<Served> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let addrs = |key: &str| -> Vec<SocketAddr> { texts(&status[key]).iter().filter_map(|addr| addr.parse().ok()).collect() };
    let plain = addrs("listening-on");
    let name = name_in_certificate(&texts(&status["certificate"]["names"]));
    let path = status["https-path"].as_str()?;
    (!plain.is_empty()).then(|| of(plain, &addrs("listening-tls"), &addrs("listening-https"), path, name))
}

fn of(plain: Vec<SocketAddr>, tls: &[SocketAddr], https: &[SocketAddr], path: &str, name: Option<crate::record::Name>) -> Served {
    let tls = tls.iter().map(|addr| EncryptedService::over_tls(*addr));
    let https = https.iter().map(|addr| EncryptedService::over_https(*addr, path.to_owned()));
    Served { plain, encrypted: tls.chain(https).collect(), name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_of_a_running_server() {
        let status = json!({
            "listening-on": ["192.0.2.53:53"],
            "listening-tls": ["192.0.2.53:853"],
            "listening-https": ["[2001:db8::53]:8443"],
            "https-path": "/q",
            "certificate": { "names": ["192.0.2.53", "*.example", "dns.example"] },
        });
        let served = of_status(&status).expect("it listens");
        assert_eq!(served.plain, ["192.0.2.53:53".parse().expect("an address")]);
        let https = EncryptedService::over_https("[2001:db8::53]:8443".parse().expect("an address"), "/q".to_owned());
        assert_eq!(served.encrypted, [EncryptedService::over_tls("192.0.2.53:853".parse().expect("an address")), https]);
        assert_eq!(served.name.map(|name| name.to_string()).as_deref(), Some("dns.example."));
        assert!(of_status(&json!({ "error": "busy" })).is_none());
    }
}
