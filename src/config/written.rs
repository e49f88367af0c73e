//! One value of the file, read as its key expects it; every mistake says what was found and what to write instead.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::address_entry::AddressEntry;
use super::block_answer::{BLOCK_WORDS, BlockAnswer};
use super::http_url::HttpUrl;
use super::language;
use super::list_settings::ListSource;
use super::nearest::nearest;
use super::quantity::{parse_duration, parse_size};
use super::secret::Secret;
use super::socket_addr::{parse_socket, parse_socket_at};
use super::tap_settings::STANDARD_OUTPUT;
use super::view_settings::SafeSearch;
use crate::record::{Name, to_ascii_name};

pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One mistake inside a value: its place, what is wrong, and how to correct it.
pub(super) type Mistake = (Range<usize>, String, Option<String>);

type Read<T> = Result<T, Vec<Mistake>>;

pub(super) struct Written<'v> {
    pub(super) value: &'v Value<'v>,
    /// What the key expects, as an error message says it.
    pub(super) expected: String,
    /// The folder of the file, which completes relative paths.
    pub(super) folder: &'v Path,
}

impl Written<'_> {
    pub(super) fn switch(&self) -> Read<bool> {
        self.plain().as_bool().ok_or_else(|| match self.plain() {
            DeValue::String(word) => self.no_switch(word),
            DeValue::Integer(number) => self.no_switch(&number.to_string()),
            _ => self.wrong(None),
        })
    }

    /// The mistake with what to write, where a switch is written as a word or a number.
    fn no_switch(&self, word: &str) -> Vec<Mistake> {
        self.wrong(language::switch_for(word).map(|switch| format!("write {switch} without quotes")))
    }

    pub(super) fn count(&self, least: u64, most: u64) -> Read<usize> {
        let count = self.within(least, most, self.plain().as_integer().and_then(whole_number))?;
        usize::try_from(count).map_err(|_| self.wrong(None))
    }

    pub(super) fn seconds(&self, least: u64, most: u64) -> Read<u32> {
        let seconds = self.within(least, most, self.amount(parse_duration))?;
        u32::try_from(seconds).map_err(|_| self.wrong(None))
    }

    pub(super) fn bytes(&self, least: u64, most: u64) -> Read<u64> {
        self.within(least, most, self.amount(parse_size))
    }

    fn amount(&self, parse: fn(&str) -> Option<u64>) -> Option<u64> {
        match self.plain() {
            DeValue::Integer(integer) => whole_number(integer),
            DeValue::String(text) => parse(text),
            _ => None,
        }
    }

    fn within(&self, least: u64, most: u64, amount: Option<u64>) -> Read<u64> {
        amount.filter(|amount| (least..=most).contains(amount)).ok_or_else(|| self.wrong(None))
    }

    /// The index of the word in the list.
    pub(super) fn word(&self, words: &[&str]) -> Read<usize> {
        let written = self.text()?;
        words.iter().position(|word| *word == written).ok_or_else(|| {
            let hint = nearest(written, words).map(|near| format!("did you mean \"{near}\"?"));
            self.wrong(hint)
        })
    }

    pub(super) fn path(&self) -> Read<PathBuf> {
        let path = self.plain().as_str().filter(|path| !path.is_empty() && !path.contains('\0'));
        path.map(|path| self.folder.join(path)).ok_or_else(|| self.wrong(None))
    }

    /// The path of a file that is written; standard output stays as it is written.
    pub(super) fn path_or_output(&self) -> Read<PathBuf> {
        if self.plain().as_str() == Some(STANDARD_OUTPUT) { Ok(PathBuf::from(STANDARD_OUTPUT)) } else { self.path() }
    }

    /// A URL that can be fetched, or the path of a file.
    pub(super) fn source(&self) -> Read<ListSource> {
        match self.plain().as_str().and_then(|text| Some((text, text.split_once("://")?))) {
            None => self.path().map(ListSource::File),
            Some((text, _)) => match HttpUrl::parse(text) {
                Ok(url) => Ok(ListSource::Url(url)),
                Err(what) => {
                    let path = text.strip_prefix("file://").filter(|path| path.starts_with('/'));
                    let hint = path.map(|path| format!("a file is written as its path alone: \"{path}\""));
                    Err(vec![(self.value.span(), format!("\"{text}\" {what}"), hint)])
                }
            },
        }
    }

    pub(super) fn account(&self) -> Read<String> {
        let name = self.plain().as_str();
        let name = name.filter(|name| !name.is_empty() && !name.contains([':', '/']) && !name.contains(char::is_whitespace));
        name.map(str::to_owned).ok_or_else(|| self.wrong(None))
    }

    pub(super) fn short_text(&self) -> Read<String> {
        let text = self.plain().as_str().filter(|text| text.len() <= 255 && !text.contains(char::is_control));
        text.map(str::to_owned).ok_or_else(|| self.wrong(None))
    }

    /// Reads one string.
    pub(super) fn one<T>(&self, read: impl Fn(&str) -> Result<T, String>) -> Read<T> {
        read(self.text()?).map_err(|what| self.mistake(what))
    }

    pub(super) fn secret(&self) -> Read<Secret> {
        let text = self.plain().as_str().ok_or_else(|| self.mistake("expected a secret in base 64, in quotes".to_owned()))?;
        Secret::parse(text).map_err(|what| self.mistake(what))
    }

    /// A switch, or a word for the form between.
    pub(super) fn safe_search(&self) -> Read<SafeSearch> {
        match self.plain().as_str() {
            Some("moderate") => Ok(SafeSearch::Moderate),
            Some(_) => Err(self.wrong(None)),
            None => Ok(if self.switch()? { SafeSearch::Strict } else { SafeSearch::Off }),
        }
    }

    pub(super) fn block_answer(&self) -> Read<BlockAnswer> {
        if let Some(word) = self.plain().as_str() {
            return BlockAnswer::word(word).ok_or_else(|| {
                self.wrong(match word.parse::<IpAddr>() {
                    Ok(address) => Some(format!("an address stands in a list: [\"{address}\"]")),
                    Err(_) => nearest(word, &BLOCK_WORDS).map(|near| format!("did you mean \"{near}\"?")),
                })
            });
        }
        BlockAnswer::addresses(self.each(|text| text.parse().map_err(|_| format!("\"{text}\" is no address")))?)
            .map_err(|what| self.mistake(what))
    }

    /// At least one address and port.
    pub(super) fn sockets(&self) -> Read<Vec<SocketAddr>> {
        let all = self.each(parse_socket)?;
        if all.is_empty() {
            return Err(self.mistake("at least one address is needed".to_owned()));
        }
        Ok(all)
    }

    /// Addresses, with this port where none is written.
    pub(super) fn sockets_at(&self, port: u16) -> Read<Vec<SocketAddr>> {
        self.each(|text| parse_socket_at(text, port))
    }

    /// The path of a URI (RFC 3986 3.3), as clients send it.
    pub(super) fn uri_path(&self) -> Read<String> {
        let is_of_path = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&octet);
        let text = self.plain().as_str().filter(|text| text.starts_with('/') && text.len() <= 255 && text.bytes().all(is_of_path));
        text.map(str::to_owned).ok_or_else(|| self.wrong(None))
    }

    /// Reads every string of a list. The mistakes of all elements are reported; a repeated element is a mistake.
    pub(super) fn each<T: PartialEq>(&self, read: impl Fn(&str) -> Result<T, String>) -> Read<Vec<T>> {
        let elements = self.plain().as_array().ok_or_else(|| self.wrong(None))?;
        let (mut all, mut mistakes) = (Vec::new(), Vec::new());
        for element in elements {
            match element.get_ref().as_str().map(&read) {
                Some(Ok(read)) => all.push((element, read)),
                Some(Err(what)) => mistakes.push((element.span(), what, None)),
                None => mistakes.push((element.span(), format!("expected a string in quotes, found {}", found(element)), None)),
            }
        }
        for (at, (element, one)) in all.iter().enumerate() {
            if all.iter().take(at).any(|(_, other)| other == one) {
                mistakes.push((element.span(), format!("{} appears twice", found(element)), None));
            }
        }
        if mistakes.is_empty() { Ok(all.into_iter().map(|(_, one)| one).collect()) } else { Err(mistakes) }
    }

    fn plain(&self) -> &DeValue<'_> {
        self.value.get_ref()
    }

    fn text(&self) -> Read<&str> {
        self.plain().as_str().ok_or_else(|| self.wrong(None))
    }

    fn wrong(&self, hint: Option<String>) -> Vec<Mistake> {
        vec![(self.value.span(), format!("expected {}, found {}", self.expected, found(self.value)), hint)]
    }

    fn mistake(&self, what: String) -> Vec<Mistake> {
        vec![(self.value.span(), what, None)]
    }
}

