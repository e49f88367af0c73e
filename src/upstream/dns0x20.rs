//! Letter case as a secret ("0x20"): a forger must guess one bit more for each letter of the name.

use crate::env::Random;
use crate::wire::HEADER_BYTES;

/// Draws the case of each letter of a wire name. Label lengths are below 64 and so never look like letters.
pub(super) fn randomise(name: &mut [u8], random: &Random) {
    let (mut coins, mut left) = (0, 0);
    for octet in name.iter_mut().filter(|octet| octet.is_ascii_alphabetic()) {
        if left == 0 {
            (coins, left) = (random.u64(), 64);
        }
        if coins & 1 == 1 {
            *octet ^= 0x20;
        }
        coins >>= 1;
        left -= 1;
    }
}

/// Restores the letter case that the question's name had before it was mixed. Other names of the reply may be compressed
/// against it, and would carry the mixed case into the cache and to clients. Only for a reply that has been matched.
pub(super) fn restore(reply: &mut [u8], qname: &[u8]) {
    if let Some(place) = reply.get_mut(HEADER_BYTES..HEADER_BYTES + qname.len())
        && place.eq_ignore_ascii_case(qname)
    {
        place.copy_from_slice(qname);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    #[test]
    fn what_points_into_the_question_does_not_show_our_letters() {
        let (asked, header) = (b"\x03www\x07example\x00", [0; HEADER_BYTES]);
        let mut reply = [&header[..], b"\x03wWw\x07ExAmple\x00", b"rest"].concat();
        restore(&mut reply, asked);
        assert_eq!(reply, [&header[..], asked, b"rest"].concat());
        for other in [&b"\x03www\x07exbmple\x00rest"[..], b"\x03ww"] {
            let mut reply = [&header[..], other].concat();
            let before = reply.clone();
            restore(&mut reply, asked);
            assert_eq!(reply, before);
        }
    }

    #[test]
    fn only_letters_change_and_about_half_of_them() {
        let random = Random::from_seed(1);
        let name = Name::parse(&format!("{}.{}.a-0_9.example.", "q".repeat(63), "z".repeat(63))).expect("name");
        let mut upper = 0;
        for _ in 0..100 {
            let mut wire = name.as_wire().to_vec();
            randomise(&mut wire, &random);
            assert_eq!(Name::from_wire(&wire).expect("still a name"), name);
            upper += wire.iter().filter(|octet| octet.is_ascii_uppercase()).count();
        }
        // 134 letters a hundred times: 6,700 expected, standard deviation 58.
        assert!((6_300..7_100).contains(&upper), "{upper}");
    }
}
