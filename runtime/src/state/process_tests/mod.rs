//! The rules of `process`.

mod against_model;
mod model;
mod restored;
mod sizes;
mod stage;
