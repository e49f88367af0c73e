//! Limits for reading and writing messages, names and RDATA.
//!
//! Numbers that the format itself fixes (255 octets of a name, 63 of a label, 14 bits of a compression pointer) stand
//! where the format is read, in `wire` and `record`: they are no choice of ours.

/// Compression pointers followed to read one name. An honest compressor makes a few, because each hop is a suffix and real
/// names have few labels. A chain of thousands in one message would make each of its names cost the whole message.
pub const POINTERS_PER_NAME_MAX: usize = 32;
/// Names of one message that the writer remembers as targets of compression pointers. Each new name is compared with all of
/// them; without a bound a large message costs quadratic time, and saves a few octets for it.
pub const COMPRESSION_TARGETS_MAX: usize = 48;
/// SvcParams of one SVCB or HTTPS record that are read from text. Ten keys are registered (RFC 9460 14.3); past this many
/// the text is refused, so that sorting them stays cheap.
pub const SVCB_PARAMETERS_MAX: usize = 1_000;
/// Tokens of one entry of a master file. An entry with more is a parenthesis that was never closed. The largest RDATA,
/// 65,535 octets of single-character strings, needs 32,768.
pub const ENTRY_TOKENS_MAX: usize = 200_000;
/// Characters of a token that an error message quotes: a message stays one line of a terminal.
pub const TOKEN_SHOWN_CHARS_MAX: usize = 60;
