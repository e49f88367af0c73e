//! Forward and stub rules that lead to this server itself: it would query itself until each question's budget is spent.
//!
//! A rule of a view is no mistake where the query comes back as one of another view, or of none, whose rules lead elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use crate::config::{Forwarder, Problem, RouteSettings, Settings, ViewForward, ViewSettings};
use crate::record::Name;

/// The mistakes of this kind.
pub(super) fn rules_to_itself(settings: &Settings, file: &Path) -> Vec<Problem> {
    let Settings { server, .. } = settings;
    let listen: Vec<SocketAddr> = [&server.listen_addrs()[..], &server.listen_tls, &server.listen_https].concat();
    let itself =
        |to: &[Forwarder]| to.iter().flat_map(Forwarder::addresses).filter(|to| listen.iter().any(|at| leads_to(*to, *at))).collect();
    let hint = "name another server, or let this one listen elsewhere: `listen` in [server], or --listen";
    let problem = |mark, what: String| Problem { hint: Some(hint.to_owned()), ..Problem::at(file.display().to_string(), mark, what) };
    let why = |to: &SocketAddr| format!("this server itself listens on {to}, and would query itself");
    let rules = settings.forwards.iter().map(|rule| ("forward", rule)).chain(settings.stubs.iter().map(|rule| ("stub", rule)));
    let of_all = rules.filter_map(|(kind, rule): (&str, &RouteSettings)| {
        let itself: Vec<SocketAddr> = itself(&rule.to);
        Some(problem(&rule.to_mark, format!("{kind}.to of {}: {}", rule.zone, why(itself.first()?))))
    });
    let of_views = settings.views.iter().enumerate().flat_map(|(at, view)| {
        let (problem, why, itself) = (&problem, &why, &itself);
        view.forward.iter().filter_map(move |rule| {
            let to = itself(&rule.to).into_iter().find(|to| comes_back(at, &rule.zone, *to, &settings.views, itself))?;
            Some(problem(&view.forward_mark, format!("view.forward of {}: {}: {}", view.name(), rule.zone, why(&to))))
        })
    });
    of_all.chain(of_views).collect()
}

/// Would a query of the view for names in `zone`, sent to this server itself, be sent there again and again?
fn comes_back(view: usize, zone: &Name, to: SocketAddr, views: &[ViewSettings], itself: &impl Fn(&[Forwarder]) -> Vec<SocketAddr>) -> bool {
    let (mut seen, mut to) = (vec![view], to);
    loop {
        let has = |view: &ViewSettings| view.listen.is_empty() || view.listen.iter().any(|place| place.is_at(to));
        let next = views.iter().position(|view| has(view) && view.clients.iter().any(|clients| clients.contains(own_address(to))));
        let Some(next) = next else { return false };
        if seen.contains(&next) {
            return true;
        }
        seen.push(next);
        let rules = views.get(next).map(|view| &view.forward[..]).unwrap_or_default();
        let nearest = rules.iter().filter(|rule| zone.is_within(&rule.zone)).max_by_key(|rule| rule.zone.label_count());
        match nearest.and_then(|rule: &ViewForward| itself(&rule.to).first().copied()) {
            None => return false,
            Some(again) => to = again,
        }
    }
}

