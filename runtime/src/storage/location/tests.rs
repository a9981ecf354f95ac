use super::*;
use crate::ErrorKind;
use crate::storage::FaultyDisk;

fn place(text: &str) -> Result<Place> {
    CheckpointLocation::from(text).place()
}

#[test]
fn a_location_is_a_path_or_a_url() {
    let bucket = |service, name: &str, prefix: &str| {
        Place::Bucket(Bucket {
            service,
            name: name.into(),
            prefix: prefix.into(),
        })
    };
    let dir = |path: &str| Place::Dir(path.into());
    for (text, expected) in [
        ("checkpoints", dir("checkpoints")),
        ("../a b/c%20d", dir("../a b/c%20d")),
        ("file:///a%20b/c", dir("/a b/c")),
        ("file://localhost/a", dir("/a")),
        ("memory://m", Place::Memory("m".into())),
        ("s3://b", bucket(Service::Amazon, "b", "")),
        ("s3://b/", bucket(Service::Amazon, "b", "")),
        ("S3://b/c/d=1/", bucket(Service::Amazon, "b", "c/d=1")),
        ("gs://b/c", bucket(Service::Google, "b", "c")),
        ("az://b/c", bucket(Service::Azure, "b", "c")),
    ] {
        assert_eq!(place(text).expect("understood"), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_url_is_said() {
    for (text, expected) in [
        ("s4://bucket/x", "`s4` is not known"),
        ("http://host/x", "`http` is not known"),
        ("memory://", "name it"),
        ("file://relative", "three slashes"),
        ("file:///a%2", "two hexadecimal digits"),
        ("file:///%ff", "not UTF-8"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("s3://b/../c", "single slashes"),
        ("s3://b//c", "single slashes"),
        ("gs://b/a b", "single slashes"),
    ] {
        let error = place(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn secrets_are_refused_in_a_url_and_never_shown() {
    for url in [
        "s3://AKIA:SECRET@bucket/x",
        "az://container/x?sig=SECRET",
        "gs://b/x#SECRET",
    ] {
        let location = CheckpointLocation::from(url).with("aws_secret_access_key", "SECRET");
        let error = location.check().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let shown = format!("{error} {location} {location:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
    }
}

#[test]
fn a_name_in_memory_is_one_storage_within_the_process() {
    let open = |url: &str| {
        let disk = Arc::new(FaultyDisk::new());
        CheckpointLocation::from(url)
            .open(disk, &TransferLimits::default())
            .expect("memory")
    };
    let name = "memory://a_name_in_memory_is_one_storage";
    open(name).write("state/a", b"a").expect("written");
    assert!(open(name).read("state/a").expect("read").is_some());
    assert_eq!(
        open("memory://another").read("state/a").expect("read"),
        None
    );
}

#[test]
fn a_file_url_is_a_directory_of_the_disk() {
    let disk = FaultyDisk::new();
    let storage = CheckpointLocation::from("file:///a%20b")
        .open(Arc::new(disk.clone()), &TransferLimits::default())
        .expect("a directory");
    storage.write("state/a", b"a").expect("written");
    assert_eq!(disk.peek("/a b/state/a").as_deref(), Some(&b"a"[..]));
}

#[test]
#[cfg(not(feature = "object-store"))]
fn a_build_without_object_stores_names_the_feature() {
    for url in ["s3://b/c", "gs://b", "az://b"] {
        let error = CheckpointLocation::from(url)
            .check()
            .expect_err("not built in");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.message().contains("feature `object-store`"),
            "{error}"
        );
    }
}
