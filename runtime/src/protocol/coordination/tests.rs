mod failures;
mod order;
mod play;
mod savepoints;
