//! DNSSEC: from a trust anchor to an answer, or to the proof that there is no answer.
//!
//! Pure: RRsets, keys, the time and a budget go in; a verdict comes out, or the name of what is still needed. Nothing is
//! fetched and nothing waits; every signature and every hash is paid from [`WorkBudget`].
//!
//! - [`keys_from_anchor`], [`keys_from_ds`]: the chain of trust, one zone at a time (RFC 4035 5.2, 4509, 6840 5.11).
//! - [`TrustPoints`]: the anchors themselves, which follow key rollovers (RFC 5011).
//! - [`verify_set`]: one RRset against its zone's keys (RFC 4034 3.1, 6; RFC 4035 5.3).
//! - [`prove_nxdomain`] and similar: denial by NSEC and NSEC3 (RFC 4035 5.4, 5155 8, 6840 4, 9276).
//! - [`synthesize`](synthesize()): answers from cached denials (RFC 8198).
//! - [`judge`](judge()), [`Case`]: a whole reply. [`Reason`] and [`Insecurity`] explain the verdict to people (RFC 8914).
//!
//! A walk goes down from the anchor: `keys_from_anchor` for the zone of the anchor; at each referral, or for each label where a
//! cut may be, a [`Case`] for the reply with the DS RRset or its denial, then [`Judgement::cut`]; if that is secure,
//! `keys_from_ds` with the child's DNSKEY RRset; at the end a [`Case`] for the answer. One [`WorkBudget`] pays for all of it.
//! [`Judgement::NeedsKeys`] and [`Judgement::NeedsCut`] send the walk back to a cut that it did not see.
//!
//! [`Validated`](crate::record::Validated) is made here and nowhere else.
//!
//! Knows nothing of: sockets, the time of day, the cache, configuration, who asked.

mod judge;
mod judgement;
mod plan;
mod keys;
mod key;
mod small_rsa;
mod trust_point;
mod set;
mod rrsig;
mod denial;
mod synthesize;
mod proof;
mod nsec;
mod nsec3;
mod bitmap;
mod reason;
mod budget;
#[cfg(any(test, feature = "internals"))]
pub mod test_signer;
#[cfg(test)]
mod test_vectors;
#[cfg(test)]
mod model;

pub use bitmap::bitmap_of;
pub use budget::{Bound, WorkBudget};
pub use judge::Case;
pub use judgement::{CutVerdict, Judgement, Reply, ReplyKind, Secured};
pub use key::{Sha1Policy, key_tag};
pub use keys::{Anchor, KeyTrial, KeyVerdict, ZoneKeys, ds_digest, ds_set_is_unusable, keys_from_anchor, verify_set};
pub use nsec3::{Nsec3Hash, Nsec3Params, nsec3_owner, nsec3_place};
pub use reason::{AlgorithmName, Date, Day, Insecurity, Signed};
pub use rrsig::{Now, has_expired_signature, signer_of};
pub use synthesize::{DenialForm, DenialKey, Proved, Synthesis, SynthesisKind, expand_wildcard, synthesize};
pub use trust_point::{Change, KeyState, TrustPoints};

/// What only tests, benches and fuzz targets call: a whole reply or proof in one go.
#[cfg(any(test, feature = "internals"))]
pub use self::{
    denial::{Denial, prove_no_ds, prove_nodata, prove_nxdomain, prove_wildcard_answer},
    judge::judge,
    keys::keys_from_ds,
};
