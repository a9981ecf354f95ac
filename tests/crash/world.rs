//! The world of a job: what its lives leave behind, and what must hold of it after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

use flowdsl::runtime::protocol::{SlotContent, Verification, objects_of};
use flowdsl::runtime::storage::log::{list_state, read_log};
use flowdsl::runtime::storage::snapshots::verify;
use flowdsl::runtime::storage::{CheckpointStorage, LocalStorage, RealDisk};
use tempfile::TempDir;

use crate::expected::{Lines, wrong_at_end, wrong_so_far};
use crate::gate::{Answer, Ending, Outcome, Trap};
use crate::job::OUTPUTS;
use crate::life::{CHECKPOINTS, DATABASES, Entry, Life, OUTPUT, Plan, Version};
use crate::matrix::{Place, Setting};
use crate::parent::{Ended, Start};
use crate::terminal::{Exit, Terminal};

/// A job in its world.
pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) start: Start,
    pub(crate) version: Version,
    root: TempDir,
    #[cfg(feature = "object-store")]
    s3: Option<flowdsl_tests::s3::S3>,
    lives: usize,
    /// The epoch of the newest complete checkpoint, which the next life has to begin from.
    newest: Option<u64>,
    /// An act was made to fail in the last life.
    has_failed: bool,
    /// Output that was visible once.
    seen: BTreeMap<PathBuf, Vec<u8>>,
}

impl World {
    /// A world in memory where the machine offers that: a process that is killed loses nothing that it
    /// has written, so that a sync need not reach a disk.
    pub(crate) fn new(setting: Setting) -> Self {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::within(root.expect("a temporary directory"), setting)
    }

    /// A world where temporary files are, with whatever time a sync takes there.
    pub(crate) fn on_disk(setting: Setting) -> Self {
        Self::within(tempfile::tempdir().expect("a temporary directory"), setting)
    }

    fn within(root: TempDir, setting: Setting) -> Self {
        #[cfg(feature = "object-store")]
        let s3 = (setting.place == Place::Bucket).then(flowdsl_tests::s3::S3::start);
        let mut world = Self {
            setting,
            start: Start::default(),
            version: Version::First,
            root,
            #[cfg(feature = "object-store")]
            s3,
            lives: 0,
            newest: None,
            has_failed: false,
            seen: BTreeMap::new(),
        };
        world.start.environment = world.access();
        // What children keep among temporary files goes with the world, and is not found by others.
        let temporary = world.temporary();
        fs::create_dir(&temporary).expect("a directory");
        let temporary = temporary.display().to_string();
        world
            .start
            .environment
            .push(("TMPDIR".to_owned(), temporary));
        world
    }

    /// What a child needs to reach its checkpoints.
    fn access(&self) -> Vec<(String, String)> {
        match self.setting.place {
            Place::Directory => Vec::new(),
            #[cfg(feature = "object-store")]
            Place::Bucket => {
                let s3 = self.s3.as_ref().expect("a bucket has its server");
                let variables = [
                    ("AWS_ENDPOINT", s3.endpoint()),
                    ("AWS_ALLOW_HTTP", "true".to_owned()),
                    ("AWS_REGION", "us-east-1".to_owned()),
                    (
                        "AWS_ACCESS_KEY_ID",
                        flowdsl_tests::s3::ACCESS_KEY.to_owned(),
                    ),
                    (
                        "AWS_SECRET_ACCESS_KEY",
                        flowdsl_tests::s3::SECRET_KEY.to_owned(),
                    ),
                ];
                variables
                    .map(|(name, value)| (name.to_owned(), value))
                    .to_vec()
            }
        }
    }

