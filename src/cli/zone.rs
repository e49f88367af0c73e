//! `cairn zone`: hosted zones, their records, and the keys that servers of a zone share.

use clap::{Args, Subcommand, ValueEnum};

use super::ask::ask_server;
use super::exit_code::{FAILED, GOOD};
use super::explain::parse_name;
use super::run::Everywhere;
use super::terminal::{complain, say};
use super::zone_doctor::{self, DoctorArgs};
use super::zone_publish::{self, PublishArgs};
use super::zone_records::{self, AddArgs, ImportArgs, RemoveArgs, SetArgs};
use super::zone_shown::{self, ExportArgs, ListArgs, ShowArgs};
use super::zone_sign::{self, SignCommand};
use crate::env::Random;
use crate::record::{Name, base64_to_text};
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn zone list                                             all hosted zones, and how current the copies of secondaries are
  cairn zone show example.org                                 all records of one
  cairn zone add example.org www 300 A 192.0.2.10             one more record
  cairn zone add example.org @ 1h MX '10 mail'                for the zone's own name; DATA in one argument
  cairn zone add example.org @ 1h TXT '\"v=spf1 mx -all\"'      text in quotes, and apostrophes for the shell
  cairn zone set example.org www 300 A 192.0.2.11 192.0.2.12  in place of all A records of www
  cairn zone remove example.org www A 192.0.2.11              one record; without DATA all of a type; without TYPE the name
  cairn zone import example.org more.txt                      add the records of a file
  cairn zone export example.org                               the zone and nothing else, for `> FILE` and another server
  cairn zone publish example.org                              put the file in force, and print what to enter at the registrar
  cairn zone doctor example.org                               compare the zone with its parent and with all its servers
  cairn zone key transfer.example                             make a TSIG key; print it for cairn.toml, dig and nsupdate, kdig
  cairn zone key transfer.example --format bind               only the form of `dig -k`, `nsupdate -k` and named.conf
  cairn zone retransfer example.org                           transfer a secondary zone again, whole
  cairn zone notify example.org                               tell the other servers of a zone of its serial
  cairn zone sign status example.org                          the keys of a signed zone, and the DS record for the parent

NAME is relative to the zone (www), @ is the zone itself, and a name with a final dot is absolute (www.example.org.).
A change is written into the zone's file: comments, order and spacing stay, and the serial is raised. What would make
the zone wrong is refused. A running server has the change in force when the command ends.";

/// Show and change hosted zones and their records, and make keys for their servers
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ZoneCommand {
    List(ListArgs),
    Show(ShowArgs),
    Add(AddArgs),
    Set(SetArgs),
    Remove(RemoveArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    Publish(PublishArgs),
    Doctor(DoctorArgs),
    /// Make a TSIG key (RFC 8945): a secret that two servers share
    Key(KeyArgs),
    /// Transfer a secondary zone again, whole, and wait for the result
    Retransfer(NameArgs),
    /// Send NOTIFY (RFC 1996) to the other servers of a zone
    Notify(NameArgs),
    /// Show and roll the keys of a zone that Cairn signs
    #[command(subcommand)]
    Sign(SignCommand),
}

#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The zone
    #[arg(value_parser = parse_name)]
    zone: Name,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The key's name, the same on both sides
    #[arg(value_parser = parse_name)]
    name: Name,
    /// The hash that messages are signed with
    #[arg(long, value_enum, default_value = "hmac-sha256")]
    algorithm: Algorithm,
    /// Print one form alone, for a file
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    #[value(name = "hmac-sha256")]
    Sha256,
    #[value(name = "hmac-sha384")]
    Sha384,
    #[value(name = "hmac-sha512")]
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha384 => "hmac-sha384",
            Algorithm::Sha512 => "hmac-sha512",
        }
    }

    /// RFC 2104 3: as long as the hash.
    fn secret_octets(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha384 => 48,
            Algorithm::Sha512 => 64,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A [[key]] of cairn.toml
    Cairn,
    /// dig -k FILE, nsupdate -k FILE, named.conf
    Bind,
    /// kdig -k FILE, knsupdate -k FILE; or after -y
    Knot,
}