fn whole_number(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A server, perhaps with a TSIG key.
pub(super) fn host(text: &str) -> Result<AddressEntry, String> {
    AddressEntry::parse_host(text, domain_name)
}

/// An address, a prefix or a TSIG key of clients.
pub(super) fn client(text: &str) -> Result<AddressEntry, String> {
    AddressEntry::parse_clients(text, domain_name)
}

/// A URI as people write it: a scheme, and something behind it (RFC 3986 3).
pub(super) fn uri(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()).map(|(scheme, _)| scheme);
    let is_fit = scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)))
        && text.len() <= 128
        && text.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"\\<>".contains(&octet));
    if is_fit {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{text}\" is no URI of at most 128 octets, such as \"mailto:help@example.org\""))
    }
}

/// A domain name with or without the final dot. International names are written in their wire form (RFC 5890 2.3.2.1).
pub(super) fn domain_name(text: &str) -> Result<Name, String> {
    if text.is_empty() {
        return Err("\"\" is not a domain name; the root is \".\"".to_owned());
    }
    if let Some(rest) = text.strip_prefix("*.") {
        return Err(format!("\"{text}\": write \"{rest}\", which is for all names below it as well"));
    }
    if !text.is_ascii() {
        let form = to_ascii_name(text).map_or("its xn-- form".to_owned(), |form| format!("\"{form}\""));
        return Err(format!("\"{text}\" is not ASCII: write {form}"));
    }
    if text.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()) || text.contains("://") {
        return Err(format!("\"{text}\" is not a domain name"));
    }
    Name::parse(text).map_err(|error| format!("\"{text}\" is not a domain name: {error}"))
}

/// The value as an error message names it.
pub(super) fn found(value: &Value<'_>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(switch) => switch.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
