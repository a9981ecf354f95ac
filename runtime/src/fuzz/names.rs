//! Names of stored objects, and locations: text that anybody may have written.

use proptest::prelude::*;

use super::cases;
use crate::error::ErrorKind;
use crate::ids::Generation;
use crate::storage::{CheckpointLocation, names};

/// Text that looks like a name of ours here and there.
fn name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("log/".to_owned()),
        Just("state/g".to_owned()),
        Just("history/g".to_owned()),
        Just("began".to_owned()),
        Just("-e".to_owned()),
        Just("-w".to_owned()),
        Just("-c".to_owned()),
        Just("-g".to_owned()),
        Just("-".to_owned()),
        Just("+".to_owned()),
        Just(".snap".to_owned()),
        Just(".file".to_owned()),
        Just("%%".to_owned()),
        "[0-9]{1,21}",
        any::<u64>().prop_map(|number| format!("{number:020}")),
        ".{0,4}",
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

fn url() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("s3://".to_owned()),
        Just("file://".to_owned()),
        Just("memory://".to_owned()),
        Just("localhost/".to_owned()),
        Just("://".to_owned()),
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("?secret".to_owned()),
        Just("user:secret@".to_owned()),
        Just("#".to_owned()),
        Just("%".to_owned()),
        "%[0-9A-Fa-f+é]{2}",
        ".{0,4}",
    ];
    prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_name_is_read_as_what_would_be_written_under_it_or_as_none_of_ours(name in name()) {
        if let Some(slot) = names::parse_slot(&name) {
            prop_assert_eq!(names::slot(slot), name.clone());
        }
        if let Some(object) = names::parse_state_object(&name) {
            let (generation, epoch) = (object.generation.0, object.epoch.0);
            let begins = format!("state/g{generation:010}-e{epoch:020}-");
            prop_assert!(name.starts_with(&begins), "{}", name);
            prop_assert_eq!(&object.name, &name);
        }
        if let Some(key) = names::parse_history(&name) {
            prop_assert_eq!(names::history(key), name.clone());
        }
        if let Some(common) = names::common_to_parts(&name) {
            prop_assert!(name.starts_with(common));
        }
        let _ = names::is_stale_work_dir(&name, "job", 7, Generation(3));
        if names::is_plain(&name) {
            prop_assert!(!name.contains("..") || !name.contains("/."), "{}", name);
            prop_assert_eq!(name.matches('/').count(), 1);
        }
        let escaped = format!("state/x{}", names::escape(&name));
        prop_assert!(names::is_plain(&escaped), "{}", escaped);
    }

    #[test]
    fn a_location_is_understood_or_refused_and_never_tells_a_secret(url in url()) {
        let location = CheckpointLocation::from(&url);
        let checked = location.check();
        if let Err(error) = &checked {
            prop_assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let shown = format!("{location} {location:?} {checked:?}");
        let is_url = url.split_once("://").is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        if is_url {
            prop_assert!(!shown.contains("secret"), "{}", shown);
        }
        if let Some(dir) = location.dir().filter(|_| is_url) {
            prop_assert!(dir.is_absolute(), "{}", dir.display());
        }
    }
}

/// `u64` reads a sign, too, so that a name with one was taken for an object of ours, and deleted as one.
#[test]
fn a_name_with_a_sign_is_none_of_ours() {
    for name in [
        "state/g+000000002-e00000000000000000041-hourly-w3-0.snap",
        "state/g0000000002-e+0000000000000000041-hourly-w3-0.snap",
        "state/g2-e41-hourly-w3-0.snap",
    ] {
        assert_eq!(names::parse_state_object(name), None, "{name}");
    }
}

/// `u8` reads a sign in front of its hexadecimal digits.
#[test]
fn a_percent_and_a_sign_in_a_url_is_no_byte() {
    let location = CheckpointLocation::from("file:///a%+fb");
    assert_eq!(
        location.check().expect_err("it is none").kind(),
        ErrorKind::Invalid
    );
}
