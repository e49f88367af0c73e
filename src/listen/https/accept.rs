//! What a client takes: the header field Accept (RFC 9110 12.5.1).

/// How much a client wants a media type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wish {
    /// 3: by its name, 2: by `type/*`, 1: by `*/*`, or by saying nothing.
    pub exactness: u8,
    /// Thousandths; 0: not at all.
    pub weight: u16,
}

impl Wish {
    /// Neither named nor meant.
    const NONE: Wish = Wish { exactness: 0, weight: 0 };
    const ANYTHING: Wish = Wish { exactness: 1, weight: 1_000 };

    /// Several lines are one list (RFC 9110 5.3); the range that names the type most exactly decides. A client that says nothing takes
    /// everything.
    pub fn of<'a>(lines: impl Iterator<Item = &'a str>, media_type: &str) -> Wish {
        let mut ranges = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|range| !range.is_empty()).peekable();
        if ranges.peek().is_none() {
            return Wish::ANYTHING;
        }
        ranges.filter_map(|range| Wish::by(range, media_type)).max().unwrap_or(Wish::NONE)
    }

    fn by(range: &str, media_type: &str) -> Option<Wish> {
        let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
        let range = range.trim();
        let is_kind =
            || range.strip_suffix("/*").is_some_and(|kind| media_type.split('/').next().is_some_and(|of| of.eq_ignore_ascii_case(kind)));
        let exactness = match range {
            "*/*" => 1,
            _ if range.eq_ignore_ascii_case(media_type) => 3,
            _ if is_kind() => 2,
            _ => return None,
        };
        Some(Wish { exactness, weight: weight(parameters) })
    }

    /// Whether the type may be sent.
    pub fn is_there(self) -> bool {
        self.weight > 0
    }
}

/// `q=0.5` (RFC 9110 12.4.2). What cannot be read says nothing.
fn weight(parameters: &str) -> u16 {
    let mut pairs = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let weight = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("q")).and_then(|(_, weight)| weight.trim().parse::<f32>().ok());
    let thousandths = |weight: f32| (weight.clamp(0.0, 1.0) * 1_000.0).round() as u16;
    weight.filter(|weight| !weight.is_nan()).map_or(1_000, |weight| thousandths(weight).max(u16::from(weight > 0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_range_decides() {
        for (accept, exactness, weight) in [
            ("", 1, 1_000),
            ("*/*", 1, 1_000),
            ("text/html", 0, 0),
            ("application/dns-message", 3, 1_000),
            ("Application/DNS-Message; Q=0.25", 3, 250),
            ("application/*;q=0.5, */*", 2, 500),
            ("application/dns-message;q=0, */*", 3, 0),
            ("application/dns-message;v=1;q=0.1, application/dns-message;q=0.2", 3, 200),
            ("application/dns-message-2", 0, 0),
            ("application/dns-message;q=much", 3, 1_000),
            ("application/dns-message;q=7", 3, 1_000),
            ("application/dns-message;q=nan", 3, 1_000),
            ("application/dns-message;q=0.0004", 3, 1),
            ("application/dns-message;q=-1", 3, 0),
        ] {
            assert_eq!(Wish::of([accept].into_iter(), "application/dns-message"), Wish { exactness, weight }, "{accept}");
        }
        assert_eq!(Wish::of(["text/html", "*/*;q=0.5"].into_iter(), "application/dns-message").weight, 500, "lines are one list");
    }
}
