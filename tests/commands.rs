//! The commands as a person meets them: the real program, its words and its exit codes.
//!
//! Each command reads files of its own folder only, and talks to no server of this machine.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};

const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 7 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

/// A folder for one test, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cairn-commands-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("zones")).expect("a temporary folder can be made");
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) -> &Folder {
        fs::write(self.0.join(name), text).expect("a file can be written");
        self
    }

    fn cairn(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(words.split_whitespace()).current_dir(&self.0).env("XDG_RUNTIME_DIR", &self.0).env_remove("NO_COLOR");
        command.output().expect("the program starts")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_tells_all_mistakes_and_then_none() {
    let folder = Folder::new("check");
    folder.write("cairn.toml", "[server]\nlisen = []\n\n[cache]\nsize = \"64M\"\n").write("zones/example.org.zone", ZONE);
    let output = folder.cairn("check --config cairn.toml");
    assert_eq!(output.status.code(), Some(2));
    let expected = "\
cairn.toml:2:1: unknown key \"lisen\" in [server]; did you mean \"listen\"?
 2 | lisen = []
   | ^
cairn.toml:5:8: cache.size: expected a size (bytes or \"64MiB\") from \"1MiB\" to \"4TiB\", found \"64M\"
 5 | size = \"64M\"
   |        ^
2 mistakes
";
    assert_eq!(stderr(&output), expected);
    folder.write("cairn.toml", "").write("zones/example.org.zone", &format!("{ZONE}www A 192.0.2\n"));
    let output = folder.cairn("check --config cairn.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("zones/example.org.zone:5:7: found "), "{}", stderr(&output));
    folder.write("zones/example.net.zone", ZONE);
    let output = folder.cairn("check --config cairn.toml");
    assert_eq!((output.status.code(), stderr(&output).lines().count()), (Some(2), 2), "{}", stderr(&output));
    assert!(stdout(&output).contains("zones/example.net.zone: zone example.net., serial 7"), "{}", stdout(&output));
    fs::remove_file(folder.0.join("zones/example.net.zone")).expect("it is there");
    folder.write("zones/example.org.zone", ZONE);
    let output = folder.cairn("check --config cairn.toml");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    assert!(stdout(&output).contains("zones/example.org.zone: zone example.org., serial 7, 3 records"), "{}", stdout(&output));
}

#[test]
fn a_server_does_not_start_on_mistakes() {
    let folder = Folder::new("run");
    folder.write("cairn.toml", "[server]\nlisten = ['127.0.0.1:5399']\nworkers = 0\n");
    let output = folder.cairn("run --config cairn.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cairn.toml:3:11: server.workers: expected a whole number"), "{}", stderr(&output));
    let output = folder.cairn("run --config missing.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing.toml: there is no such file"), "{}", stderr(&output));
    folder
        .write("cairn.toml", "[server]\nlisten = ['127.0.0.1:5399']\n")
        .write("zones/example.org.zone", &format!("{ZONE}www A 192.0.2\n"));
    let output = folder.cairn("run --strict --config cairn.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("zones/example.org.zone:5:7: found "), "{}", stderr(&output));
}

#[test]
fn config_show_can_be_used_as_a_file() {
    let folder = Folder::new("show");
    folder.write("cairn.toml", "[cache]\nmax-ttl = 90\n[[stub]]\nzone = 'lab.example'\nto = ['192.0.2.1']\n");
    let first = folder.cairn("config show --config cairn.toml");
    assert_eq!(first.status.code(), Some(0));
    let setting = stdout(&first).lines().find(|line| line.starts_with("max-ttl = 90")).map(str::to_owned);
    assert!(setting.is_some_and(|line| line.ends_with("# cairn.toml:2")), "{}", stdout(&first));
    folder.write("again.toml", &stdout(&first));
    let again = folder.cairn("config show --config again.toml");
    let values = |output: &Output| -> Vec<String> {
        stdout(output).lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value).trim_end().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&first), "{}", stderr(&again));
}

#[test]
fn output_that_is_lost_is_told() {
    let folder = Folder::new("full");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    let output = command.args(["config", "show"]).current_dir(&folder.0).stdout(full).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not complete"), "{}", stderr(&output));
}

