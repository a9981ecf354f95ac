mod failures;
mod order;
mod play;
