//! What is known of a signed zone, for `cairn zone sign status`.

use serde_json::{Value, json};

use super::zone_signer::ZoneSigner;
use crate::authority::signing::{Algorithm, KeyState, Role};
use crate::record::{Rtype, rdata_to_text};

/// Times are seconds since 1970.
pub(super) fn status(signer: &ZoneSigner) -> Value {
    let keys: Vec<Value> = signer.saved.keys.keys.iter().map(|key| of_key(signer, key)).collect();
    let ds: Vec<Value> = signer
        .ds_records()
        .iter()
        .map(|(tag, rdata)| {
            let record = format!("{} IN DS {}", signer.zone, rdata_to_text(Rtype::DS, rdata));
            json!({ "tag": tag, "record": record })
        })
        .collect();
    let parent = signer.parent.as_ref().map(|(at, tags)| json!({ "seen-at": at, "tags": tags }));
    json!({
        "zone": signer.zone.to_string(), "algorithm": signer.how.algorithm.word(), "denial": if signer.how.nsec3 { "nsec3" } else { "nsec" },
        "serial": signer.served.as_ref().map(|zone| zone.serial()), "file-serial": signer.file_serial(),
        "signatures-replaced-at": signer.refresh_at(), "keys": keys, "ds": ds, "parent": parent, "problem": signer.problem,
        "ending": signer.saved.is_ending, "ds-gone-at": signer.saved.ds_gone_at, "over-at": signer.over_at(),
    })
}

fn of_key(signer: &ZoneSigner, key: &KeyState) -> Value {
    let next = signer.timing_now().and_then(|timing| signer.saved.keys.next(key, &timing));
    let next = next.map(|next| json!({ "state": next.stage.word(), "at": next.at, "reason": next.reason }));
    let algorithm = Algorithm::from_number(key.algorithm).map_or("unknown", Algorithm::word);
    json!({
        "tag": key.tag, "algorithm": algorithm, "role": Role::from(key.role).word(), "state": key.stage.word(), "since": key.since, "next": next,
    })
}
