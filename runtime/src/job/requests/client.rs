//! The end of whoever asks.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Epoch;
use crate::protocol::{Addressee, Drain, Reply, RequestName, Wish, addressee_of};
use crate::storage::nonce::fresh_nonce;
use crate::storage::{
    CheckpointLocation, CheckpointStorage, Disk, RealDisk, TransferLimits, requests,
};

/// How long a run may take to see a request, by default.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the job that runs on a checkpoint directory, from another process or machine.
///
/// Every call waits for what it asks for. A request that no run takes is withdrawn; one that is taken is waited for
/// as long as that run holds the directory. When another run takes over, the request goes to that one.
///
/// # Examples
///
/// ```
/// use flowdsl_runtime::job::JobClient;
///
/// let nobody = JobClient::open(&"memory://nobody".into())?.stop();
/// assert!(nobody.is_err_and(|e| e.message().starts_with("no job has ever run")));
/// # Ok::<(), flowdsl_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct JobClient {
    storage: Arc<dyn CheckpointStorage>,
    patience: Duration,
    /// Between two looks.
    look: Duration,
}

impl JobClient {
    /// A client of the job that keeps its checkpoints there.
    ///
    /// # Errors
    ///
    /// As [`CheckpointLocation::open`].
    pub fn open(location: &CheckpointLocation) -> Result<Self> {
        Self::open_on(Arc::new(RealDisk), location)
    }

    /// As [`open`](Self::open), with directories on this disk.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_on(disk: Arc<dyn Disk>, location: &CheckpointLocation) -> Result<Self> {
        let look = if location.is_remote() { 1_000 } else { 100 };
        Ok(Self {
            storage: location.open_to_read(disk, &TransferLimits::default())?,
            patience: PATIENCE,
            look: Duration::from_millis(look),
        })
    }

    /// Gives a run this long to see a request. Default 30 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Stops the job with a last checkpoint, whose epoch it tells; none if it stopped without one, since it
    /// had failed and was about to begin again.
    ///
    /// # Errors
    ///
    /// `Invalid` if no run can answer, `Unavailable` if none does, or what the run says.
    pub fn stop(&self) -> Result<Option<Epoch>> {
        self.ask(&Wish::Stop)
    }

    /// Stops the job with a savepoint, whose epoch it tells. A path is one of the machine that the job runs on, and a
    /// relative one begins where this process is.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn stop_with_savepoint(
        &self,
        to: &CheckpointLocation,
        drain: Drain,
    ) -> Result<Option<Epoch>> {
        let to = to.as_request()?;
        self.ask(&Wish::StopWithSavepoint { to, drain })
    }

    /// Takes a savepoint, and tells its epoch; the job goes on.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn savepoint(&self, to: &CheckpointLocation) -> Result<Option<Epoch>> {
        let to = to.as_request()?;
        self.ask(&Wish::Savepoint { to })
    }

    /// Takes a checkpoint now, and tells its epoch when its output is visible.
    ///
    /// # Errors
    ///
    /// As [`stop`](Self::stop).
    pub fn checkpoint(&self) -> Result<Option<Epoch>> {
        self.ask(&Wish::Checkpoint)
    }

    fn ask(&self, wish: &Wish) -> Result<Option<Epoch>> {
        let id = fresh_nonce();
        let mut to = self.addressee()?;
        loop {
            let name = RequestName { to, id };
            requests::send(&*self.storage, name, wish)?;
            match self.wait_for(name)? {
                Waited::Replied(reply) => return reply.into_result(),
                Waited::TakenOver(newer) => to = newer,
            }
        }
    }

    fn wait_for(&self, name: RequestName) -> Result<Waited> {
        let waited = Clock::system();
        let mut was_taken = false;
        loop {
            thread::sleep(self.look);
            // In this order: whoever replies has taken the request before, and a newer run comes last of all.
            let newer = self.newer_than(name.to)?;
            was_taken = was_taken || !requests::is_waiting(&*self.storage, name)?;
            if let Some(reply) = requests::take_reply(&*self.storage, name)? {
                return Ok(Waited::Replied(reply));
            }
            if let Some(newer) = newer {
                requests::withdraw(&*self.storage, name)?;
                return Ok(Waited::TakenOver(newer));
            }
            if !was_taken && waited.now() >= self.patience {
                requests::withdraw(&*self.storage, name)?;
                return Err(Error::unavailable(format!(
                    "no run has answered within {:?}: is the job running on {}? The request is withdrawn",
                    self.patience,
                    self.storage.place()
                )));
            }
        }
    }

    /// The run that has taken over, if any has.
    fn newer_than(&self, to: Addressee) -> Result<Option<Addressee>> {
        match self.addressee() {
            Ok(newest) => Ok((newest != to).then_some(newest)),
            // The job has finished: its reply is there, or it never comes.
            Err(error) if error.kind() == ErrorKind::Invalid => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn addressee(&self) -> Result<Addressee> {
        let log = requests::newest_run(&*self.storage)?;
        addressee_of(&log, &self.storage.place())
    }
}

enum Waited {
    Replied(Reply),
    TakenOver(Addressee),
}
