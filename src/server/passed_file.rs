//! An open file that goes over the control socket beside a command: whoever asks has opened it, and the server uses it.
//!
//! The server can then write and read files of those who may command it without the right to reach them itself.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::system::are_files_bound;

/// Writes all of `bytes`, with the descriptor beside the first of them.
pub(super) fn send(stream: &mut UnixStream, bytes: &[u8], file: impl AsFd) -> io::Result<()> {
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    // The space is made for exactly this.
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(&*stream, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    stream.write_all(&bytes[sent..])
}

/// Reads what is there; of descriptors beside it, one is kept and the others are closed.
pub(super) fn receive(stream: impl AsFd, into: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(into)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let mut passed = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed = descriptors.into_iter().next().or(passed);
        }
    }
    Ok((received.bytes, passed))
}

/// Opens a file to read it. A pipe or a device would hold whoever reads it for as long as its writer likes.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Without waiting for the writer of a pipe; of no effect for a regular file.
    regular(File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?)
}

/// Why a file cannot be read, and the way out.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied if are_files_bound() => {
            "reading it is not permitted; a file outside the folders that were configured at the start is read after a restart".to_owned()
        }
        io::ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The same file, if it is a regular one.
pub(super) fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")) }
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;
    use std::fs;

    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let scratch = Scratch::new();
        let pipe = scratch.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a new pipe");
        for path in [pipe, "/dev/zero".into(), scratch.path().to_owned()] {
            assert_eq!(open(&path).map(|_| ()).map_err(|error| error.to_string()), Err("not a regular file".to_owned()), "{path:?}");
        }
        assert!(open(&scratch.write("file", "")).is_ok());
    }

    #[test]
    fn a_file_goes_over_and_plain_bytes_go_without() {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        let (mut here, there) = UnixStream::pair().expect("a pair");
        send(&mut here, b"one\n", File::create(&path).expect("a new file")).expect("room for it");
        let mut bytes = [0; 64];
        let (count, passed) = receive(&there, &mut bytes).expect("it is there");
        assert_eq!(&bytes[..count], b"one\n");
        File::from(passed.expect("a descriptor")).write_all(b"written").expect("it is open for writing");
        assert_eq!(fs::read(&path).expect("it is there"), b"written");
        here.write_all(b"two\n").expect("room for it");
        let (count, passed) = receive(&there, &mut bytes).expect("it is there");
        assert!(passed.is_none() && &bytes[..count] == b"two\n");
        drop(here);
        assert!(receive(&there, &mut bytes).is_ok_and(|(count, passed)| count == 0 && passed.is_none()));
    }
}
