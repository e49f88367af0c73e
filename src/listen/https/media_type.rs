//! The media types of DNS over HTTPS.

/// RFC 8484 6.
pub(super) const DNS_MESSAGE: &str = "application/dns-message";
/// Of the JSON form, as Cloudflare names it.
pub(super) const DNS_JSON: &str = "application/dns-json";