    /// The directory that checkpoints are in, where they are in one.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.root.path().join(CHECKPOINTS)
    }

    fn temporary(&self) -> PathBuf {
        self.root.path().join("temporary")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.root.path().join(OUTPUT)
    }

    fn life(&self, plan: Plan) -> Life {
        let Setting {
            policy,
            place,
            backends,
            workers,
        } = self.setting;
        let checkpoints = match place {
            Place::Directory => self.checkpoints().display().to_string(),
            #[cfg(feature = "object-store")]
            Place::Bucket => format!("s3://{}/killed", flowdsl_tests::s3::BUCKET),
        };
        Life {
            output: self.output(),
            checkpoints,
            policy,
            backend: backends[self.lives % backends.len()],
            workers: workers[self.lives % workers.len()],
            version: self.version,
            entry: Entry::Library,
            plan,
        }
    }

    /// Lets the job live once more; checks what is left behind.
    pub(crate) fn live(
        &mut self,
        plan: Plan,
        answer: impl FnMut(&Child, &Trap) -> Answer,
    ) -> Ended {
        let ended = self.live_unchecked(plan, answer);
        if let Ended::Alone(ending) = &ended
            && !matches!(ending.outcome, Outcome::Failed { .. })
        {
            // One that is asked to stop before it has begun leaves everything as it is.
            let has_begun = ending.outcome != Outcome::Stopped || ending.checkpoints > 0;
            assert!(
                !has_begun && ending.restored_from.is_none() || ending.restored_from == self.newest,
                "a life begins from the newest complete checkpoint: {ending:?}"
            );
        }
        self.check();
        ended
    }

    /// The same, where the world is in no state to be checked.
    pub(crate) fn live_unchecked(
        &mut self,
        plan: Plan,
        mut answer: impl FnMut(&Child, &Trap) -> Answer,
    ) -> Ended {
        let life = self.life(plan);
        self.lives += 1;
        let mut has_failed = false;
        let ended = self.start.live(&life, |child, trap| {
            let answer = answer(child, trap);
            has_failed |= answer == Answer::Fail;
            answer
        });
        self.has_failed = has_failed;
        ended
    }

    /// Lets the job live as a process that a user has started; checks what is left behind.
    pub(crate) fn live_as(
        &mut self,
        entry: Entry,
        plan: Plan,
        attend: impl FnMut(&mut Terminal, &Trap),
    ) -> Exit {
        let life = Life {
            entry,
            ..self.life(plan)
        };
        self.lives += 1;
        self.has_failed = false;
        let exit = self.start.live_at_terminal(&life, attend);
        self.check();
        exit
    }

    /// Moves all checkpoints out of the job's own directory.
    pub(crate) fn move_checkpoints(&mut self) -> PathBuf {
        let elsewhere = self.root.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("a directory");
        let to = elsewhere.join(CHECKPOINTS);
        fs::rename(self.checkpoints(), &to).expect("both are in one directory");
        self.newest = None;
        to
    }

    /// The epoch of the newest complete checkpoint.
    pub(crate) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Lets the job live until it is done; checks its output, and that nothing is left that nobody needs.
    pub(crate) fn finish(&mut self) -> Ending {
        let ended = self.live(Plan::default(), |_, _| Answer::GoOn);
        let Ended::Alone(ending) = ended else {
            unreachable!("nobody killed it")
        };
        self.check_end(&ending);
        *ending
    }

    fn storage(&self) -> Arc<dyn CheckpointStorage> {
        match self.setting.place {
            Place::Directory => Arc::new(LocalStorage::new(Arc::new(RealDisk), self.checkpoints())),
            #[cfg(feature = "object-store")]
            Place::Bucket => {
                let s3 = self.s3.as_ref().expect("a bucket has its server");
                let limits = flowdsl::runtime::storage::TransferLimits::default();
                let storage = s3.location("killed").open(Arc::new(RealDisk), &limits);
                storage.expect("the server is in this process")
            }
        }
    }

    /// What holds after any life: every checkpoint of the log is whole, none is older than those before,
    /// and what is visible is right and stays.
    pub(crate) fn check(&mut self) {
        let storage = self.storage();
        let log = read_log(&*storage).expect("the log can be listed");
        for slot in &log.slots {
            match &slot.content {
                SlotContent::Claim(_) => {}
                SlotContent::Manifest(manifest) => {
                    let verified = verify(&*storage, manifest).expect("objects can be read");
                    assert_eq!(verified, Verification::Whole, "slot {}", slot.number);
                }
                other => panic!("slot {} does not read: {other:?}", slot.number),
            }
        }
        let manifests = log.manifests_newest_first();
        let newest = manifests.map(|(_, manifest)| manifest.epoch.0).max();
        assert!(newest >= self.newest, "{newest:?} after {:?}", self.newest);
        self.newest = newest;
        let wrong = wrong_so_far(self.setting.policy.mode.of_checkpoints(), &self.visible());
        assert_eq!(wrong, None, "{:?}", self.setting);
        self.check_seen();
    }

    /// Files that were visible once are there for ever, as they were.
    fn check_seen(&mut self) {
        for (path, bytes) in &self.seen {
            let now = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(now == *bytes, "{} has changed", path.display());
        }
        let output = self.output();
        for path in OUTPUTS.iter().flat_map(|dir| files_in(&output.join(dir))) {
            self.seen
                .entry(path)
                .or_insert_with_key(|path| fs::read(path).expect("it was just listed"));
        }
    }

    /// The sorted lines of each output.
    fn visible(&self) -> Lines {
        OUTPUTS.map(|dir| {
            let mut lines = Vec::new();
            for path in files_in(&self.output().join(dir)) {
                let text = fs::read_to_string(&path).expect("output is text");
                lines.extend(text.lines().map(str::to_owned));
            }
            lines.sort();
            lines
        })
    }

    /// What holds when the job is done.
    pub(crate) fn check_end(&self, ending: &Ending) {
        let mode = self.setting.policy.mode.of_checkpoints();
        let wrong = wrong_at_end(mode, &self.visible());
        assert_eq!(wrong, None, "{:?}", self.setting);
        for dir in OUTPUTS {
            let hidden = self.output().join(dir).join(".flowdsl");
            assert_eq!(files_in(&hidden.join("staging")), Vec::<PathBuf>::new());
            assert_eq!(files_in(&hidden), [hidden.join("owner")]);
        }
        match &ending.outcome {
            // The life before may have died between its last checkpoint and its cleanup; this one has committed, and
            // cleaned up.
            Outcome::Finished | Outcome::AlreadyFinished => {}
            other => panic!("the job is not done: {other:?}"),
        }
        if self.has_failed {
            // It may have been the last cleanup, which is then left to a next run.
            return;
        }
        self.check_nothing_is_left_over();
    }

    /// What is stored is what the last checkpoints name.
    fn check_nothing_is_left_over(&self) {
        let storage = self.storage();
        let log = read_log(&*storage).expect("the log can be listed");
        let manifests = || log.manifests_newest_first().map(|(_, manifest)| manifest);
        assert!(manifests().next().is_some_and(|newest| newest.finished));
        assert!(manifests().count() <= self.setting.policy.retained);
        let named: BTreeSet<&str> = manifests().flat_map(objects_of).collect();
        let stored = list_state(&*storage).expect("objects can be listed");
        let stored: BTreeSet<&str> = stored.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(stored, named, "objects that no checkpoint names");
        assert_eq!(
            files_in(&self.checkpoints().join("tmp")),
            Vec::<PathBuf>::new()
        );
        // Databases of lives that were killed are removed by those behind them.
        for dir in [
            self.checkpoints().join("work"),
            self.temporary().join(DATABASES),
        ] {
            let left = fs::read_dir(dir).into_iter().flatten().count();
            assert_eq!(left, 0, "databases are left");
        }
    }
}

/// The files in a directory, sorted; none if it is not there.
fn files_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    files.sort();
    files
}
