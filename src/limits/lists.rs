//! Limits of lists of names: what a file or a URL that somebody else writes can cost.

/// Lists of one configuration: a set of them fits into one word.
pub const LISTS_MAX: usize = 64;
/// Octets of one list. The largest public ones have 60 MB; this is room for 40 million names.
pub const LIST_BYTES_MAX: u64 = 1 << 30;
/// Octets of a line that is read; of a longer one the rest is passed over, and the line is counted as skipped.
pub const LIST_LINE_BYTES_MAX: usize = 4_096;
/// Lines that are shown, of those that were skipped for one reason.
pub const SKIPPED_EXAMPLES_MAX: usize = 3;
/// Octets of such a line that are shown.
pub const SKIPPED_EXAMPLE_BYTES_MAX: usize = 120;
/// Rules of one list for one name that say more than that it is listed: each costs time for every question for the name, or below it.
pub const DETAILED_RULES_OF_NAME_MAX: usize = 64;
/// Such rules of one list: each takes some 200 octets, twenty times as much as a name alone. Public lists have a few thousand.
pub const DETAILED_RULES_MAX: usize = 500_000;
/// Lines of one list about one name that are looked at to find the one that decides.
pub const LINES_OF_NAME_MAX: usize = 1_000;
/// Beside a table of more names than this, the next one is made in several rounds.
pub const ROUNDS_FROM_NAMES: usize = 100_000;
/// At the start the first answer waits for the table: several rounds, and fewer of them, only for more names than this.
pub const ROUNDS_AT_START_FROM_NAMES: usize = 1_000_000;
/// The partitions of each such round, 64 in all. A record takes a quarter more memory than its part of the table, so that the records
/// of a round and the table so far never take much more than the whole table.
pub const ROUNDS_AT_START: &[usize] = &[48, 12, 4];
/// Octets of a line that has a name, at the least on average: tells from the size of a file about how many names it has.
pub const LIST_LINE_BYTES_USUAL: u64 = 20;
/// The partitions of each round beside a table: the records of a fourth of all names take as much memory as a third of a table.
pub const ROUNDS: &[usize] = &[16; 4];
/// Octets of records that may be free and still held, while a table is made. To give them back takes a millisecond.
pub const FREED_BYTES_MAX: usize = 4 << 20;
/// Combinations of lists that a table takes over from the one before, of 65,535; past it, they are numbered anew.
pub const COMBINATIONS_KEPT_MAX: usize = 32_768;
/// Addresses of the operator's own that a blocked name is answered with: all of them fit into 512 octets.
pub const BLOCK_ADDRESSES_MAX: usize = 8;
/// Octets of the reason for a block in the form for programs. A longer one would take the room of the records; the draft wants it
/// as short as possible.
pub const STRUCTURED_REASON_BYTES_MAX: usize = 500;
/// Views, besides the one of all other clients: ready answers have five bits for the view.
pub const VIEWS_MAX: usize = 30;
/// Entries of the schedule of a view: each is looked at every minute.
pub const SCHEDULE_RULES_MAX: usize = 100;
/// Forward rules of a view.
pub const VIEW_FORWARDS_MAX: usize = 100;
/// The caches of views that ask servers of their own, beside `cache.size`: so many caches, each of which has at most `cache.size` divided
/// by the second number. They are never freed, so later ones are smaller: all together stay below `cache.size`.
pub const VIEW_CACHES: [(usize, usize); 3] = [(4, 16), (8, 32), (VIEWS_MAX - 12, 64)];
