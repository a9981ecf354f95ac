//! Timely operators: what a flow becomes on each worker.
//!
//! The timestamp is a `Moment`. A source or a stage with state is one operator
//! together with all stateless stages behind it (`fuse`) and the end that they run into
//! (`target`): an edge, an exchange by key group, or a sink. Barriers are read off the frontier;
//! the coordinator's decisions arrive on a `board`, and answers leave on the streams of
//! `answers`.
//!
//! Timely's types do not leave this module, but for the place where workers are started.

mod alarm;
mod answers;
mod batch;
mod board;
mod build;
mod collect;
mod compactor;
pub(crate) mod companion;
mod control;
mod copying;
mod credit;
mod fate;
mod fuse;
mod graph;
mod image;
mod inbox;
mod moment;
mod offload;
mod origin;
mod pace;
mod passthrough;
mod ports;
mod rate;
mod run;
mod sink;
mod source;
mod splits;
mod stage;
mod target;

pub(crate) use collect::FromWorkers;
pub(crate) use run::{Run, Workers, blueprint, start_workers};

pub use build::{Data, EdgeOrigin, StageOrigin, union};
pub use fate::Fate;
pub use fuse::{
    EventTime, Filter, FilterMap, FlatMap, FromSource, Inspect, IntoEventTime, KeyBy, Label, Map,
    Stages, Start,
};
pub(crate) use graph::former_ids;
pub use graph::{Blueprint, Discover, Graph, Restored, WorkerContext};
pub use origin::Origin;
pub use run::Body;
pub use sink::ToSink;
pub use source::SourceOrigin;
pub use target::{Edge, Target, TargetSpec, ToEdge, ToKeyGroups};
