//! Unpacks data as it comes, in a bounded piece of memory, and stops at a bound of what comes out: packed data is made by somebody
//! else, and a few octets of it can become terabytes.

use std::io::{self, Write};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::write::MultiGzDecoder;

use super::error::FetchError;
use super::head::Packing;
use crate::limits::fetch::{FETCHED_BYTES_MAX, UNPACKED_RATIO_FROM_BYTES, UNPACKED_RATIO_MAX};

/// How a gzip file begins (RFC 1952 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BROTLI_BUFFER_BYTES: usize = 32 << 10;

/// Takes packed data in pieces, and writes what it unpacks to.
pub(super) struct Unpacker<'w> {
    form: Form<'w>,
}

enum Form<'w> {
    /// Fewer octets than tell a gzip file: they are kept.
    Beginning(Vec<u8>, Bounded<'w>),
    Plain(Bounded<'w>),
    Gzip(Box<MultiGzDecoder<Bounded<'w>>>),
    Brotli(Box<Brotli<'w>>),
    /// An error has ended it.
    Ended,
}

impl<'w> Unpacker<'w> {
    pub(super) fn new(packing: Packing, into: &'w mut dyn Write) -> Unpacker<'w> {
        let into = Bounded { into, taken: 0, given: 0 };
        let form = match packing {
            Packing::None => Form::Beginning(Vec::new(), into),
            Packing::Gzip => Form::Gzip(Box::new(MultiGzDecoder::new(into))),
            Packing::Brotli => Form::Brotli(Box::new(Brotli::new(into))),
        };
        Unpacker { form }
    }

    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        match &mut self.form {
            Form::Beginning(begun, _) => {
                begun.extend_from_slice(piece);
                if begun.len() >= GZIP_MAGIC.len() { self.begin() } else { Ok(()) }
            }
            Form::Plain(into) => {
                into.taken += piece.len() as u64;
                into.write_all(piece).map_err(|error| reason(error, "plain"))
            }
            Form::Gzip(decoder) => {
                decoder.get_mut().taken += piece.len() as u64;
                decoder.write_all(piece).map_err(|error| reason(error, "gzip"))
            }
            Form::Brotli(decoder) => {
                decoder.into.taken += piece.len() as u64;
                decoder.take(piece)
            }
            Form::Ended => Err(FetchError::Failed),
        }
    }

    /// All has come. An error if packed data does not end here.
    pub(super) fn finish(mut self) -> Result<(), FetchError> {
        if let Form::Beginning(..) = self.form {
            self.begin()?;
        }
        match self.form {
            Form::Gzip(mut decoder) => decoder.try_finish().map_err(|error| reason(error, "gzip")),
            Form::Brotli(decoder) if !decoder.is_complete => Err(FetchError::Damaged("brotli")),
            Form::Beginning(..) | Form::Plain(_) | Form::Brotli(_) => Ok(()),
            Form::Ended => Err(FetchError::Failed),
        }
    }

    fn begin(&mut self) -> Result<(), FetchError> {
        let Form::Beginning(begun, into) = std::mem::replace(&mut self.form, Form::Ended) else { return Ok(()) };
        self.form = match begun.starts_with(&GZIP_MAGIC) {
            true => Form::Gzip(Box::new(MultiGzDecoder::new(into))),
            false => Form::Plain(into),
        };
        self.take(&begun)
    }
}

/// What comes out, with the bounds of it.
struct Bounded<'w> {
    into: &'w mut dyn Write,
    /// Octets that came over the network.
    taken: u64,
    given: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let given = self.given + piece.len() as u64;
        if given > FETCHED_BYTES_MAX {
            return Err(io::Error::other(FetchError::TooLarge));
        }
        if given > UNPACKED_RATIO_FROM_BYTES && given > self.taken.saturating_mul(UNPACKED_RATIO_MAX) {
            return Err(io::Error::other(FetchError::UnpackedTooLarge));
        }
        self.into.write_all(piece).map_err(|error| io::Error::other(FetchError::NotWritten(error.to_string())))?;
        self.given = given;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Our own reason, where the decoder has passed it on.
fn reason(error: io::Error, packing: &'static str) -> FetchError {
    error.downcast::<FetchError>().unwrap_or(FetchError::Damaged(packing))
}

struct Brotli<'w> {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    buffer: Vec<u8>,
    into: Bounded<'w>,
    is_complete: bool,
}

impl<'w> Brotli<'w> {
    fn new(into: Bounded<'w>) -> Brotli<'w> {
        let alloc = StandardAlloc::default;
        // Strict: no window of more than 16 MiB (RFC 7932 9.1). The decoder's own writer allows 1 GiB.
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        Brotli { state, buffer: vec![0; BROTLI_BUFFER_BYTES], into, is_complete: false }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        const DAMAGED: FetchError = FetchError::Damaged("brotli");
        if self.is_complete && !piece.is_empty() {
            return Err(DAMAGED);
        }
        let (mut left, mut offset, mut total) = (piece.len(), 0, 0);
        loop {
            let (mut room, mut filled) = (self.buffer.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut offset,
                piece,
                &mut room,
                &mut filled,
                &mut self.buffer,
                &mut total,
                &mut self.state,
            );
            let unpacked = self.buffer.get(..filled).unwrap_or_default();
            self.into.write_all(unpacked).map_err(|error| reason(error, "brotli"))?;
            match result {
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Ok(()),
                BrotliResult::ResultSuccess => {
                    self.is_complete = true;
                    return if left == 0 { Ok(()) } else { Err(DAMAGED) };
                }
                BrotliResult::ResultFailure => return Err(DAMAGED),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).expect("memory");
        encoder.finish().expect("memory")
    }

    /// `ads.example\n`: one metablock that is not packed, and an empty one (RFC 7932 9.2).
    const BROTLI: &[u8] = b"\x8b\x05\x80ads.example\n\x03";
    /// `h0.example\n` to `h49.example\n`, packed.
    const PACKED_BROTLI: &[u8] = &[
        0x1b, 0x4d, 0x02, 0xf8, 0x8d, 0xd4, 0x4e, 0xf7, 0xcf, 0x46, 0x2b, 0x05, 0x34, 0x9d, 0x8c, 0xc5, 0xc6, 0xb8, 0x21, 0x88, 0x83, 0x03,
        0xbc, 0xea, 0xf0, 0x00, 0x92, 0x79, 0x81, 0xd5, 0x01, 0x2c, 0xe0, 0xc7, 0x2e, 0x66, 0xd7, 0xff, 0x04, 0x10, 0x61, 0xc2, 0xb0, 0x1c,
        0x7f, 0xd0, 0x86, 0x52, 0x69, 0xe3, 0xb8, 0x1e, 0xdf, 0x6c, 0x21, 0x95, 0x36, 0x8e, 0xeb, 0xf1, 0xad, 0x16, 0x52, 0x69, 0xe3, 0xb8,
        0x1e, 0xdf, 0x6e, 0x21, 0x95, 0x36, 0x8e, 0xeb, 0xe5, 0x01,
    ];

    fn unpacked(packing: Packing, data: &[u8], pieces: usize) -> Result<Vec<u8>, FetchError> {
        let mut out = Vec::new();
        let mut unpacker = Unpacker::new(packing, &mut out);
        for piece in data.chunks(pieces) {
            unpacker.take(piece)?;
        }
        unpacker.finish()?;
        Ok(out)
    }

    #[test]
    fn the_same_whatever_the_pieces() {
        let text: Vec<u8> = (0..5_000).flat_map(|at| format!("h{at}.example\n").into_bytes()).collect();
        let two = [gzip(&text), gzip(b"more.example\n")].concat();
        for pieces in [1, 2, 3, 1_000, 1 << 20] {
            assert_eq!(unpacked(Packing::None, &text, pieces).as_ref(), Ok(&text));
            assert_eq!(unpacked(Packing::Gzip, &gzip(&text), pieces).as_ref(), Ok(&text));
            assert_eq!(unpacked(Packing::None, &gzip(&text), pieces).as_ref(), Ok(&text), "a gzip file");
            assert_eq!(unpacked(Packing::Gzip, &two, pieces), Ok([&text[..], b"more.example\n"].concat()));
            assert_eq!(unpacked(Packing::Brotli, BROTLI, pieces), Ok(b"ads.example\n".to_vec()));
            let fifty: String = (0..50).map(|at| format!("h{at}.example\n")).collect();
            assert_eq!(unpacked(Packing::Brotli, PACKED_BROTLI, pieces), Ok(fifty.into_bytes()));
        }
        assert_eq!(unpacked(Packing::None, b"", 1), Ok(Vec::new()));
        assert_eq!(unpacked(Packing::None, b"\x1f", 1), Ok(b"\x1f".to_vec()));
    }

    #[test]
    fn damaged_and_cut_short() {
        let (gzip, brotli) = (gzip(b"ads.example\n"), PACKED_BROTLI);
        for pieces in [1, 1 << 20] {
            for len in 0..gzip.len() {
                assert_eq!(unpacked(Packing::Gzip, &gzip[..len], pieces), Err(FetchError::Damaged("gzip")), "{len}");
            }
            for len in 0..brotli.len() {
                assert_eq!(unpacked(Packing::Brotli, &brotli[..len], pieces), Err(FetchError::Damaged("brotli")), "{len}");
            }
            let more = |data: &[u8]| [data, b"x"].concat();
            assert_eq!(unpacked(Packing::Gzip, &more(&gzip), pieces), Err(FetchError::Damaged("gzip")));
            assert_eq!(unpacked(Packing::Brotli, &more(brotli), pieces), Err(FetchError::Damaged("brotli")));
        }
        for at in 0..gzip.len() {
            let mut damaged = gzip.clone();
            damaged[at] ^= 0x20;
            let _ = unpacked(Packing::Gzip, &damaged, 3);
        }
        for at in 0..brotli.len() {
            let mut damaged = brotli.to_vec();
            damaged[at] ^= 0x20;
            let _ = unpacked(Packing::Brotli, &damaged, 3);
        }
    }

    #[test]
    fn bombs() {
        let zeros = vec![0; 64 << 20];
        let bomb = gzip(&zeros);
        let mut count = Count(0);
        let mut unpacker = Unpacker::new(Packing::Gzip, &mut count);
        assert_eq!(unpacker.take(&bomb), Err(FetchError::UnpackedTooLarge));
        drop(unpacker);
        assert!(count.0 <= bomb.len() as u64 * UNPACKED_RATIO_MAX, "{} octets were written", count.0);
        // What names of a list reach.
        let names: Vec<u8> = (0..200_000).flat_map(|at| format!("0.0.0.0 h{at}.example\n").into_bytes()).collect();
        assert_eq!(unpacked(Packing::Gzip, &gzip(&names), 16_384).map(|out| out.len()), Ok(names.len()));
    }

    /// A window of 1 GiB, which only the form beyond RFC 7932 has, is no brotli.
    #[test]
    fn a_window_of_a_gigabyte_is_refused() {
        assert_eq!(unpacked(Packing::Brotli, &[0x11, 30, 0, 0, 0, 0], 6), Err(FetchError::Damaged("brotli")));
    }

    #[test]
    fn the_bound_of_a_list() {
        let mut count = Count(0);
        let mut unpacker = Unpacker::new(Packing::None, &mut count);
        let piece = vec![b'a'; 64 << 20];
        for _ in 0..FETCHED_BYTES_MAX / piece.len() as u64 {
            assert_eq!(unpacker.take(&piece), Ok(()));
        }
        assert_eq!(unpacker.take(b"a"), Err(FetchError::TooLarge));
    }

    struct Count(u64);

    impl Write for Count {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.0 += piece.len() as u64;
            Ok(piece.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
