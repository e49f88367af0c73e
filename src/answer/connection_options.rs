//! EDNS options that a reply has because of its transport: padding where nobody on the way can read (RFC 7830, RFC 8467), and how
//! long an idle connection is kept (RFC 7828).
//!
//! Every reply with OPT over an encrypted transport is padded, whether the query was padded or not. Without padding the length of the
//! reply would show which name was asked for.

use super::Transport;
use crate::limits::clients::PADDING_BLOCK_BYTES;
use crate::wire::{OptionCode, QueryView};

/// Octets of an option before its data (RFC 6891 6.1.2).
const HEAD_BYTES: usize = 4;
/// Octets of edns-tcp-keepalive with a time-out.
const KEEPALIVE_BYTES: usize = HEAD_BYTES + 2;
/// Where the length of the options stands in an OPT record: after the root, TYPE, CLASS and TTL.
const RDLEN_AT: usize = 9;

/// Whether the client asks how long its connection may be idle. Over HTTPS the connection is HTTP's, not ours.
#[inline(never)]
pub(super) fn asks_keepalive(packet: &[u8], transport: Transport) -> bool {
    let may_ask = matches!(transport, Transport::Tcp | Transport::Tls);
    may_ask && QueryView::check(packet).is_ok_and(|query| query.edns().is_some_and(|opt| opt.option(OptionCode::TCP_KEEPALIVE).is_some()))
}

/// Adds the options to the OPT record that begins at `opt_at` and ends the message, which has `len` octets of `slot`. `idle_ms`: the
/// client has asked. Returns the new length; what does not fit into the slot is left out.
#[inline(never)]
pub(super) fn append(slot: &mut [u8], opt_at: usize, len: usize, transport: Transport, idle_ms: Option<u64>) -> usize {
    let mut end = len;
    if let Some(idle_ms) = idle_ms
        && let Some(option) = slot.get_mut(end..end + KEEPALIVE_BYTES)
    {
        let tenths = u16::try_from(idle_ms / 100).unwrap_or(u16::MAX);
        option[..2].copy_from_slice(&OptionCode::TCP_KEEPALIVE.0.to_be_bytes());
        option[2..4].copy_from_slice(&2u16.to_be_bytes());
        option[4..].copy_from_slice(&tenths.to_be_bytes());
        end += KEEPALIVE_BYTES;
    }
    if transport.is_encrypted() {
        let whole = (end + HEAD_BYTES).next_multiple_of(PADDING_BLOCK_BYTES).min(slot.len());
        if let Some(zeros) = whole.checked_sub(end + HEAD_BYTES) {
            slot[end..end + 2].copy_from_slice(&OptionCode::PADDING.0.to_be_bytes());
            slot[end + 2..end + 4].copy_from_slice(&(zeros as u16).to_be_bytes());
            slot[end + 4..whole].fill(0);
            end = whole;
        }
    }
    let Some(rdlen) = slot.get_mut(opt_at + RDLEN_AT..opt_at + RDLEN_AT + 2) else { return len };
    let options = u16::from_be_bytes([rdlen[0], rdlen[1]]) + (end - len) as u16;
    rdlen.copy_from_slice(&options.to_be_bytes());
    end
}

/// The same for a message in a buffer of its own that may have `limit` octets.
pub(super) fn append_to(message: &mut Vec<u8>, opt_at: usize, limit: usize, transport: Transport, idle_ms: Option<u64>) {
    let len = message.len();
    message.resize((len + KEEPALIVE_BYTES + HEAD_BYTES + PADDING_BLOCK_BYTES).min(limit).max(len), 0);
    let end = append(message, opt_at, len, transport, idle_ms);
    message.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Rcode;
    use crate::wire::{Flags, Header, Message, Writer};

    fn reply(len: usize) -> (Vec<u8>, usize) {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 0, flags: Flags(Flags::QR), counts: [0; 4] });
        let data = vec![0; len - 12 - 11 - 4];
        writer.opt(1_232, Rcode::NOERROR, false, &[(OptionCode::NSID, &data)]).expect("room");
        (writer.finish(), 12)
    }

    #[test]
    fn lengths_and_options() {
        for (len, transport, idle_ms, limit, expected, options) in [
            (100, Transport::Udp, None, 65_535, 100, 1),
            (100, Transport::Tcp, None, 65_535, 100, 1),
            (100, Transport::Tcp, Some(10_000), 65_535, 106, 2),
            (100, Transport::Tls, None, 65_535, 468, 2),
            (100, Transport::Tls, Some(30_000), 65_535, 468, 3),
            (100, Transport::Https, None, 65_535, 468, 2),
            (464, Transport::Tls, None, 65_535, 468, 2),
            (465, Transport::Tls, None, 65_535, 936, 2),
            (458, Transport::Tls, Some(30_000), 65_535, 468, 3),
            (1_000, Transport::Tls, None, 1_100, 1_100, 2),
            (1_000, Transport::Tls, None, 1_002, 1_000, 1),
            (65_500, Transport::Tls, None, 65_535, 65_520, 2),
            (65_525, Transport::Tls, None, 65_535, 65_535, 2),
            (65_533, Transport::Tls, Some(30_000), 65_535, 65_533, 1),
        ] {
            let (mut message, opt_at) = reply(len);
            append_to(&mut message, opt_at, limit, transport, idle_ms);
            let what = format!("{len} {transport:?} {idle_ms:?} {limit}");
            let edns = Message::parse(&message).expect(&what).edns().expect("OPT");
            let all = edns.data;
            let (mut count, mut at) = (0, 0);
            while at < all.len() {
                let code = u16::from_be_bytes([all[at], all[at + 1]]);
                let size = usize::from(u16::from_be_bytes([all[at + 2], all[at + 3]]));
                if code == OptionCode::TCP_KEEPALIVE.0 {
                    assert_eq!(u64::from(u16::from_be_bytes([all[at + 4], all[at + 5]])) * 100, idle_ms.expect("asked"), "{what}");
                }
                (count, at) = (count + 1, at + 4 + size);
            }
            assert_eq!((message.len(), count, at), (expected, options, all.len()), "{what}");
        }
    }
}