#[test]
fn no_server_to_ask() {
    // The system's own place may hold a server on the machine that runs the tests.
    if fs::exists("/run/cairn/control.sock").unwrap_or(true) {
        return;
    }
    let folder = Folder::new("ask");
    for words in ["stats", "cache flush example.com --subtree"] {
        let output = folder.cairn(words);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(stderr(&output).contains("no server that you may use is running"), "{words}: {}", stderr(&output));
    }
}

#[test]
fn wrong_words_are_told() {
    let folder = Folder::new("words");
    for words in ["", "dance", "run --listen localhost", "explain", "explain a..b", "explain example.com QQ", "config"] {
        let output = folder.cairn(words);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(stdout(&output).is_empty(), "{words}");
    }
    let output = folder.cairn("--help");
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("Examples:") && !stdout(&output).contains('\x1b'), "{}", stdout(&output));
}

/// A page for each command that the help lists, and one for the configuration file with each of its keys.
#[test]
fn manual_pages_of_all_commands() {
    let folder = Folder::new("man");
    assert_eq!(folder.cairn("man --to pages").status.code(), Some(0));
    let mut pages: Vec<String> = Vec::new();
    for section in ["pages/man1", "pages/man5"] {
        for entry in fs::read_dir(folder.0.join(section)).expect("a folder") {
            pages.push(entry.expect("an entry").file_name().to_string_lossy().into_owned());
        }
    }
    for page in ["cairn.1", "cairn-run.1", "cairn-config-show.1", "cairn-cache-flush.1", "cairn-trust-negative-add.1", "cairn.toml.5"] {
        assert!(pages.iter().any(|there| there == page), "{page}: {pages:?}");
    }
    let help = stdout(&folder.cairn("--help"));
    let (_, commands) = help.split_once("Commands:\n").expect("the help lists commands");
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let page = format!("cairn-{}.1", line.split_whitespace().next().expect("a command"));
        assert!(pages.contains(&page), "{page}: {pages:?}");
    }
    let flush = stdout(&folder.cairn("man cache flush"));
    assert!(flush.contains("cairn cache flush") && flush.contains(".SH EXAMPLES") && flush.contains("SEE ALSO"), "{flush}");
    let keys = stdout(&folder.cairn("man cairn.toml"));
    for line in cairn::config::reference_markdown().lines().filter_map(|line| line.strip_prefix("| `")) {
        let key = line.split('`').next().expect("a key").replace('-', "\\-");
        assert!(keys.contains(&format!("\\fB{key}\\fR = ")), "{key}: {keys}");
    }
    assert_eq!(folder.cairn("man dance").status.code(), Some(2));
}

#[test]
fn completions_for_each_shell() {
    let folder = Folder::new("completions");
    for shell in ["bash", "zsh", "fish"] {
        let output = folder.cairn(&format!("completions {shell}"));
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(["explain", "subtree"].iter().all(|word| stdout(&output).contains(word)), "{shell}: {}", stdout(&output));
    }
    assert_eq!(folder.cairn("completions dos").status.code(), Some(2));
}

