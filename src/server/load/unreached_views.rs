//! Views that no client can have, and entries of schedules that change nothing: earlier views have all of their clients wherever these
//! can ask, or nobody can ask where the view is for.

use std::net::{IpAddr, SocketAddr};

use super::configuration::Configuration;
use crate::config::{ListenPlace, Prefix, Problem, ScheduleRule, Settings, ViewSettings};
use crate::policy::{Moment, Paused};

/// All warnings of this kind.
pub(super) fn unreached(configuration: &Configuration) -> Vec<Problem> {
    let Configuration { settings, file } = configuration;
    let config = file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let listeners = listeners(settings);
    let mut problems = Vec::new();
    for (at, view) in settings.views.iter().enumerate() {
        let before = settings.views.get(..at).unwrap_or_default();
        if let Some((why, hint)) = why_unreached(view, before, &listeners) {
            let what = format!("warning: view {}: no client can have it: {why}", view.name());
            problems.push(Problem { hint: Some(hint), ..Problem::at(&config, &view.name_mark, what) });
        }
        for rule in idle_entries(&view.schedule) {
            let what = format!(
                "warning: view {}: schedule: \"{}: {}\" adds nothing to the entries beside it",
                view.name(),
                rule.list,
                rule.times()
            );
            problems.push(Problem::at(&config, &view.schedule_mark, what));
        }
    }
    problems
}

/// Every address that clients can ask at.
fn listeners(settings: &Settings) -> Vec<SocketAddr> {
    let server = &settings.server;
    server.listen_addrs().into_iter().chain(server.listen_tls.iter().copied()).chain(server.listen_https.iter().copied()).collect()
}

/// Where queries for a view can come to; `ip` is `None` where that is any address of this machine.
#[derive(Clone, Copy)]
struct AskedAt {
    ip: Option<IpAddr>,
    port: u16,
}

/// Why no client can have the view, and what to do about it.
fn why_unreached(view: &ViewSettings, before: &[ViewSettings], listeners: &[SocketAddr]) -> Option<(String, String)> {
    if view.clients.is_empty() {
        let hint = "write addresses or prefixes, such as \"192.0.2.0/24\", or remove the view".to_owned();
        return Some(("its `clients` are an empty list".to_owned(), hint));
    }
    let asked_at: Vec<AskedAt> = match view.listen.is_empty() {
        true => listeners.iter().map(|listener| AskedAt { ip: fixed(listener.ip()), port: listener.port() }).collect(),
        false => view.listen.iter().flat_map(|place| listeners.iter().filter_map(|listener| asked_at(place, *listener))).collect(),
    };
    if asked_at.is_empty() {
        return (!view.listen.is_empty()).then(|| {
            let at: Vec<String> = listeners.iter().map(SocketAddr::to_string).collect();
            let hint = format!("write one of those in [server], or add it there: it listens at {}", at.join(", "));
            ("this server listens at none of the addresses in `listen`".to_owned(), hint)
        });
    }
    // All clients, wherever they ask.
    let is_covered = |at: &AskedAt| {
        let earlier: Vec<Prefix> =
            before.iter().filter(|view| has_all_at(view, *at)).flat_map(|view| view.clients.iter().copied()).collect();
        view.clients.iter().all(|clients| is_within_union(*clients, &earlier))
    };
    asked_at.iter().all(is_covered).then(|| {
        let overlaps = |other: &&ViewSettings| {
            let touches = |one: &Prefix, two: &Prefix| one.contains(two.network()) || two.contains(one.network());
            other.clients.iter().any(|theirs| view.clients.iter().any(|own| touches(own, theirs)))
        };
        let names: Vec<&str> = before.iter().filter(overlaps).map(ViewSettings::name).collect();
        let hint = "the first view that has a client counts: put the one for fewer clients first";
        (format!("all of its clients have an earlier one ({})", names.join(", ")), hint.to_owned())
    })
}

/// `None`: a listener for any address.
fn fixed(listener: IpAddr) -> Option<IpAddr> {
    (!listener.is_unspecified()).then(|| listener.to_canonical())
}

