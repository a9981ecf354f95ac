//! Slots of the log, and what stands in a manifest: bytes whose checksums are right.

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::golden_tests::golden;
use super::{cases, changed, is_refused_well};
use crate::connector::{Committable, Offset, SinkSnapshot, SourceSnapshot, Split, SplitProgress};
use crate::ids::{Epoch, SplitId};
use crate::protocol::SlotContent;
use crate::state::catalogue::names_of;
use crate::storage::frame::{self, HEADER_LEN};
use crate::storage::log::decode_slot;

/// Gives a frame the length and the checksums that its bytes have.
pub(crate) fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() < HEADER_LEN {
        return bytes;
    }
    let (header, body) = bytes.split_at_mut(HEADER_LEN);
    header[..8].copy_from_slice(&frame::MAGIC);
    header[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[48..56].copy_from_slice(&xxh3_64(body).to_le_bytes());
    let checksum = xxh3_64(&header[..56]);
    header[56..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Slots with a body that was changed, below checksums that are right, and bytes above.
fn slots() -> impl Strategy<Value = Vec<u8>> {
    let bodies: Vec<Vec<u8>> = golden(".slot")
        .iter()
        .map(|slot| slot[HEADER_LEN..].to_vec())
        .collect();
    let headers: Vec<Vec<u8>> = golden(".slot")
        .iter()
        .map(|slot| slot[..HEADER_LEN].to_vec())
        .collect();
    let below = (prop::sample::select(headers), changed(bodies))
        .prop_map(|(header, body)| with_checksums([header, body].concat()));
    prop_oneof![
        3 => below,
        1 => changed(golden(".slot")).prop_map(with_checksums),
        1 => changed(golden(".slot")),
    ]
}

fn sources() -> Vec<Vec<u8>> {
    let split = |id: &str, spec: &[u8]| Split {
        id: SplitId::new(id),
        spec: spec.to_vec(),
        least_event_time: Some(-3),
    };
    let mut begun = SplitProgress::unread(split("a", &[1, 2, 3]));
    begun.offset = Some(Offset::encode(&(7_u64, "x".to_owned())));
    begun.greatest_event_time = Some(i64::MAX);
    let splits = vec![begun, SplitProgress::unread(split("b", &[]))];
    vec![
        SourceSnapshot { splits }.encode(),
        SourceSnapshot::default().encode(),
    ]
}

fn sinks() -> Vec<Vec<u8>> {
    let staged = SinkSnapshot {
        committables: vec![
            (Epoch(3), Committable(vec![9; 40])),
            (Epoch(4), Committable(Vec::new())),
        ],
        unfinished: Some(vec![1; 10]),
    };
    vec![staged.encode(), SinkSnapshot::default().encode()]
}

fn catalogues() -> Vec<Vec<u8>> {
    let names = ["CURRENT", "MANIFEST-000005", "000009.sst"].map(String::from);
    vec![bitcode::serialize(&names.to_vec()).expect("names encode")]
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn a_slot_is_a_claim_a_manifest_or_damaged_whatever_its_bytes_are(bytes in slots()) {
        match decode_slot(&bytes) {
            // What reads is what its header says, and reads again as the same.
            SlotContent::Claim(claim) => {
                let again = decode_slot(&crate::storage::log::encode_claim(&claim));
                prop_assert_eq!(again, SlotContent::Claim(claim));
            }
            SlotContent::Manifest(manifest) => {
                let again = decode_slot(&crate::storage::log::encode_manifest(&manifest));
                prop_assert_eq!(again, SlotContent::Manifest(manifest));
            }
            SlotContent::Damaged { reason, .. } | SlotContent::OtherVersion { reason } => {
                prop_assert!(!reason.is_empty());
            }
        }
    }

    #[test]
    fn what_sources_and_sinks_left_is_read_or_refused(
        source in changed(sources()),
        sink in changed(sinks()),
    ) {
        if let Some(source) = is_refused_well(SourceSnapshot::decode(&source)) {
            for split in &source.splits {
                let _ = is_refused_well(split.split.decode_spec::<(String, u64)>());
                let offset = split.offset.as_ref();
                let _ = offset.map(|offset| is_refused_well(offset.decode::<(u64, String)>()));
                let _ = split.watermark(i64::MAX);
            }
        }
        let _ = is_refused_well(SinkSnapshot::decode(&sink));
    }

    #[test]
    fn a_catalogue_of_files_holds_plain_names_or_is_refused(bytes in changed(catalogues())) {
        for name in is_refused_well(names_of(&bytes)).into_iter().flatten() {
            prop_assert!(!name.contains('/') && !name.starts_with('.'), "{}", name);
        }
    }
}