/// What the server's threads may do, tried from inside; and what ends the process at once.
#[test]
fn a_server_is_kept_in_a_box() {
    const SIGSYS: i32 = 31;
    let folder = Folder::new("sandbox");
    fs::create_dir_all(folder.0.join("etc/zones")).expect("a folder");
    folder.write("etc/cairn.toml", "[server]\nstate-dir = '../state'\n");
    let output = folder.cairn("probe-sandbox --config etc/cairn.toml");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one object");
    // The account has its name, although the list of accounts cannot be read from inside.
    let told = stderr(&output);
    let uid = told.split_once("(uid ").and_then(|(_, rest)| rest.split_once(')')).expect("a uid is told").0;
    let id = Command::new("id").args(["-un", uid]).output().expect("coreutils are there");
    let name = if id.status.success() { stdout(&id) } else { uid.to_owned() };
    assert!(told.contains(&format!("privileges: user {} (uid {uid})", name.trim())), "{name}: {told}");
    let is_missing = |part: &str| stderr(&output).contains(&format!("not in force: {part}"));
    // NET_BIND_SERVICE is kept where it was there.
    assert!(["CapInh", "CapAmb"].iter().all(|set| report["status"][set] == "0000000000000000"), "{report}");
    let kept = |set: &str| ["0000000000000000", "0000000000000400"].iter().any(|kept| report["status"][set] == *kept);
    assert!(["CapPrm", "CapEff"].iter().all(|set| kept(set)), "{report}");
    assert_eq!(report["status"]["NoNewPrivs"], "1", "{report}");
    for (what, expected) in [("reads configuration", true), ("writes state", true), ("writes zones", true), ("binds a high port", true)] {
        assert_eq!(report[what], expected, "{what}: {report}");
    }
    if !is_missing("landlock") {
        assert_eq!((&report["reads /etc/passwd"], &report["writes beside configuration"]), (&false.into(), &false.into()), "{report}");
    }
    if !is_missing("seccomp") {
        assert_eq!(report["status"]["Seccomp"], "2", "{report}");
        for violation in ["start-program", "packet-socket"] {
            let output = folder.cairn(&format!("probe-sandbox --config etc/cairn.toml --violate {violation}"));
            assert_eq!(output.status.signal(), Some(SIGSYS), "{violation}: {output:?}");
        }
    }
    folder.write("etc/cairn.toml", "[server]\nstate-dir = '../state'\nsandbox = false\n");
    let output = folder.cairn("probe-sandbox --config etc/cairn.toml --violate start-program");
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("one object");
    assert_eq!((&report["reads /etc/passwd"], &report["writes beside configuration"]), (&true.into(), &true.into()), "{report}");
    assert!(stderr(&output).contains("turned off by server.sandbox"), "{}", stderr(&output));
}

/// Below another root nobody is asked and no tool is run: only files change.
#[test]
fn the_system_is_switched_and_switched_back() {
    let folder = Folder::new("system");
    const BEFORE: &str = "# mine\nsearch example.org\nnameserver 192.0.2.1\n";
    fs::create_dir_all(folder.0.join("root/etc")).expect("a folder");
    folder.write("root/etc/resolv.conf", BEFORE);
    let text = || fs::read_to_string(folder.0.join("root/etc/resolv.conf")).expect("it is there");
    let json = |words: &str| {
        let output = folder.cairn(&format!("system {words} --root root --json --control-socket none.sock"));
        let value: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{words}: {output:?}"));
        (output.status.code(), value)
    };
    let (code, dry) = json("install --address 127.0.0.1 --dry-run");
    assert_eq!((code, dry["result"].as_str(), text().as_str()), (Some(0), Some("would-change"), BEFORE), "{dry}");
    assert_eq!((dry["owner"].as_str(), dry["changes"][0]["path"].as_str()), (Some("plain-file"), Some("/etc/resolv.conf")), "{dry}");
    assert_eq!(json("status").0, Some(1), "programs do not ask Cairn yet");
    let (code, done) = json("install --address 127.0.0.1");
    assert_eq!((code, done["result"].as_str()), (Some(0), Some("installed")), "{done}");
    assert!(text().contains("nameserver 127.0.0.1\n") && text().contains("search example.org\n"), "{}", text());
    let (code, status) = json("status");
    assert_eq!(
        (code, status["installed"].as_str(), status["changes"][0]["state"].as_str()),
        (Some(0), Some("yes"), Some("in place")),
        "{status}"
    );
    let (code, undone) = json("uninstall");
    assert_eq!((code, undone["result"].as_str(), text().as_str()), (Some(0), Some("uninstalled"), BEFORE), "{undone}");
    assert!(!folder.0.join("root/var/lib/cairn-system").exists());
    let (code, port) = json("install --address 127.0.0.1:5300");
    assert!(code == Some(1) && port["summary"].as_str().is_some_and(|why| why.contains("port 53")), "{port}");
}

#[test]
fn a_user_that_cannot_be_become_is_a_mistake() {
    let folder = Folder::new("user");
    folder.write("cairn.toml", "[server]\nlisten = ['127.0.0.1:5399']\nuser = 'no-such-account'\nstate-dir = 'state'\n");
    let output = folder.cairn("run --config cairn.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("server.user: there is no account \"no-such-account\""), "{}", stderr(&output));
}

