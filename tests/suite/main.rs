//! What crosses modules, as one binary.

mod commits;
mod compaction;
mod damage;
mod databases;
mod edges;
mod failed_checkpoints;
mod flights;
mod hanging_disk;
mod inspection;
mod language;
mod overtaken;
mod panics;
mod policies;
mod power;
mod process;
mod rescale;
mod restarts;
mod runs;
mod semantics;
mod slow_sink;
mod small;
mod storages;
mod stress;
mod tidy;
mod under_load;
mod watermarks;
