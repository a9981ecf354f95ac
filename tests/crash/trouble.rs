//! Disks that fill up, may not be written any more, or are gone: checkpoints fail, the job runs on as
//! far as that is tolerated, and then ends with the causes; and nothing that was complete is lost.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use flowdsl_tests::data::leave_out;

use crate::gate::{Answer, Ending, Point, Side, Trap};
use crate::job::{CHUNK, SPLITS};
use crate::life::{Backend, Mode, Plan, Policy, Restart};
use crate::matrix::{Backends, Place, Setting, are_built_in, backends, backends_apart};
use crate::mounts::{mount, with_own_mounts};
use crate::parent::Ended;
use crate::world::World;

/// The checkpoints that are complete when the trouble begins.
const COMPLETE: u64 = 3;

/// State that takes no room on any disk.
const MEMORY: Backends = &[Backend::Memory];

/// State with its checkpoints.
const DATABASES: Backends = &[Backend::RocksDb];

/// How many checkpoints may fail in a row.
const TOLERABLE: u32 = 2;

/// The largest file that a job may write behind its quota: less than its state, more than its output.
const QUOTA: u64 = 8 << 10;

fn setting(backends: Backends, workers: &'static [usize], restart: Restart) -> Setting {
    Setting {
        policy: Policy {
            mode: Mode::ExactlyOnce,
            interval_ms: 1,
            min_pause_ms: 0,
            max_concurrent: 1,
            retained: 2,
            tolerable_failures: TOLERABLE,
            restart,
        },
        place: Place::Directory,
        backends,
        workers,
    }
}

/// The moment before the publication of the checkpoint behind the complete ones. No file of the
/// checkpoint directory is open then, if no two checkpoints are under way at a time.
fn before_the_next_publication() -> Trap {
    let point = Point {
        side: Side::Before,
        act: "publish".to_owned(),
    };
    Trap::Point(point, COMPLETE + 1)
}

/// Lets the job live until the trouble ends it; the world is not checked.
fn live_into(world: &mut World, mut trouble: impl FnMut(&Child)) -> Ending {
    let plan = Plan::at(before_the_next_publication());
    let ended = world.live_unchecked(plan, |child, _| {
        trouble(child);
        Answer::GoOn
    });
    match ended {
        Ended::Alone(ending) => *ending,
        Ended::Killed => unreachable!("nobody killed it"),
    }
}

/// Whether the job ran on as far as is tolerated, and has ended with the cause.
fn assert_ran_on(ending: &Ending, cause: &str) {
    let (kind, message) = ending.failure();
    assert_eq!(kind, "unavailable", "{message}");
    assert!(message.contains(cause), "{message}");
    assert!(message.contains("checkpoint"), "{message}");
    // What is being published may still get there.
    let complete = ending.checkpoints;
    assert!((COMPLETE..=COMPLETE + 1).contains(&complete), "{message}");
    assert_eq!(ending.checkpoints_failed, u64::from(TOLERABLE) + 1);
    let chunks = complete + u64::from(TOLERABLE) + 1;
    assert!(
        ending.records >= chunks * SPLITS * CHUNK,
        "{} records: it has not run on",
        ending.records
    );
}

/// Sets the size that no file of the child may exceed.
fn set_quota(child: &Child, bytes: &str) {
    let set = Command::new("prlimit")
        .args(["--pid", &child.id().to_string()])
        .arg(format!("--fsize={bytes}:unlimited"))
        .status();
    assert!(set.is_ok_and(|set| set.success()), "prlimit sets a limit");
}

/// A world whose children hear of a quota by an error, and not by a signal.
fn world_with_quota(setting: Setting) -> Option<World> {
    if Command::new("prlimit").arg("--fsize").output().is_err() {
        leave_out("disks with a quota", "this machine has no `prlimit`");
        return None;
    }
    let mut world = World::new(setting);
    let ignoring = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    world.start.through = ignoring.map(str::to_owned).to_vec();
    Some(world)
}

