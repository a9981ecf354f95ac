use proptest::prelude::*;

use super::*;

fn header() -> impl Strategy<Value = FrameHeader> {
    let kind = prop_oneof![
        Just(FrameKind::Claim),
        Just(FrameKind::Manifest),
        Just(FrameKind::Snapshot)
    ];
    (kind, any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(kind, generation, epoch, nonce)| {
        FrameHeader {
            kind,
            generation: Generation(generation),
            epoch: Epoch(epoch),
            nonce,
        }
    })
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(header in header(), body in any::<Vec<u8>>()) {
        let bytes = encode(&header, &body);
        prop_assert_eq!(decode(&bytes), Ok((header, &body[..])));
        prop_assert_eq!(decode_header(&bytes), Ok(header));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(decode(&bytes).is_err());
        let mut with_magic = MAGIC.to_vec();
        with_magic.extend_from_slice(&bytes);
        prop_assert!(decode(&with_magic).is_err());
    }
}

#[test]
fn every_flip_of_a_byte_and_every_truncation_is_found() {
    let header = FrameHeader {
        kind: FrameKind::Manifest,
        generation: Generation(3),
        epoch: Epoch(70),
        nonce: 0xABCD,
    };
    for body in [&b""[..], b"x", b"some body of a manifest"] {
        let bytes = encode(&header, body);
        for at in 0..bytes.len() {
            for flip in 1..=u8::MAX {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                assert!(decode(&damaged).is_err(), "byte {at} xor {flip}");
                assert_eq!(
                    decode_header(&damaged).is_ok(),
                    at >= HEADER_LEN,
                    "byte {at} xor {flip}"
                );
            }
        }
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err(), "cut to {len}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(decode(&longer).is_err());
    }
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let header = FrameHeader {
        kind: FrameKind::Claim,
        generation: Generation(1),
        epoch: Epoch(0),
        nonce: 0,
    };
    let mut bytes = encode(&header, b"body");
    bytes[10] = 9;
    let checksum = xxh3_64(&bytes[..56]);
    bytes[56..64].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(
        decode(&bytes),
        Err(FrameError::UnknownVersion {
            kind: 1,
            version: 9
        })
    );
}
