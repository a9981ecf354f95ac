//! The checkpoint storage as a simulated process sees it: every operation is a question to the world.

use flowdsl_runtime::Result;
use flowdsl_runtime::storage::{CheckpointStorage, Creation};

use crate::fiber::ask;
use crate::request::{Act, Answer, Request};

#[derive(Debug)]
pub(crate) struct SimStorage;

impl CheckpointStorage for SimStorage {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<Creation> {
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        match ask(Request::Act(Act::Create { name, bytes })) {
            Answer::Created(result) => result,
            _ => unreachable!("a create is answered as one"),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        done(Act::Write { name, bytes })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.to_owned();
        match ask(Request::Act(Act::Read { name })) {
            Answer::Bytes(result) => result,
            _ => unreachable!("a read is answered as one"),
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<String>> {
        let dir = dir.to_owned();
        match ask(Request::Act(Act::List { dir })) {
            Answer::Names(result) => result,
            _ => unreachable!("a list is answered as one"),
        }
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        let names = names.to_vec();
        done(Act::Delete { names })
    }

    fn place(&self) -> String {
        "the simulated storage".to_owned()
    }
}

/// Asks for an operation that answers nothing but whether it was done.
pub(crate) fn done(act: Act) -> Result<()> {
    match ask(Request::Act(act)) {
        Answer::Done(result) => result,
        _ => unreachable!("an operation without a result is answered as one"),
    }
}