#[test]
fn a_job_beyond_its_quota_runs_on_as_far_as_tolerated_and_loses_nothing() {
    for workers in [&[1], &[2]] {
        let Some(mut world) = world_with_quota(setting(MEMORY, workers, Restart::Never)) else {
            return;
        };
        let ending = live_into(&mut world, |child| set_quota(child, &QUOTA.to_string()));
        assert_ran_on(&ending, "File too large");
        world.check();
        world.finish();
    }
}

#[test]
fn a_job_that_gets_room_in_time_goes_on_and_loses_nothing() {
    let Some(mut world) = world_with_quota(setting(MEMORY, &[1], Restart::Never)) else {
        return;
    };
    let traps = vec![
        before_the_next_publication(),
        Trap::Failure(u64::from(TOLERABLE)),
    ];
    let plan = Plan {
        traps,
        ..Plan::default()
    };
    let ended = world.live(plan, |child, trap| {
        match trap {
            Trap::Failure(_) => set_quota(child, "unlimited"),
            Trap::Point(..) | Trap::Passage(_) | Trap::Behind(_) => {
                set_quota(child, &QUOTA.to_string());
            }
        }
        Answer::GoOn
    });
    let Ended::Alone(ending) = ended else {
        unreachable!("nobody killed it")
    };
    world.check_end(&ending);
    assert!(ending.checkpoints_failed > 0, "{ending:?}");
    assert_eq!(ending.restarts, 0, "{ending:?}");
}

#[test]
fn a_job_that_stays_beyond_its_quota_is_restarted_as_often_as_it_may_be_and_loses_nothing() {
    let setting = setting(MEMORY, &[2], Restart::Fixed { attempts: 2 });
    let Some(mut world) = world_with_quota(setting) else {
        return;
    };
    let ending = live_into(&mut world, |child| set_quota(child, &QUOTA.to_string()));
    let (kind, message) = ending.failure();
    assert_eq!(kind, "unavailable", "{message}");
    assert!(message.contains("File too large"), "{message}");
    assert_eq!(ending.restarts, 2, "{message}");
    world.check();
    world.finish();
}