#[test]
fn an_unbound_configuration_becomes_one_that_is_right() {
    let folder = Folder::new("import");
    folder.write("lan.conf", "forward-zone:\n  name: lan\n  forward-addr: 192.0.2.1@5353\n").write(
        "unbound.conf",
        "server:\n  interface: 127.0.0.1@5353\n  access-control: 192.0.2.0/24 allow\n  ratelimit: 100\n  \
         local-data: \"nas.lan. A 192.0.2.7\"\ninclude: lan.conf\n",
    );
    let output = folder.cairn("import unbound.conf");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "unbound.conf:4: ratelimit: there is no such key here\n");
    folder.write("cairn.toml", &stdout(&output));
    let checked = folder.cairn("check --config cairn.toml");
    assert_eq!((checked.status.code(), stderr(&checked)), (Some(0), String::new()));
    assert_eq!(folder.cairn("import none.conf").status.code(), Some(2));
}

/// Where no names are resolved, nobody outside is asked.
#[test]
fn doctor_looks_at_the_machine_and_says_what_it_did_not_look_at() {
    let folder = Folder::new("doctor");
    folder.write("cairn.toml", "[server]\nlisten = [\"127.0.0.1:1\"]\ncontrol-socket = \"none.sock\"\n[recursion]\nenabled = false\n");
    let output = folder.cairn("doctor --json --config cairn.toml");
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()));
    let report = stdout(&output);
    assert!(report.contains("\"healthy\":false") && report.contains("no Cairn runs here: none.sock is not there"), "{report}");
    assert!(report.contains("{\"check\":\"network\",\"verdict\":\"not-checked\",\"why\":\"no server outside is needed\"}"), "{report}");
    let text = stdout(&folder.cairn("doctor --config cairn.toml"));
    assert!(text.contains("fault  server: no Cairn runs here") && text.contains("\n       fix: start it: "), "{text}");
    assert_eq!(folder.cairn("doctor --what").status.code(), Some(2));
}

/// What is refused leaves the file as it is, and says why.
#[test]
fn records_of_a_zone_are_changed_or_refused() {
    let folder = Folder::new("records");
    let file = "zones/example.org.zone";
    let text = |folder: &Folder| fs::read_to_string(folder.0.join(file)).expect("it is there");
    folder.write("cairn.toml", "").write(file, &format!("{ZONE}$GENERATE 1-2 h$ A 192.0.2.$\n"));
    let before = text(&folder);
    for (words, code, told) in [
        ("add example.org www 60 CNAME", 2, "<DATA>"),
        ("add example.org www 60 MX 10 ns", 2, "DATA is one argument: write '10 ns'"),
        ("add example.org www soon A 192.0.2.2", 2, "5m, 1h, 1d"),
        ("add example.org www 60 IN A", 2, "found the class IN"),
        ("add example.org www 60 AAA 192.0.2.2", 2, "a record type"),
        ("add example.org www 60 A 192.0.2", 2, "A data '192.0.2': found `192.0.2`, expected an IPv4 address"),
        ("add example.org www 60 TXT a;b", 2, "write quotes around the text"),
        ("add example.org ns 60 CNAME www", 1, "zones/example.org.zone:5: found CNAME beside the A of line 4"),
        ("add example.org www.example.org 60 A 192.0.2.2", 1, "write www.example.org. with a final dot"),
        ("add example.org www.example.net. 60 A 192.0.2.2", 1, "www.example.net. is not within example.org."),
        ("add exmaple.org www 60 A 192.0.2.2", 1, "there is no zone exmaple.org. here; did you mean example.org.?"),
        ("add example.org @ 60 SOA ns", 2, "SOA data 'ns'"),
        ("remove example.org www", 1, "there is no record of www.example.org."),
        ("remove example.org ns A 192.0.2.9", 1, "no A record with this data; it has '192.0.2.1'"),
        ("remove example.org @", 1, "exactly one SOA record"),
        ("remove example.org @ NS", 1, "without an NS record"),
        ("remove example.org h2", 1, "is made by the $GENERATE at zones/example.org.zone:5: change it there"),
        ("import example.org none", 1, "none: there is no such file"),
        ("show example.net", 1, "there is no zone example.net. here"),
    ] {
        let output = folder.cairn(&format!("zone {words} --config cairn.toml"));
        assert_eq!(output.status.code(), Some(code), "{words}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{words}: {}", stderr(&output));
        assert_eq!(text(&folder), before, "{words}");
    }
    let output = folder.cairn("zone add example.org www 1h A 192.0.2.2 --config cairn.toml");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("+ www.example.org. 3600 A 192.0.2.2\nexample.org. serial 8 is in zones/"), "{}", stdout(&output));
    let expected = before.replace(" 7 ", " 8 ").replace("ns A 192.0.2.1\n", "ns A 192.0.2.1\nwww A 192.0.2.2\n");
    assert_eq!(text(&folder), expected);
    let again = folder.cairn("zone add example.org www 1h A 192.0.2.2 --config cairn.toml");
    assert!(again.status.code() == Some(0) && stdout(&again).contains("nothing changed"), "{}", stdout(&again));
    let listed = stdout(&folder.cairn("zone list --config cairn.toml"));
    assert_eq!(listed, "example.org.  serial 8, 6 records, no server runs, zones/example.org.zone\n");
    let exported = stdout(&folder.cairn("zone export example.org --config cairn.toml"));
    assert!(exported.starts_with("example.org. 3600 IN SOA ns.example.org. ") && exported.lines().count() == 6, "{exported}");
    folder.write(file, &exported);
    assert_eq!(stdout(&folder.cairn("zone export example.org --config cairn.toml")), exported);
    folder.write(file, &format!("{ZONE}www A 192.0.2\n"));
    for words in ["add example.org ftp 60 A 192.0.2.2", "show example.org", "export example.org"] {
        let output = folder.cairn(&format!("zone {words} --config cairn.toml"));
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(stderr(&output).contains("zones/example.org.zone:5:7: found `192.0.2`"), "{words}: {}", stderr(&output));
    }
}