pub(super) fn zone(command: &ZoneCommand, everywhere: &Everywhere) -> u8 {
    match command {
        ZoneCommand::Key(args) => key(args),
        ZoneCommand::List(args) => zone_shown::list(args, everywhere),
        ZoneCommand::Show(args) => zone_shown::show(args, everywhere),
        ZoneCommand::Export(args) => zone_shown::export(args, everywhere),
        ZoneCommand::Publish(args) => zone_publish::publish(args, everywhere),
        ZoneCommand::Doctor(args) => zone_doctor::doctor(args, everywhere),
        ZoneCommand::Add(args) => zone_records::add(args, everywhere),
        ZoneCommand::Set(args) => zone_records::set(args, everywhere),
        ZoneCommand::Remove(args) => zone_records::remove(args, everywhere),
        ZoneCommand::Import(args) => zone_records::import(args, everywhere),
        ZoneCommand::Retransfer(args) => ask_server(&Command::ZoneRetransfer { name: args.zone.clone() }, everywhere),
        ZoneCommand::Sign(command) => zone_sign::sign(command, everywhere),
        ZoneCommand::Notify(args) => ask_server(&Command::ZoneNotify { name: args.zone.clone() }, everywhere),
    }
}

fn key(args: &KeyArgs) -> u8 {
    let random = match Random::from_system() {
        Ok(random) => random,
        Err(error) => {
            complain!("cairn: no randomness from the system: {error}");
            return FAILED;
        }
    };
    let octets: Vec<u8> = (0..args.algorithm.secret_octets() / 8).flat_map(|_| random.u64().to_be_bytes()).collect();
    let mut secret = String::new();
    base64_to_text(&octets, &mut secret);
    for line in shown(&args.name, args.algorithm.name(), &secret, args.format) {
        say!("{line}");
    }
    GOOD
}

fn shown(name: &Name, algorithm: &str, secret: &str, format: Option<Format>) -> Vec<String> {
    let cairn = || {
        vec![
            "[[key]]".to_owned(),
            format!("name      = \"{name}\""),
            format!("algorithm = \"{algorithm}\""),
            format!("secret    = \"{secret}\""),
        ]
    };
    let bind = || {
        let body = [format!("    algorithm {algorithm};"), format!("    secret \"{secret}\";")];
        [vec![format!("key \"{name}\" {{")], body.to_vec(), vec!["};".to_owned()]].concat()
    };
    let knot = || vec![format!("{algorithm}:{name}:{secret}")];
    match format {
        Some(Format::Cairn) => cairn(),
        Some(Format::Bind) => bind(),
        Some(Format::Knot) => knot(),
        None => {
            let titled = |title: &str, lines: Vec<String>| [vec![format!("# {title}")], lines, vec![String::new()]].concat();
            let mut all = titled("cairn.toml", cairn());
            all.extend(titled("named.conf, or a file for `dig -k FILE` and `nsupdate -k FILE`", bind()));
            all.extend(titled("a file for `kdig -k FILE` and `knsupdate -k FILE`, or behind -y", knot()));
            all.pop();
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    /// The block for the configuration is one that it takes, and all blocks have the same secret.
    #[test]
    fn a_key_in_three_forms() {
        let name = Name::parse("transfer.example").expect("a name");
        let lines = |format| shown(&name, "hmac-sha512", "c2VjcmV0", format);
        let settings = Settings::from_toml(&lines(Some(Format::Cairn)).join("\n"), "cairn.toml").expect("it is taken");
        assert_eq!(settings.keys[0].secret.as_ref().map(|secret| secret.octets().to_vec()), Some(b"secret".to_vec()));
        assert_eq!(
            lines(Some(Format::Bind)),
            ["key \"transfer.example.\" {", "    algorithm hmac-sha512;", "    secret \"c2VjcmV0\";", "};"]
        );
        assert_eq!(lines(Some(Format::Knot)), ["hmac-sha512:transfer.example.:c2VjcmV0"]);
        let all = lines(None);
        assert_eq!(all.iter().filter(|line| line.contains("c2VjcmV0")).count(), 3);
        assert!(all.first().is_some_and(|line| line == "# cairn.toml") && all.last().is_some_and(|line| !line.is_empty()));
    }
}
