//! Reads a file line by line in a bounded piece of memory, however long it and its lines are.

use std::io::{self, Read};

use crate::limits::lists::{LIST_BYTES_MAX, LIST_LINE_BYTES_MAX};

const BUFFER_BYTES: usize = 64 << 10;

/// Gives each line without its end to `each`. Of a line that is too long only the first octets come, one more than a line may have.
pub(super) fn each_line(mut source: impl Read, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    // The beginning of a line whose end has not been read yet.
    let mut begun: Vec<u8> = Vec::new();
    let mut total = 0;
    loop {
        let len = match source.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let mut rest = buffer.get(..len).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        total += len as u64;
        if total > LIST_BYTES_MAX {
            return Err(io::Error::other(format!("larger than {} MiB", LIST_BYTES_MAX >> 20)));
        }
        while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
            let (line, after) = rest.split_at(end);
            if begun.is_empty() {
                each(line.get(..=LIST_LINE_BYTES_MAX).unwrap_or(line));
            } else {
                extend(&mut begun, line);
                each(&begun);
                begun.clear();
            }
            rest = after.get(1..).unwrap_or_default();
        }
        extend(&mut begun, rest);
    }
    if !begun.is_empty() {
        each(&begun);
    }
    Ok(())
}

fn extend(begun: &mut Vec<u8>, more: &[u8]) {
    let room = (LIST_LINE_BYTES_MAX + 1).saturating_sub(begun.len());
    begun.extend_from_slice(more.get(..room).unwrap_or(more));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its octets in pieces of the given size.
    struct Pieces<'t>(&'t [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.0.len().min(self.1).min(into.len());
            into[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    #[test]
    fn lines_are_the_same_whatever_the_pieces() {
        let long = vec![b'x'; 1 << 20];
        let text = [&b"one\n\ntwo\r\n"[..], &long, b"\nlast"].concat();
        for size in [1, 2, 3, 7, 4_096, 1 << 20] {
            let mut lines = Vec::new();
            each_line(Pieces(&text, size), &mut |line| lines.push(line.to_vec())).expect("no error");
            assert_eq!(lines.len(), 5, "{size}");
            assert_eq!((&lines[0][..], &lines[1][..], &lines[2][..], &lines[4][..]), (&b"one"[..], &b""[..], &b"two\r"[..], &b"last"[..]));
            assert_eq!(lines[3].len(), LIST_LINE_BYTES_MAX + 1);
        }
    }
}