/// Where a query comes to that this listener takes and the view's place is for.
fn asked_at(place: &ListenPlace, listener: SocketAddr) -> Option<AskedAt> {
    let is_port = place.port().is_none_or(|port| port == listener.port());
    // `[::]` may take IPv4 too.
    let is_address = match fixed(listener.ip()) {
        Some(ip) => ip == place.ip(),
        None => listener.is_ipv6() || place.ip().is_ipv4(),
    };
    (is_port && is_address).then(|| AskedAt { ip: Some(place.ip()), port: listener.port() })
}

/// Whether the view is for all of its clients who ask there.
fn has_all_at(view: &ViewSettings, at: AskedAt) -> bool {
    view.listen.is_empty() || at.ip.is_some_and(|ip| view.listen.iter().any(|place| place.is_at(SocketAddr::new(ip, at.port))))
}

/// Whether each address of the prefix is in one of the others.
fn is_within_union(prefix: Prefix, others: &[Prefix]) -> bool {
    if others.iter().any(|other| other.length() <= prefix.length() && other.contains(prefix.network())) {
        return true;
    }
    let inside: Vec<Prefix> = others.iter().copied().filter(|other| prefix.contains(other.network())).collect();
    !inside.is_empty() && prefix.halves().is_some_and(|halves| halves.into_iter().all(|half| is_within_union(half, &inside)))
}

/// Entries of the schedule of a view at whose times others for the same list are in force already. Of two alike, the later one.
fn idle_entries(schedule: &[ScheduleRule]) -> Vec<&ScheduleRule> {
    let mut kept: Vec<&ScheduleRule> = schedule.iter().collect();
    let mut idle = Vec::new();
    for rule in schedule.iter().rev() {
        let others: Vec<&ScheduleRule> =
            kept.iter().copied().filter(|other| other.list == rule.list && !std::ptr::eq(*other, rule)).collect();
        if !others.is_empty()
            && minutes_of_a_week().filter(|moment| moment.is_within(rule)).all(|moment| others.iter().any(|other| moment.is_within(other)))
        {
            kept.retain(|other| !std::ptr::eq(*other, rule));
            idle.push(rule);
        }
    }
    idle.reverse();
    idle
}

