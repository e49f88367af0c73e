//! Frame Streams, the way of dnstap's frames over a stream (the fstrm library's format, 2014): a handshake of control frames, then
//! data frames, each behind its length. Control frames follow a length of 0.

use std::io::{self, ErrorKind, Read, Write};

use crate::limits::server::FRAME_STREAM_CONTROL_BYTES_MAX;

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;

const FIELD_CONTENT_TYPE: u32 = 1;

fn control(kind: u32, with_content_type: bool) -> Vec<u8> {
    let mut payload = kind.to_be_bytes().to_vec();
    if with_content_type {
        payload.extend(FIELD_CONTENT_TYPE.to_be_bytes());
        payload.extend((CONTENT_TYPE.len() as u32).to_be_bytes());
        payload.extend(CONTENT_TYPE);
    }
    [&0u32.to_be_bytes()[..], &(payload.len() as u32).to_be_bytes()[..], &payload[..]].concat()
}

/// Reads one control frame; its kind, and whether it offers our content type.
fn read_control(stream: &mut impl Read) -> io::Result<(u32, bool)> {
    let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [escape, len] = [0, 4].map(|at| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    if escape != 0 || !(4..=FRAME_STREAM_CONTROL_BYTES_MAX).contains(&len) {
        return Err(wrong("the reader does not speak Frame Streams"));
    }
    let mut payload = vec![0; len as usize];
    stream.read_exact(&mut payload)?;
    let mut words = &payload[..];
    let word = |from: &mut &[u8]| {
        let (word, rest) = from.split_first_chunk::<4>().ok_or_else(|| wrong("a control frame of the reader is cut short"))?;
        *from = rest;
        Ok::<u32, io::Error>(u32::from_be_bytes(*word))
    };
    let kind = word(&mut words)?;
    let (mut has_types, mut offers_ours) = (false, false);
    while !words.is_empty() {
        let (field, len) = (word(&mut words)?, word(&mut words)? as usize);
        let (value, rest) = words.split_at_checked(len).ok_or_else(|| wrong("a control frame of the reader is cut short"))?;
        words = rest;
        if field == FIELD_CONTENT_TYPE {
            has_types = true;
            offers_ours |= value == CONTENT_TYPE;
        }
    }
    // Without any, every type is welcome.
    Ok((kind, offers_ours || !has_types))
}

/// Begins a stream: READY, ACCEPT, START.
pub(super) fn begin(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(READY, true))?;
    match read_control(stream)? {
        (ACCEPT, true) => stream.write_all(&control(START, true)),
        (ACCEPT, false) => Err(io::Error::new(ErrorKind::InvalidData, "the reader does not want dnstap")),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "the reader does not accept the stream")),
    }
}

/// Ends it: STOP, FINISH.
pub(super) fn end(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(&control(STOP, false))?;
    match read_control(stream)? {
        (FINISH, _) => Ok(()),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "the reader does not finish the stream")),
    }
}

/// Appends a frame whose octets `write` appends.
pub(super) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reader says, and what it has heard.
    struct Peer {
        says: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Peer {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.says.read(into)
        }
    }

    impl Write for Peer {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.heard.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn peer(says: Vec<u8>) -> Peer {
        Peer { says: io::Cursor::new(says), heard: Vec::new() }
    }

    #[test]
    fn a_stream_is_begun_and_ended() {
        let mut reader = peer([control(ACCEPT, true), control(FINISH, false)].concat());
        begin(&mut reader).expect("accepted");
        let mut frames = Vec::new();
        frame(&mut frames, |out| out.extend_from_slice(b"abc"));
        frame(&mut frames, |_| {});
        assert_eq!(frames, b"\0\0\0\x03abc\0\0\0\0");
        end(&mut reader).expect("finished");
        assert_eq!(reader.heard, [control(READY, true), control(START, true), control(STOP, false)].concat());
        assert_eq!(control(STOP, false), [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]);
        assert_eq!(control(READY, true).len(), 4 + 4 + 4 + 4 + 4 + CONTENT_TYPE.len());
    }

    #[test]
    fn strange_readers_are_refused() {
        let other =
            [&0u32.to_be_bytes()[..], &16u32.to_be_bytes(), &ACCEPT.to_be_bytes(), &1u32.to_be_bytes(), &4u32.to_be_bytes(), b"text"];
        let long = [&[0; 4][..], &0x7fff_ffffu32.to_be_bytes()].concat();
        let cut = [&0u32.to_be_bytes()[..], &9u32.to_be_bytes(), &ACCEPT.to_be_bytes(), &[0; 5]].concat();
        for (says, expected) in [
            (control(ACCEPT, false), None),
            (control(START, true), Some("the reader does not accept the stream")),
            (other.concat(), Some("the reader does not want dnstap")),
            (long, Some("the reader does not speak Frame Streams")),
            (b"HTTP/1.1 400 Bad Request".to_vec(), Some("the reader does not speak Frame Streams")),
            (cut, Some("a control frame of the reader is cut short")),
            (Vec::new(), Some("failed to fill whole buffer")),
        ] {
            assert_eq!(begin(&mut peer(says)).map_err(|error| error.to_string()).err().as_deref(), expected);
        }
    }
}