/// Where a query to an address of this machine comes from.
fn own_address(to: SocketAddr) -> IpAddr {
    match to.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// A wildcard listens on every address that this machine has.
fn leads_to(to: SocketAddr, listens_at: SocketAddr) -> bool {
    let is_local = || to.is_ipv4() == listens_at.is_ipv4() && UdpSocket::bind(SocketAddr::new(to.ip(), 0)).is_ok();
    to == listens_at || (to.port() == listens_at.port() && listens_at.ip().is_unspecified() && is_local())
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::super::configuration::{StartOptions, configuration};

    #[test]
    fn a_rule_to_this_server_itself_is_a_mistake() {
        let circle = |listen: &str, to: &str, command_line: &[&str]| {
            let scratch = Scratch::new();
            let text =
                format!("[server]\n{listen}\n[[stub]]\nzone = 'a.test'\nto = ['192.0.2.1:53']\n[[forward]]\nzone = '.'\nto = [{to}]\n");
            let listen = command_line.iter().map(|at| at.parse().expect("an address")).collect();
            let options = StartOptions { config: Some(scratch.write("cairn.toml", &text)), listen, ..StartOptions::default() };
            let problems = configuration(&options).err().unwrap_or_default();
            problems.iter().map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.what)).collect::<Vec<_>>()
        };
        for (listen, to, command_line, of) in [
            ("", "'192.0.2.9', '127.0.0.1'", &[][..], Some("127.0.0.1:53")),
            ("", "'::1'", &[], Some("[::1]:53")),
            ("", "'127.0.0.1:5300'", &[], None),
            ("listen = ['127.0.0.1:5300']", "'127.0.0.1'", &[], None),
            ("listen = ['127.0.0.1:5300']", "'127.0.0.1:5300'", &[], Some("127.0.0.1:5300")),
            ("listen = ['127.0.0.1:5300']", "'127.0.0.1:5301'", &["127.0.0.1:5301"], Some("127.0.0.1:5301")),
            ("listen = ['127.0.0.1:5300']", "'127.0.0.1:5300'", &["127.0.0.1:5301"], None),
            ("listen = ['0.0.0.0']", "'127.0.0.2'", &[], Some("127.0.0.2:53")),
            ("listen = ['0.0.0.0']", "'192.0.2.9'", &[], None),
            ("listen = ['0.0.0.0']", "'127.0.0.2:5353'", &[], None),
        ] {
            let what = |of| format!("8:6 forward.to of .: this server itself listens on {of}, and would query itself");
            assert_eq!(circle(listen, to, command_line), of.map(what).into_iter().collect::<Vec<_>>(), "{listen} {to} {command_line:?}");
        }
    }

    #[test]
    fn rules_of_views_that_come_back() {
        let told = |views: &str| {
            let scratch = Scratch::new();
            let config = Some(scratch.write("cairn.toml", &format!("[server]\nlisten = ['127.0.0.1', '127.0.0.3:5300']\n{views}")));
            let problems = configuration(&StartOptions { config, ..StartOptions::default() }).err().unwrap_or_default();
            problems.into_iter().map(|problem| (problem.line, problem.what)).collect::<Vec<_>>()
        };
        let view = |name: &str, clients: &str, rest: &str| format!("[[view]]\nname = '{name}'\nclients = ['{clients}']\n{rest}\n");
        let (to_itself, elsewhere) = ("forward = ['a.test 192.0.2.1 127.0.0.1']", "forward = ['a.test 192.0.2.1']");
        let mistake = |line: usize, view: &str, zone: &str| {
            (line, format!("view.forward of {view}: {zone}: this server itself listens on 127.0.0.1:53, and would query itself"))
        };
        assert_eq!(told(&view("v", "127.0.0.0/8", to_itself)), [mistake(6, "v", "a.test.")]);
        assert_eq!(told(&view("v", "127.0.0.0/8", elsewhere)), []);
        // As a client of no view, or of another one, it gets an answer.
        assert_eq!(told(&view("v", "192.0.2.0/24", to_itself)), []);
        let (other, same) = (view("w", "127.0.0.1", "lists = []"), view("w", "127.0.0.1", elsewhere));
        assert_eq!(told(&[view("v", "192.0.2.0/24", to_itself), other].concat()), []);
        assert_eq!(told(&[view("v", "192.0.2.0/24", to_itself), same].concat()), []);
        let back = view("w", "127.0.0.1", "forward = ['. 127.0.0.1']");
        assert_eq!(told(&[view("v", "192.0.2.0/24", to_itself), back].concat()), [mistake(6, "v", "a.test."), mistake(10, "w", ".")]);
        // A view for other listening addresses is not the one that it comes back to.
        let there = view("v", "127.0.0.0/8", "listen = ['127.0.0.3:5300']\nforward = ['a.test 127.0.0.1']");
        assert_eq!(told(&there), []);
    }
}
