//! Names by which search engines can be told to leave out what is not for children: an alias in place of the ordinary name.
//!
//! | engine | described at |
//! | --- | --- |
//! | Google | <https://support.google.com/websearch/answer/186669>; its domains: <https://www.google.com/supported_domains> |
//! | YouTube | <https://support.google.com/a/answer/6214622> |
//! | Bing | `strict.bing.com`: <https://support.microsoft.com/topic/946059ed-992b-46a0-944a-28e8fb8f1814>; the sidebar of Edge asks another name |
//! | DuckDuckGo | <https://help.duckduckgo.com/duckduckgo-help-pages/features/safe-search/> |
//! | Ecosia | <https://ecosia.helpscoutdocs.com/article/562-how-to-enforce-safe-search-at-your-organization> |
//! | Pixabay | <https://pixabay.com/blog/posts/block-adult-content-on-pixabay-at-your-school-or-w-140/> |
//! | Yandex | <https://yandex.ru/support/search/schoolsearch.xml>, which names the address of the target |
//! | Brave, Qwant | as AdGuard's registry of lists and OpenWrt's adblock have them |

use crate::config::SafeSearch;
use crate::record::Name;

const GOOGLE: &str = "forcesafesearch.google.com.";
const YOUTUBE: &str = "restrict.youtube.com.";
const YOUTUBE_MODERATE: &str = "restrictmoderate.youtube.com.";
const YANDEX: &str = "familysearch.yandex.ru.";

/// The ordinary name, in small letters, and the one that stands in for it.
const ENGINES: [(&str, &str); 16] = [
    ("www.bing.com.", "strict.bing.com."),
    ("edgeservices.bing.com.", "strict.bing.com."),
    ("duckduckgo.com.", "safe.duckduckgo.com."),
    ("www.duckduckgo.com.", "safe.duckduckgo.com."),
    ("start.duckduckgo.com.", "safe.duckduckgo.com."),
    ("search.brave.com.", "forcesafe.search.brave.com."),
    ("www.ecosia.org.", "strict-safe-search.ecosia.org."),
    ("pixabay.com.", "safesearch.pixabay.com."),
    ("api.qwant.com.", "safeapi.qwant.com."),
    ("ya.ru.", YANDEX),
    ("www.ya.ru.", YANDEX),
    ("www.youtube.com.", YOUTUBE),
    ("m.youtube.com.", YOUTUBE),
    ("youtubei.googleapis.com.", YOUTUBE),
    ("youtube.googleapis.com.", YOUTUBE),
    ("www.youtube-nocookie.com.", YOUTUBE),
];

/// What stands behind `www.google.`; Google asks for all of them.
const GOOGLE_DOMAINS: &str = "com ad ae com.af com.ag com.ai al am co.ao com.ar as at com.au az ba com.bd be bf bg com.bh bi bj com.bn com.bo \
     com.br bs bt co.bw by com.bz ca cat cd cf cg ch ci co.ck cl cm cn co com.co co.cr com.cu cv com.cy cz de dj dk dm com.do dz \
     com.ec ee com.eg es com.et fi com.fj fm fr ga ge gg com.gh com.gi gl gm gp gr com.gt gy com.hk hn hr ht hu co.id ie co.il im \
     co.in iq is it je com.jm jo co.jp co.ke kg com.kh ki co.kr com.kw kz la com.lb li lk co.ls lt lu lv com.ly co.ma md me mg mk \
     ml com.mm mn ms com.mt mu mv mw com.mx com.my co.mz com.na ne com.nf com.ng com.ni nl no com.np nr nu co.nz com.om com.pa \
     com.pe com.pg com.ph com.pk pl pn com.pr ps pt com.py com.qa ro rs ru rw com.sa com.sb sc se com.sg sh si sk com.sl sm sn so \
     sr st com.sv td tg co.th com.tj tk tl tm tn to com.tr tt com.tw co.tz com.ua co.ug co.uk com.uy co.uz com.vc co.ve vg co.vi \
     com.vn vu ws co.za co.zm co.zw";

/// What stands behind `yandex.` and `www.yandex.`.
const YANDEX_DOMAINS: &str = "ru com az by co.il com.am com.ge com.ru com.tr de ee eu fi fr kz lt lv md pl tj tm ua uz";

/// The name that stands in for this one.
pub fn safe_search(name: &Name, form: SafeSearch) -> Option<Name> {
    if form == SafeSearch::Off || name.label_count() > 4 {
        return None;
    }
    let text = name.to_string().to_ascii_lowercase();
    let target = match ENGINES.iter().find(|(ordinary, _)| *ordinary == text) {
        Some((_, target)) if *target == YOUTUBE && form == SafeSearch::Moderate => YOUTUBE_MODERATE,
        Some((_, target)) => target,
        None => of_many_domains(text.strip_suffix('.')?)?,
    };
    Name::parse(target).ok()
}

fn of_many_domains(text: &str) -> Option<&'static str> {
    let (domain, known, target) = match text.strip_prefix("www.google.") {
        Some(domain) => (domain, GOOGLE_DOMAINS, GOOGLE),
        None => (text.strip_prefix("www.").unwrap_or(text).strip_prefix("yandex.")?, YANDEX_DOMAINS, YANDEX),
    };
    known.split_ascii_whitespace().any(|known| known == domain).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form() {
        for (name, strict, moderate) in [
            ("www.google.com.", Some(GOOGLE), Some(GOOGLE)),
            ("WWW.Google.co.uk.", Some(GOOGLE), Some(GOOGLE)),
            ("www.google.zw.", None, None),
            ("google.com.", None, None),
            ("mail.google.com.", None, None),
            ("www.google.com.example.", None, None),
            ("www.youtube.com.", Some(YOUTUBE), Some(YOUTUBE_MODERATE)),
            ("www.bing.com.", Some("strict.bing.com."), Some("strict.bing.com.")),
            ("strict.bing.com.", None, None),
            ("www.yandex.com.tr.", Some(YANDEX), Some(YANDEX)),
            ("yandex.kz.", Some(YANDEX), Some(YANDEX)),
            ("mail.yandex.ru.", None, None),
            ("www.google.", None, None),
        ] {
            let name = Name::parse(name).expect(name);
            let told = |form| safe_search(&name, form).map(|target| target.to_string());
            assert_eq!(told(SafeSearch::Strict).as_deref(), strict, "{name}");
            assert_eq!(told(SafeSearch::Moderate).as_deref(), moderate, "{name}");
            assert_eq!(told(SafeSearch::Off), None, "{name}");
        }
    }

    #[test]
    fn no_target_has_another() {
        for target in ENGINES.iter().map(|(_, target)| *target).chain([GOOGLE, YANDEX, YOUTUBE_MODERATE]) {
            assert_eq!(safe_search(&Name::parse(target).expect(target), SafeSearch::Strict), None, "{target}");
        }
    }
}