/// Whatever it says of the name, it is an answer.
#[test]
fn what_lists_say_of_a_name_without_a_server() {
    let folder = Folder::new("which");
    let config = "[server]\ncontrol-socket = 'control.sock'\n[policy]\nlocal-data = ['printer.lan. 60 A 192.0.2.9']\n\
        [[list]]\nname = 'ads'\nsource = 'ads.txt'\n[[rpz]]\nzone = 'rpz.'\nfile = 'rpz.zone'\n";
    folder.write("cairn.toml", config).write("rpz.zone", ZONE).write("zones/example.org.zone", ZONE);
    folder.write("ads.txt", "||ads.example^\n||typed.example^$dnstype=HTTPS\n||xn--bcher-kva.example^\n||ads.example.org^\n");
    let place = |line: u32, text: &str| format!("  ads  ads.txt:{line}: {text}\n");
    let unknown = "  no server is running, so rules of response policy zones are not known\n";
    for (words, expected) in [
        ("ads.example", format!("ads.example.  blocked by ads\n{}", place(1, "||ads.example^"))),
        ("typed.example", "typed.example.  on no list\n".to_owned()),
        ("typed.example --type HTTPS", format!("typed.example. HTTPS  blocked by ads\n{}", place(2, "||typed.example^$dnstype=HTTPS"))),
        ("b\u{fc}cher.example", format!("xn--bcher-kva.example.  blocked by ads\n{}", place(3, "||xn--bcher-kva.example^"))),
        (
            "ads.example.org",
            format!(
                "ads.example.org.  in a zone that is hosted here, to which no list applies\n{}  zone example.org.\n",
                place(4, "||ads.example.org^")
            ),
        ),
        ("printer.lan", "printer.lan.  in local-data, to which no list applies\n".to_owned()),
    ] {
        let output = folder.cairn(&format!("list which {words} --config cairn.toml"));
        assert_eq!((output.status.code(), stdout(&output)), (Some(0), format!("{expected}{unknown}")), "{words}: {}", stderr(&output));
    }
    for words in ["\u{200b}.example", "ads.example --type QQ", "ads.example --as example"] {
        assert_eq!(folder.cairn(&format!("list which {words} --config cairn.toml")).status.code(), Some(2), "{words}");
    }
}
