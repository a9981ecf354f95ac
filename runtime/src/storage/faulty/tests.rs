use std::path::Path;

use super::*;

fn written(disk: &FaultyDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let mut file = disk.create(Path::new(path)).expect("no fault is planned");
    file.write_all(bytes).expect("no fault is planned");
    file
}

fn with_dir() -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create_dir_all(Path::new("d"))
        .expect("no fault is planned");
    disk
}

#[test]
fn a_name_that_was_not_synced_is_gone_after_a_power_loss() {
    let disk = with_dir();
    written(&disk, "d/a", b"bytes").sync().expect("synced");
    disk.restart();
    assert_eq!(disk.peek("d/a"), None);
}

#[test]
fn bytes_that_were_not_synced_are_gone_although_the_name_is_durable() {
    let disk = with_dir();
    let _open = written(&disk, "d/a", b"bytes");
    disk.sync_dir(Path::new("d")).expect("synced");
    disk.restart();
    assert_eq!(disk.peek("d/a"), Some(Vec::new()));
}

#[test]
fn a_rename_is_durable_only_when_its_directory_is_synced() {
    let disk = with_dir();
    written(&disk, "d/a", b"bytes").sync().expect("synced");
    disk.sync_dir(Path::new("d")).expect("synced");
    disk.rename(Path::new("d/a"), Path::new("d/b"))
        .expect("renamed");
    assert_eq!(disk.list(Path::new("d")).expect("listed"), ["b"]);
    disk.restart();
    assert_eq!(disk.list(Path::new("d")).expect("listed"), ["a"]);
}

#[test]
fn a_file_renamed_into_a_directory_that_was_not_synced_is_lost_with_its_old_name() {
    let disk = with_dir();
    disk.create_dir_all(Path::new("e")).expect("made");
    written(&disk, "d/a", b"bytes").sync().expect("synced");
    disk.sync_dir(Path::new("d")).expect("synced");
    disk.rename(Path::new("d/a"), Path::new("e/a"))
        .expect("renamed");
    disk.sync_dir(Path::new("d")).expect("synced");
    disk.restart();
    assert_eq!(disk.paths(), Vec::<PathBuf>::new());
}

#[test]
fn a_file_cut_and_written_again_keeps_its_durable_bytes_until_the_next_sync() {
    let disk = with_dir();
    written(&disk, "d/a", b"0123456789").sync().expect("synced");
    disk.sync_dir(Path::new("d")).expect("synced");
    let mut file = disk.open_at(Path::new("d/a"), 4).expect("opened");
    file.write_all(b"x").expect("written");
    assert_eq!(disk.peek("d/a").as_deref(), Some(&b"0123x"[..]));
    let before = disk.clone();
    disk.restart();
    assert_eq!(before.peek("d/a").as_deref(), Some(&b"0123456789"[..]));
    assert!(
        file.sync().is_err(),
        "a file that was open at the power loss cannot be used"
    );
    let mut file = disk.open_at(Path::new("d/a"), 4).expect("opened");
    file.write_all(b"x").expect("written");
    file.sync().expect("synced");
    disk.restart();
    assert_eq!(disk.peek("d/a").as_deref(), Some(&b"0123x"[..]));
    assert!(
        disk.open_at(Path::new("d/a"), 6).is_err(),
        "the file is shorter"
    );
}

#[test]
fn the_planned_operation_fails_and_the_next_one_works() {
    let disk = with_dir();
    disk.fail_at(disk.operations() + 1);
    assert!(disk.create(Path::new("d/a")).is_err());
    assert_eq!(disk.peek("d/a"), None);
    disk.fail_after(disk.operations() + 1);
    assert!(disk.create(Path::new("d/a")).is_err());
    assert_eq!(disk.peek("d/a"), Some(Vec::new()));
    assert!(disk.create(Path::new("d/a")).is_ok());
}

#[test]
fn every_operation_fails_from_the_power_loss_to_the_restart() {
    let disk = with_dir();
    disk.lose_power_at(disk.operations() + 2);
    assert!(disk.create(Path::new("d/a")).is_ok());
    assert!(disk.create(Path::new("d/b")).is_err());
    assert!(disk.list(Path::new("d")).is_err());
    assert!(disk.is_without_power());
    disk.restart();
    assert_eq!(
        disk.list(Path::new("d")).expect("listed"),
        Vec::<String>::new()
    );
}

#[test]
fn what_survives_depends_on_the_seed_alone_and_is_a_torn_file_or_whole() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let lose = || {
            let disk = with_dir();
            disk.survivors(seed);
            let _open = written(&disk, "d/a", b"0123456789");
            disk.restart();
            disk.peek("d/a")
        };
        let survived = lose();
        assert_eq!(survived, lose(), "seed {seed}");
        lengths.insert(survived.map(|bytes| bytes.len()));
    }
    assert!(lengths.contains(&None) && lengths.contains(&Some(0)) && lengths.contains(&Some(10)));
    assert!(lengths.len() > 4, "{lengths:?}");
}