/// Fills what is left of a file system.
fn fill(filler: &Path) {
    let mut file = File::create(filler).expect("there is room for a name");
    for len in [4096, 1] {
        let full = loop {
            if let Err(e) = file.write_all(&vec![0; len]) {
                break e;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }
}

#[test]
fn a_job_on_a_full_disk_runs_on_as_far_as_tolerated_and_loses_nothing() {
    let test = "trouble::a_job_on_a_full_disk_runs_on_as_far_as_tolerated_and_loses_nothing";
    with_own_mounts(test, || {
        for backends in backends_apart() {
            let mut world = World::new(setting(backends, &[2], Restart::Never));
            let checkpoints = world.checkpoints();
            fs::create_dir(&checkpoints).expect("a directory");
            mount(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"], &checkpoints);
            let filler = checkpoints.join("filler");
            let ending = live_into(&mut world, |_| fill(&filler));
            assert_ran_on(&ending, "No space left on device");
            world.check();
            fs::remove_file(&filler).expect("it is there");
            world.finish();
        }
    });
}

/// Output cannot be staged any more: that ends the run at once, as its records would be lost otherwise.
#[test]
fn a_job_whose_output_is_on_a_full_disk_ends_and_loses_nothing() {
    let test = "trouble::a_job_whose_output_is_on_a_full_disk_ends_and_loses_nothing";
    with_own_mounts(test, || {
        let mut world = World::new(setting(MEMORY, &[1], Restart::Fixed { attempts: 1 }));
        let output = world.output();
        fs::create_dir(&output).expect("a directory");
        mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &output);
        let filler = output.join("filler");
        let ending = live_into(&mut world, |_| fill(&filler));
        let (kind, message) = ending.failure();
        assert_eq!(kind, "unavailable", "{message}");
        assert!(message.contains("No space left on device"), "{message}");
        world.check();
        fs::remove_file(&filler).expect("it is there");
        world.finish();
    });
}

/// Root may write everywhere, unless it gives that up.
fn without_a_right_to_write_everywhere() -> Option<Vec<String>> {
    let bounded = ["setpriv", "--bounding-set=-dac_override", "--"].map(str::to_owned);
    let dir = tempfile::tempdir().expect("a temporary directory");
    set_mode(dir.path(), 0o555);
    let may_write = |through: &[String]| {
        let command = [through, &["mkdir".to_owned()]].concat();
        let made = Command::new(&command[0])
            .args(&command[1..])
            .arg(dir.path().join(command.len().to_string()))
            .output();
        made.is_ok_and(|made| made.status.success())
    };
    if !may_write(&[]) {
        return Some(Vec::new());
    }
    let is_there = Command::new("setpriv").arg("--version").output().is_ok();
    (is_there && !may_write(&bounded)).then(|| bounded.to_vec())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it belongs to this test");
}

#[test]
fn a_job_that_may_not_write_any_more_runs_on_as_far_as_tolerated_and_loses_nothing() {
    let Some(through) = without_a_right_to_write_everywhere() else {
        eprintln!("left out: directories without permission: root cannot do without its rights");
        return;
    };
    for backends in backends() {
        let mut world = World::new(setting(backends, &[2], Restart::Never));
        world.start.through.clone_from(&through);
        let checkpoints = world.checkpoints();
        let set_modes = |mode| {
            for dir in ["log", "state", "tmp"] {
                set_mode(&checkpoints.join(dir), mode);
            }
        };
        let ending = live_into(&mut world, |_| set_modes(0o555));
        assert_ran_on(&ending, "Permission denied");
        world.check();
        set_modes(0o755);
        world.finish();
    }
}

#[test]
fn a_job_on_a_disk_that_became_read_only_runs_on_as_far_as_tolerated_and_loses_nothing() {
    let test = "trouble::a_job_on_a_disk_that_became_read_only_runs_on_as_far_as_tolerated_and_loses_nothing";
    with_own_mounts(test, || {
        for backends in backends_apart() {
            let mut world = World::new(setting(backends, &[2], Restart::Never));
            let checkpoints = world.checkpoints();
            fs::create_dir(&checkpoints).expect("a directory");
            mount(&["-t", "tmpfs", "tmpfs"], &checkpoints);
            let remount = |how: &str| mount(&["-o", &format!("remount,{how}")], &checkpoints);
            let ending = live_into(&mut world, |_| remount("ro"));
            assert_ran_on(&ending, "Read-only file system");
            world.check();
            remount("rw");
            world.finish();
        }
    });
}

#[test]
fn a_job_whose_checkpoints_vanish_runs_on_as_far_as_tolerated_and_loses_nothing() {
    for backends in backends_apart() {
        let mut world = World::new(setting(backends, &[2], Restart::Never));
        let (checkpoints, away) = (
            world.checkpoints(),
            world.checkpoints().with_extension("away"),
        );
        let ending = live_into(&mut world, |_| {
            fs::rename(&checkpoints, &away).expect("the job has made it");
        });
        assert_ran_on(&ending, "No such file or directory");
        assert!(!checkpoints.exists(), "a new place");
        fs::rename(&away, &checkpoints).expect("the place is free");
        world.check();
        world.finish();
    }
}

/// A restart found an empty directory, took the job for a new one, and made a log in the wrong place.
#[test]
fn a_job_that_is_restarted_while_its_checkpoints_are_gone_begins_nothing_anew() {
    for backends in backends().chain(backends_apart()) {
        let mut world = World::new(setting(backends, &[2], Restart::Fixed { attempts: 2 }));
        let (checkpoints, away) = (
            world.checkpoints(),
            world.checkpoints().with_extension("away"),
        );
        let ending = live_into(&mut world, |_| {
            fs::rename(&checkpoints, &away).expect("the job has made it");
        });
        let (kind, message) = ending.failure();
        assert_eq!(kind, "unavailable", "{message}");
        assert!(message.contains("are gone"), "{message}");
        assert_eq!(ending.restarts, 2, "{message}");
        assert!(!checkpoints.exists(), "a new place");
        fs::rename(&away, &checkpoints).expect("the place is free");
        world.check();
        world.finish();
    }
}

/// A job that is started anew cannot know of checkpoints that are gone, but of its output.
#[test]
fn a_job_that_is_started_while_its_checkpoints_are_gone_refuses_to_write_its_output_again() {
    let mut world = World::new(setting(MEMORY, &[1], Restart::Never));
    let (checkpoints, away) = (
        world.checkpoints(),
        world.checkpoints().with_extension("away"),
    );
    let ending = live_into(&mut world, |_| {
        fs::rename(&checkpoints, &away).expect("the job has made it");
    });
    assert_ran_on(&ending, "No such file or directory");
    let ended = world.live_unchecked(Plan::default(), |_, _| Answer::GoOn);
    let Ended::Alone(refused) = ended else {
        unreachable!("nobody killed it")
    };
    let (kind, message) = refused.failure();
    assert_eq!(kind, "invalid", "{message}");
    assert!(message.contains("there is no checkpoint"), "{message}");
    assert!(!checkpoints.exists(), "a refused start makes no new place");
    fs::rename(&away, &checkpoints).expect("the place is free");
    world.check();
    world.finish();
}

/// Whether trouble with the databases has ended the job, with its cause.
fn assert_ended(ending: &Ending, cause: &str) {
    let (kind, message) = ending.failure();
    assert_eq!(kind, "unavailable", "{message}");
    assert!(message.contains(cause), "{message}");
    assert!(ending.checkpoints_failed <= u64::from(TOLERABLE) + 1);
}

/// Databases that stand with their checkpoints share their fate: the job ends, as it cannot go on without them.
#[test]
fn a_job_whose_databases_are_on_a_full_disk_ends_and_loses_nothing() {
    if !are_built_in(DATABASES) {
        return;
    }
    let test = "trouble::a_job_whose_databases_are_on_a_full_disk_ends_and_loses_nothing";
    with_own_mounts(test, || {
        let mut world = World::new(setting(DATABASES, &[2], Restart::Fixed { attempts: 1 }));
        let checkpoints = world.checkpoints();
        fs::create_dir(&checkpoints).expect("a directory");
        // RocksDB takes the room of a whole table before it writes the first byte of one: 17 MB for each.
        mount(&["-t", "tmpfs", "-o", "size=256m", "tmpfs"], &checkpoints);
        let filler = checkpoints.join("filler");
        let ending = live_into(&mut world, |_| fill(&filler));
        assert_ended(&ending, "No space left on device");
        world.check();
        fs::remove_file(&filler).expect("it is there");
        world.finish();
    });
}

#[test]
fn a_job_whose_databases_vanish_with_their_checkpoints_ends_and_loses_nothing() {
    if !are_built_in(DATABASES) {
        return;
    }
    let mut world = World::new(setting(DATABASES, &[2], Restart::Never));
    let (checkpoints, away) = (
        world.checkpoints(),
        world.checkpoints().with_extension("away"),
    );
    let ending = live_into(&mut world, |_| {
        fs::rename(&checkpoints, &away).expect("the job has made it");
    });
    assert_ended(&ending, "No such file or directory");
    assert!(!checkpoints.join("log").exists(), "a new place");
    if checkpoints.exists() {
        fs::remove_dir_all(&checkpoints).expect("nothing is in it");
    }
    fs::rename(&away, &checkpoints).expect("the place is free");
    world.check();
    world.finish();
}

#[test]
fn a_job_whose_databases_are_beyond_its_quota_ends_and_loses_nothing() {
    if !are_built_in(DATABASES) {
        return;
    }
    let Some(mut world) = world_with_quota(setting(DATABASES, &[1], Restart::Never)) else {
        return;
    };
    let ending = live_into(&mut world, |child| set_quota(child, &QUOTA.to_string()));
    assert_ended(&ending, "File too large");
    world.check();
    world.finish();
}
