//! The simulation: the real recovery, coordinator, storage protocol and state code, on a clock that is
//! moved by hand, on storage and output that fail, with processes that die, sleep and overlap.
//!
//! One seed is one world on one thread; the same seed is the same run to the last step. Whatever the
//! seed, invariants 3, 4, 5, 6 and 12 of `ARCHITECTURE.md` hold after each step, the job ends, and every
//! record is in the output once.
//!
//! | variable | what |
//! |---|---|
//! | `FLOWDSL_SIM_SEEDS` | the number of seeds, 10,000 by default |
//! | `FLOWDSL_SEED` | the one seed to run |
//! | `FLOWDSL_SIM_TRACE` | the number of last steps that are printed of a seed that fails, 120 by default |

mod answers;
mod board;
mod build;
mod contents;
mod event;
mod fate;
mod fiber;
mod inbox;
mod kernel;
mod keyed;
mod machine;
mod mortal;
mod operations;
mod oracle;
mod output;
mod process;
mod request;
mod restores;
mod rng;
mod scenario;
mod seeds;
mod sink;
mod source;
mod storage;
mod store;
mod stories;
mod subtask;
mod world;
