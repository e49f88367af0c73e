//! Splits a stream into messages by their length prefix (RFC 1035 4.2.2), in at most 65,537 octets of memory.

const PREFIX_BYTES: usize = 2;
/// Enough for most replies. The buffer grows to the length that a prefix announces, and shrinks again.
const ROOM_BYTES: usize = 4096;

pub(super) struct FrameReader {
    buf: Vec<u8>,
    filled: usize,
}

impl FrameReader {
    /// At the start of a stream.
    pub fn new() -> FrameReader {
        FrameReader { buf: vec![0; ROOM_BYTES], filled: 0 }
    }

    /// The space to read into. Never empty after `next` has returned `None`.
    pub fn space(&mut self) -> &mut [u8] {
        let wanted = self.wanted().unwrap_or(PREFIX_BYTES).max(ROOM_BYTES);
        if self.buf.len() != wanted && self.filled <= wanted {
            self.buf.resize(wanted, 0);
            self.buf.shrink_to(wanted);
        }
        &mut self.buf[self.filled..]
    }

    /// `read` octets have been written to [`space`](FrameReader::space).
    pub fn add(&mut self, read: usize) {
        self.filled = (self.filled + read).min(self.buf.len());
    }

    /// The next whole message, without its prefix.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.wanted().filter(|end| *end <= self.filled)?;
        let message = self.buf[PREFIX_BYTES..end].to_vec();
        self.buf.copy_within(end..self.filled, 0);
        self.filled -= end;
        Some(message)
    }

    fn wanted(&self) -> Option<usize> {
        let prefix = self.buf[..self.filled].first_chunk::<PREFIX_BYTES>()?;
        Some(PREFIX_BYTES + usize::from(u16::from_be_bytes(*prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            lengths in proptest::collection::vec(prop_oneof![0usize..40, Just(4096), Just(65_535)], 0..6),
            chunk in 1usize..9000,
        ) {
            let sent: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(index, len)| vec![index as u8; *len]).collect();
            let stream: Vec<u8> = sent.iter().flat_map(|m| (m.len() as u16).to_be_bytes().into_iter().chain(m.iter().copied())).collect();
            let (mut reader, mut came, mut rest) = (FrameReader::new(), Vec::new(), &stream[..]);
            while !rest.is_empty() {
                let space = reader.space();
                prop_assert!(!space.is_empty());
                let take = space.len().min(chunk).min(rest.len());
                space[..take].copy_from_slice(&rest[..take]);
                reader.add(take);
                rest = &rest[take..];
                came.extend(std::iter::from_fn(|| reader.next()));
                prop_assert!(reader.buf.capacity() <= 65_537);
            }
            prop_assert_eq!(came, sent);
        }
    }
}
