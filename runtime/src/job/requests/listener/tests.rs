use super::*;
use crate::ids::Generation;
use crate::storage::MemoryStorage;

const NAME: RequestName = RequestName {
    to: Addressee {
        generation: Generation(3),
        nonce: 5,
    },
    id: 7,
};

/// What is replied to `wish` when the job has ended like this; `outcome` is what came of it before.
fn replied(wish: Wish, outcome: Option<Result<Epoch>>, ended: Result<()>) -> Option<Reply> {
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let (events, _) = channel();
    let mut listening = Listening {
        parts: ListenerParts {
            storage: Arc::clone(&storage),
            own: NAME.to,
            every: LOOK,
            clock: Clock::system(),
            events,
        },
        owed: BTreeMap::new(),
    };
    let (sender, receiver) = channel();
    if let Some(outcome) = outcome {
        sender.send(outcome).expect("the receiver is there");
    }
    drop(sender);
    let outcome = receiver;
    listening.owed.insert(NAME, Owed { wish, outcome });
    listening.reply(Some(&ended));
    requests::take_reply(&*storage, NAME).expect("memory never fails")
}

/// A client was told that the job had stopped, while the run that had taken over from it went on.
#[test]
fn a_stop_of_a_run_that_fails_or_is_fenced_is_no_stop() {
    let fenced = Error::fenced("generation 4 has taken over");
    let reply = replied(Wish::Stop, None, Err(fenced.clone()));
    assert_eq!(reply, Some(Reply::refused(&fenced)));
    let stopped = replied(Wish::Stop, None, Ok(()));
    assert_eq!(stopped, Some(Reply::Done { epoch: None }));
}

/// It was asked of the run once more, which was over, and nobody ever replied.
#[test]
fn a_stop_whose_last_checkpoint_fails_with_the_run_has_a_reply() {
    let failed = || Some(Err(Error::unavailable("the checkpoint of epoch 5 failed")));
    let error = Error::unavailable("4 checkpoints failed in a row");
    let reply = replied(Wish::Stop, failed(), Err(error.clone()));
    assert_eq!(reply, Some(Reply::refused(&error)));
    let reply = replied(Wish::Checkpoint, failed(), Ok(()));
    assert!(
        matches!(&reply, Some(Reply::Refused { message, .. }) if message.contains("epoch 5")),
        "{reply:?}"
    );
}
