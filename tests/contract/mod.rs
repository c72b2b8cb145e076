//! Files that must agree.

mod asl;
mod generated;
mod layers;
mod template;