fn minutes_of_a_week() -> impl Iterator<Item = Moment> {
    (0..7).flat_map(|day| (0..24 * 60).map(move |minute| Moment { day, minute, paused: Paused::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let settings = Settings::from_toml(text, "c.toml").expect(text);
        let configuration = Configuration { settings, file: Some("c.toml".into()) };
        unreached(&configuration).iter().map(|problem| problem.what.replace("warning: view ", "")).collect()
    }

    /// What to do fits what is wrong, whatever views stand before.
    #[test]
    fn hints() {
        let view = |name: &str, rest: &str| format!("[[view]]\nname = '{name}'\nclients = ['10.0.0.0/8']\n{rest}\n");
        let hint = |second: &str| {
            let text = format!("[server]\nlisten = ['192.0.2.53', '[::1]:5353']\n{}{}", view("a", ""), view("b", second));
            let configuration = Configuration { settings: Settings::from_toml(&text, "c.toml").expect("valid"), file: None };
            unreached(&configuration).into_iter().next().and_then(|problem| problem.hint).unwrap_or_default()
        };
        assert_eq!(hint(""), "the first view that has a client counts: put the one for fewer clients first");
        let nowhere = "write one of those in [server], or add it there: it listens at 192.0.2.53:53, [::1]:5353";
        assert_eq!(hint("listen = ['192.0.2.55']"), nowhere);
    }

    #[test]
    fn views_that_no_client_has() {
        let view =
            |name: &str, clients: &str, listen: &str| format!("[[view]]\nname = '{name}'\nclients = [{clients}]\nlisten = [{listen}]\n");
        let covered = |name: &str, by: &str| vec![format!("{name}: no client can have it: all of its clients have an earlier one ({by})")];
        let nowhere = |name: &str| vec![format!("{name}: no client can have it: this server listens at none of the addresses in `listen`")];
        let server = "[server]\nlisten = ['192.0.2.53', '192.0.2.54:5353']\n";
        let everywhere = "[server]\nlisten = ['0.0.0.0', '[::]']\n";
        for (listen, views, expected) in [
            (server, &[("a", "'10.0.0.0/8'", ""), ("b", "'10.1.0.0/16'", "")][..], covered("b", "a")),
            (server, &[("a", "", "")], vec!["a: no client can have it: its `clients` are an empty list".to_owned()]),
            (server, &[("b", "'10.1.0.0/16'", ""), ("a", "'10.0.0.0/8'", "")], vec![]),
            (server, &[("a", "'10.0.0.0/9'", ""), ("b", "'10.128.0.0/9'", ""), ("c", "'10.0.0.0/8'", "")], covered("c", "a, b")),
            (server, &[("a", "'10.0.0.0/9'", ""), ("c", "'10.0.0.0/8'", "")], vec![]),
            (server, &[("a", "'10.0.0.0/8'", ""), ("c", "'10.1.0.0/16', '::1'", "")], vec![]),
            (server, &[("a", "'::/0'", ""), ("b", "'2001:db8::/32'", ""), ("c", "'192.0.2.1'", "")], covered("b", "a")),
            // By where they ask.
            (server, &[("a", "'10.0.0.0/8'", "'192.0.2.53'"), ("b", "'10.1.0.0/16'", "")], vec![]),
            (server, &[("a", "'10.0.0.0/8'", "'192.0.2.53'"), ("b", "'10.1.0.0/16'", "'192.0.2.53:53'")], covered("b", "a")),
            (server, &[("a", "'10.0.0.0/8'", "'192.0.2.53', '192.0.2.54'"), ("b", "'10.1.0.0/16'", "")], covered("b", "a")),
            (server, &[("a", "'10.0.0.0/8'", "'192.0.2.54:53'")], nowhere("a")),
            (server, &[("a", "'10.0.0.0/8'", "'192.0.2.55'")], nowhere("a")),
            (everywhere, &[("a", "'10.0.0.0/8'", "'192.0.2.53'"), ("b", "'10.1.0.0/16'", "")], vec![]),
            (everywhere, &[("a", "'10.0.0.0/8'", "'192.0.2.53'"), ("b", "'10.1.0.0/16'", "'192.0.2.53'")], covered("b", "a")),
            (everywhere, &[("a", "'10.0.0.0/8'", "'192.0.2.53:853'")], nowhere("a")),
        ] {
            let views: String = views.iter().map(|(name, clients, listen)| view(name, clients, listen)).collect();
            assert_eq!(told(&format!("{listen}{views}")), expected, "{listen}{views}");
        }
    }

    #[test]
    fn entries_that_add_nothing() {
        let list = "[[list]]\nname = 'x'\nsource = 'x'\n[[list]]\nname = 'y'\nsource = 'y'\n";
        let idle = |entry: &str| vec![format!("v: schedule: \"{entry}\" adds nothing to the entries beside it")];
        for (schedule, expected) in [
            ("'x: mon-fri 20:00-07:00', 'y: mon 21:00-22:00'", vec![]),
            ("'x: mon-fri 20:00-07:00', 'x: tue 00:00-06:00'", idle("x: tue 00:00-06:00")),
            ("'x: tue 00:00-06:00', 'x: mon-fri 20:00-07:00'", idle("x: tue 00:00-06:00")),
            ("'x: mon 08:00-09:00', 'x: mon 09:00-10:00', 'x: mon 08:30-09:30'", idle("x: mon 08:30-09:30")),
            ("'x: mon 08:00-09:00', 'x: mon 08:30-09:30'", vec![]),
        ] {
            let text = format!("{list}[[view]]\nname = 'v'\nclients = ['10.0.0.0/8']\nschedule = [{schedule}]\n");
            assert_eq!(told(&text), expected, "{schedule}");
        }
    }
}
