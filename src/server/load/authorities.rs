//! The certificates of CAs that encrypted forwarders are verified with: the files that `ca` names, and those of the system where they
//! are needed. Read at each start and reload.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::configuration::{read_bytes, why_not_readable};
use crate::config::{Authorities, Problem, Settings};
use crate::limits::fetch::CA_FILE_BYTES_MAX;
use crate::upstream::TlsTrust;

/// Reads the files into the settings. Returns the mistakes, with their place in `config`.
pub(in crate::server) fn read_authorities(settings: &mut Settings, config: Option<&Path>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for route in &mut settings.forwards {
        let Some(file) = &route.ca else { continue };
        let at_key = |what: String, hint: Option<String>| {
            let named_in = config.map(|config| config.display().to_string()).unwrap_or_default();
            Problem { hint, ..Problem::at(named_in, &route.ca_mark, format!("forward.ca of {}: {what}", route.zone)) }
        };
        if let Some((why, hint)) = why_not_readable(file) {
            problems.push(at_key(why, hint));
            continue;
        }
        match certificates_in(file) {
            Ok(certificates) => route.authorities = certificates,
            Err(what) => problems.push(at_key(format!("{}: {what}", file.display()), None)),
        }
    }
    if settings.needs_system_authorities() {
        let found = rustls_native_certs::load_native_certs().certs;
        settings.system_authorities = Authorities(Arc::new(found.into_iter().map(|certificate| certificate.to_vec()).collect()));
    }
    problems
}

fn certificates_in(file: &Path) -> Result<Authorities, String> {
    if fs::metadata(file).is_ok_and(|meta| meta.len() > CA_FILE_BYTES_MAX) {
        return Err(format!("longer than {} MiB: this is no file of certificates", CA_FILE_BYTES_MAX >> 20));
    }
    let certificates = TlsTrust::certificates_of(&read_bytes(file).map_err(|problem| problem.what)?)?;
    // Each has to be usable: a file with half of its CAs would fail later, and nobody would know why.
    TlsTrust::from_der(&certificates)?;
    Ok(Authorities(Arc::new(certificates)))
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::super::{Sources, StartOptions};

    #[test]
    fn certificates_come_from_files_and_mistakes_are_told_with_their_place() {
        let scratch = Scratch::new();
        let read = |ca: &str| {
            let config = format!("[[forward]]\nzone = 'a.'\nto = ['tls://dns.example#192.0.2.1']\nca = '{ca}'\n");
            let config = Some(scratch.write("cairn.toml", &config));
            Sources::read(&StartOptions { config, ..StartOptions::default() })
        };
        let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
        scratch.write("good.pem", &signed.cert.pem());
        scratch.write("bad.pem", "no certificate");
        assert_eq!(read("good.pem").expect("all is right").settings.forwards[0].authorities.0.len(), 1);
        for (file, told) in [("gone.pem", "gone.pem"), ("bad.pem", "bad.pem: no certificate is in it")] {
            let problems = read(file).expect_err("a mistake");
            let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(shown[0].contains("cairn.toml:4:6: forward.ca of a.: ") && shown[0].contains(told), "{shown:?}");
        }
    }

    #[test]
    fn certificates_of_the_system_are_read_where_they_are_needed() {
        let scratch = Scratch::new();
        let count = |to: &str| {
            let config = Some(scratch.write("cairn.toml", &format!("[[forward]]\nzone = 'a.'\nto = ['{to}']\n")));
            let sources = Sources::read(&StartOptions { config, ..StartOptions::default() }).expect(to);
            (sources.settings.system_authorities.0.len(), sources.settings.needs_system_authorities())
        };
        assert_eq!(count("192.0.2.1"), (0, false));
        assert!(count("tls://dns.example#192.0.2.1").1);
    }
}
