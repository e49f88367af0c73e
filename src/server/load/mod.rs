//! What a server starts from, read from files and checked: configuration, zones, root hints, trust anchors,
//! the certificate.

mod authorities;
mod certificate;
mod configuration;
mod keys;
mod local_names;
mod root;
mod rules_to_itself;
mod sources;
mod system_resolvers;
mod time_zone;
mod unreached_views;
mod warnings;
mod x509;

pub(super) use authorities::read_authorities;
pub use certificate::{Certificate, CertificateFiles, Stamps, certificate_names};
pub use configuration::{BrokenZone, Configuration, LoadedZone, StartOptions, ZoneFile, configuration};
pub(super) use configuration::{DEFAULT_CONFIG, DEFAULT_ZONES};
pub(super) use configuration::{configuration_as_far_as_it_goes, read_bytes, zone_files};
pub(super) use local_names::{local_records, with_local_records};
pub(crate) use root::{root_hints, trust_anchors};
pub use sources::Sources;
pub(super) use time_zone::time_zone;
pub(super) use warnings::open_resolver;
pub(super) use x509::date;
