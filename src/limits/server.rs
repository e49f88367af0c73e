//! Limits of the running server besides DNS: its files, its control socket, its log, and the copy of the root zone.
//!
//! Everything read from a file or a socket has a size past which it is refused.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Octets of a configuration file. A longer one is some other file, named by mistake.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;
/// Octets of a file with the secret of a TSIG key: some hundred octets in base 64.
pub const SECRET_FILE_BYTES_MAX: u64 = 4_096;
/// Octets of a file with a certificate chain or a private key.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 1 << 20;
/// Names and addresses that are read of one certificate; a certificate with more is shown all the same.
pub const CERTIFICATE_NAMES_MAX: usize = 100;
/// How long before it expires a certificate is told of.
pub const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 86_400);
/// The time between two looks at the files of the certificate: a new pair is in force within 5 s.
pub const CERTIFICATE_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often a certificate that expires soon is told of in the log.
pub const CERTIFICATE_WARNING_INTERVAL: Duration = Duration::from_secs(86_400);
/// How often a command that changes a zone's file starts again, because others have changed the file meanwhile.
pub const ZONE_EDIT_TRIES_MAX: usize = 100;
/// How long, and how often, a command that shows a zone waits for changes by UPDATE to be written into the zone's file.
pub const JOURNAL_WAIT: Duration = Duration::from_millis(100);
/// See [`JOURNAL_WAIT`].
pub const JOURNAL_WAITS_MAX: usize = 50;
/// Files of a folder that are compared with the name of a missing file, to suggest the one that was meant.
pub const NEAR_FILES_MAX: usize = 10_000;
/// Syntax mistakes of one configuration file that are reported. Each costs one more reading of the file.
pub const TOML_MISTAKES_MAX: usize = 50;
/// Warnings about zones and files that are logged at a start or reload; `cairn check` prints all.
pub const START_WARNINGS_MAX: usize = 20;
/// Zones that get a log line each at a start; more of them get one line together.
pub const START_ZONES_MAX: usize = 20;
/// Octets of a request on the control socket, which is one short line of JSON.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 64 << 10;
/// Commands under way on the control socket. People and their scripts send one at a time.
pub const CONTROL_CONNECTIONS_MAX: usize = 16;
/// Folders inside one another that are given to the user that a server becomes; a state folder has two levels.
pub const GIVEN_FOLDERS_DEPTH_MAX: usize = 8;
/// Lines of an answer that wait for a slow reader of the control socket.
pub const CONTROL_LINES_MAX: usize = 1_024;
/// The longest wait for a request on the control socket, and for each line of its answer. A walk takes at most
/// `Limits::walk_time_ms`, 10 s.
pub const CONTROL_WAIT_MAX: Duration = Duration::from_secs(20);
/// The same while a reload reads every zone.
pub const CONTROL_RELOAD_WAIT_MAX: Duration = Duration::from_secs(600);
/// The longest wait of a reload for the workers to close an address; they need milliseconds, one that is stuck needs for ever.
pub const ADDRESS_CLOSE_MAX: Duration = Duration::from_secs(5);
/// Orders (reload, stop) that wait for the control thread.
pub const ORDERS_WAITING_MAX: usize = 16;
/// The longest wait of `cairn health` for each of its queries.
pub const HEALTH_WAIT_MAX: Duration = Duration::from_secs(2);
/// Queries that `cairn health` sends: one lost datagram is not a dead server.
pub const HEALTH_QUERIES_MAX: usize = 2;
/// Datagrams that a command reads for its one query: others may belong to nobody's question, and a server that sends only those
/// is not worth more patience.
pub const SINGLE_QUERY_DATAGRAMS_MAX: usize = 8;
/// How long `cairn doctor` waits for the reply to each of its queries. Root servers reply within 0.3 s nearly everywhere.
pub const DOCTOR_WAIT_MAX: Duration = Duration::from_millis(1_500);
/// Times that `cairn doctor` sends a query over UDP: one lost datagram is no fault of the network.
pub const DOCTOR_TRIES_MAX: usize = 3;
/// Root servers of each address family that `cairn doctor` asks. What three agree on is not the fault of one.
pub const DOCTOR_ROOTS_MAX: usize = 3;
/// Servers of `[[forward]]` and `[[stub]]` that `cairn doctor` asks; each costs up to five queries at once.
pub const DOCTOR_FORWARDERS_MAX: usize = 16;
/// Of the addresses that a server listens on, `cairn doctor` asks so many.
pub const DOCTOR_OWN_ADDRESSES_MAX: usize = 8;
/// The longest wait of `cairn doctor` for all that it gathers: queries, files, the control socket of a server that hangs. What has
/// not come by then counts as not known.
pub const DOCTOR_TIME_MAX: Duration = Duration::from_secs(12);
/// Servers of the zone above that `cairn zone doctor` asks.
pub const ZONE_DOCTOR_PARENTS_MAX: usize = 6;
/// Servers of the zone, counted by addresses, that `cairn zone doctor` asks; each costs five queries at once.
pub const ZONE_DOCTOR_SERVERS_MAX: usize = 32;
/// The longest wait of `cairn zone doctor` for all replies.
pub const ZONE_DOCTOR_TIME_MAX: Duration = Duration::from_secs(25);
/// Files that `cairn import` reads, with those that the first one includes, and how deep they include each other. Packages split
/// unbound.conf into a handful.
pub const IMPORT_FILES_MAX: usize = 1_000;
/// See [`IMPORT_FILES_MAX`].
pub const IMPORT_DEPTH_MAX: usize = 16;
/// Octets of `/etc/resolv.conf` that are read. Honest ones have some hundred.
pub const RESOLV_CONF_BYTES_MAX: u64 = 64 << 10;
/// With fewer open files than this a server keeps few questions waiting; systemd's default is 524,288, that of old systems 4,096.
pub const OPEN_FILES_MIN: u64 = 1_024;
/// Zones without a mistake that `cairn status` prints one by one; `--json` has all.
pub const STATUS_ZONES_MAX: usize = 50;
/// Octets of the files that keep trust anchors (RFC 5011) and negative trust anchors. Honest ones have a few kilobytes.
pub const TRUST_FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest time that a stop waits for the cache to be saved. Most machines need less than a second; service managers
/// kill after 90 s.
pub const CACHE_SAVE_AT_STOP_MAX: Duration = Duration::from_secs(20);
/// Checks, 10 s apart, of a clock that is earlier than the saved cache. A machine without a battery-backed clock learns the
/// time within 15 minutes of its start, or never.
pub const CLOCK_CHECKS_MAX: usize = 90;
/// The longest time between two NOTIFYs (RFC 1996) of one change to a server that does not answer.
pub const NOTIFY_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// The longest wait for the answer to one NOTIFY.
pub const NOTIFY_WAIT_MAX: Duration = Duration::from_secs(3);
/// NOTIFYs whose answers are waited for, of all zones; each is a socket.
pub const NOTIFIES_UNDER_WAY_MAX: usize = 64;
/// Of these, those to one server: one that is dead does not keep others from being told.
pub const NOTIFIES_PER_SERVER_MAX: usize = 16;
/// The shortest time between two turns of the thread that keeps zones: each looks at all of them, and whoever can forge NOTIFYs
/// must not have it do so without pause.
pub const KEEPER_TURN_MIN: Duration = Duration::from_millis(10);
/// Transfers to other servers that are under way together: each holds a version of its zone. Past them SERVFAIL, and the client
/// comes again.
pub const TRANSFERS_OUT_MAX: usize = 100;
/// Of these, those of one client. BIND and Knot ask for some ten zones at once.
pub const TRANSFERS_OUT_PER_CLIENT_MAX: usize = 20;
/// The longest transfer to another server, as slowly as it may read.
pub const TRANSFER_OUT_TIME_MAX: Duration = Duration::from_secs(1_800);
/// Seconds that refresh, retry and expire of a secondary's SOA may be, whatever the SOA says: a zone with zeros must not ask all
/// the time, and a year without a check is none.
pub const SECONDARY_TIMER_S_LIMITS: RangeInclusive<u32> = 1..=31_536_000;
/// Between two checks of a secondary that NOTIFYs cause; enough to be in step within two seconds.
pub const HEARD_CHECK_INTERVAL_MIN: Duration = Duration::from_millis(500);
/// The longest wait before a secondary without any data asks its primaries again.
pub const FIRST_RETRY_MAX: Duration = Duration::from_secs(300);
/// Checks and transfers of secondaries that are under way together; others wait for their turn.
pub const CHECKS_UNDER_WAY_MAX: usize = 64;
/// Of these, those with one primary. One that is dead or sends without end delays its own zones only.
pub const CHECKS_PER_PRIMARY_MAX: usize = 8;
/// Octets that all transfers from primaries have received and not finished. Each of them may be as long as one zone may be.
pub const TRANSFERS_IN_BYTES_MAX: usize = 2 << 30;
/// The longest wait for the SOA of a primary, over UDP and then over TCP.
pub const PRIMARY_WAIT_MAX: Duration = Duration::from_secs(2);
/// The longest wait for the next octets of a transfer from a primary.
pub const TRANSFER_SILENCE_MAX: Duration = Duration::from_secs(10);
/// The longest transfer from a primary, the zone's own size aside.
pub const TRANSFER_TIME_MAX: Duration = Duration::from_secs(1_800);
/// Octets of a zone that is transferred from a primary: of its messages, and of its records in memory. The primary is another
/// machine, whose mistakes must not fill this one.
pub const TRANSFERRED_ZONE_BYTES_MAX: usize = 1 << 30;
/// Between two looks at the files of lists. A file that has changed is read once it looks the same twice.
pub const LIST_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks at the clock, where a view has a schedule or a pause holds; besides those at the start of each minute. A machine
/// that was asleep is in the right state this long after it wakes.
pub const VIEWS_LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause of lists.
pub const LIST_PAUSE_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Between two looks whether a replaced table of lists is still used.
pub const RETIRE_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Octets of a file in the folder of a zone's keys: an RSA key of 4096 bits takes 4 KiB, a state with ten keys as much.
pub const KEY_FILE_BYTES_MAX: u64 = 1 << 16;
/// The longest transfer of the root zone from one server; it takes a second or two.
pub const ROOT_TRANSFER_MAX: Duration = Duration::from_secs(60);
/// Servers that are asked for the root zone before the SOA's retry interval is waited for.
pub const ROOT_SERVERS_PER_ROUND_MAX: usize = 6;
/// Seconds that the SOA's refresh and retry (RFC 1035 3.3.13) of the copied root zone may be, whatever the SOA says.
pub const ROOT_INTERVAL_S_LIMITS: RangeInclusive<u32> = 60..=86_400;
/// Milliseconds that the allocator keeps a freed page. With a second, its default, a flood of questions takes 5 MiB more, and
/// a server at rest as much.
pub const FREED_PAGES_KEPT_MS: std::ffi::c_long = 100;
/// Updates (RFC 2136) that wait for the thread that carries them out. A disk that takes 10 ms for one write does all of them at once.
pub const UPDATES_WAITING_MAX: usize = 1_000;
/// Of these, those of one client.
pub const UPDATES_WAITING_PER_CLIENT_MAX: usize = 250;
/// The longest wait for an update to be carried out; what has not been begun by then is not. nsupdate gives up after 300 s, and asks
/// again over UDP after 3 s.
pub const UPDATE_WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest time between two attempts to write a zone's file that could not be written.
pub const WRITE_BACK_RETRY_MAX: Duration = Duration::from_secs(60);
/// Members of all catalogs (RFC 9432) that are followed, together. Each is a secondary zone with timers of its own; whoever writes
/// the catalog must not be able to have this server keep a million.
pub const CATALOG_MEMBERS_MAX: usize = 10_000;
/// Octets of a catalog: as many members, with names as long as names can be and properties beside them.
pub const CATALOG_BYTES_MAX: usize = 16 << 20;
/// Connections at a time to the web listener; past it the one that has been idle longest is closed. A browser opens six, a collector of
/// metrics one; each holds up to 16 KiB, and a reply that is not read.
pub const WEB_CONNECTIONS_MAX: usize = 512;
/// Those of one client: others find a place.
pub const WEB_CONNECTIONS_PER_CLIENT_MAX: usize = 256;
/// A connection is closed whose client reads nothing of its reply for so long.
pub const WEB_UNREAD_MAX: Duration = Duration::from_secs(30);
/// Octets of the head of a request there.
pub const WEB_HEAD_BYTES_MAX: usize = 16 << 10;
/// The longest wait for the head of a request there, and for the next request on a connection.
pub const WEB_IDLE_MAX: Duration = Duration::from_secs(10);
/// Zones, and lists, that /metrics has lines for.
pub const WEB_ENTRIES_MAX: usize = 1_000;
/// Log-ins with a wrong password after which a client (an IPv4 address, an IPv6 /56) has to wait.
pub const WEB_FAILED_LOGINS_MAX: u32 = 10;
/// How long it waits: first this, then twice as long after each further one, up to the longest.
pub const WEB_LOGIN_WAIT_LEAST: Duration = Duration::from_secs(1);
/// See [`WEB_LOGIN_WAIT_LEAST`].
pub const WEB_LOGIN_WAIT_MAX: Duration = Duration::from_secs(300);
/// Clients whose wrong passwords are counted; past it the one that failed longest ago is forgotten.
pub const WEB_FAILED_CLIENTS_MAX: usize = 1_024;
/// Octets of the file with the password.
pub const WEB_PASSWORD_FILE_BYTES_MAX: u64 = 4_096;
/// Rounds of a hash of a password, at most: each log-in costs as many.
pub const WEB_PASSWORD_ROUNDS_MAX: u32 = 2_000_000;
/// Explanations that the visitors of the dashboard may have under way: each is a walk on a thread of its own.
pub const WEB_EXPLANATIONS_MAX: usize = 4;
/// Lines of an explanation that wait for the thread of the web listener.
pub const WEB_EXPLANATION_LINES_QUEUED: usize = 64;
/// Octets of what a visitor types as a name: the longest name, each octet written as four characters.
pub const WEB_NAME_CHARS_MAX: usize = 1_024;
/// How long a resolved answer shows that the server is ready.
pub const READY_FOR: Duration = Duration::from_secs(60);
/// How long what /readyz has found is repeated: many probes are one question.
pub const READY_KEPT: Duration = Duration::from_secs(3);
/// Servers that /readyz asks where none has replied meanwhile, one after the other, and how long it waits for all of them.
pub const READY_SERVERS_MAX: usize = 5;
/// See [`READY_SERVERS_MAX`].
pub const READY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Octets of a worker's ring for the query log, where one is written: 40,000 entries, a tenth of a second of a worker that does nothing
/// but repeat answers.
pub const QUERY_TAP_BYTES: usize = 4 << 20;
/// The same for dnstap, which has two whole messages for each query.
pub const MESSAGE_TAP_BYTES: usize = 8 << 20;
/// Octets of lines of the query log that are written in one piece.
pub const QUERY_LOG_LINES_BYTES: usize = 256 << 10;
/// Time between two attempts to open the query log, or to write to it, after one has failed.
pub const QUERY_LOG_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Octets of frames that go to a dnstap reader in one piece.
pub const DNSTAP_WRITE_BYTES: usize = 256 << 10;
/// How long a dnstap reader may take nothing before its stream is given up.
pub const DNSTAP_WRITE_MAX: Duration = Duration::from_secs(5);
/// Time until a dnstap reader is tried again: first this, then twice as long after each further failure, up to the longest.
pub const DNSTAP_RETRY_AFTER: Duration = Duration::from_secs(1);
/// See [`DNSTAP_RETRY_AFTER`].
pub const DNSTAP_RETRY_MAX: Duration = Duration::from_secs(60);
/// How long a stop waits until the last lines of the query log and the last messages of dnstap have gone, both together.
pub const TAP_READER_STOP_MAX: Duration = Duration::from_millis(500);
/// Octets of a control frame of Frame Streams, as fstrm bounds them.
pub const FRAME_STREAM_CONTROL_BYTES_MAX: u32 = 512;

/// Addresses of this server that are announced to a network: more than any has. The option of DHCPv4 (RFC 9463 5.1) has one octet
/// for the length of all.
pub const ANNOUNCED_ADDRESSES_MAX: usize = 16;

/// RFC 2132 2: an option of DHCPv4 has one octet for its length. Longer data has to be split (RFC 3396), which dnsmasq and
/// systemd-networkd do not do. dnsmasq also reads only 1,024 characters of a line, three for each octet.
pub const DHCP_OPTION_BYTES_MAX: usize = 255;
