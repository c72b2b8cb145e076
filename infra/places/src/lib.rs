//! Where things lie on this machine: the checkout, and the cache of what is downloaded or built once for all checkouts.
//!
//! The invariant: a program that was built in one checkout also works after that checkout was moved, and two checkouts
//! that share the cache never get each other's things, because what lies there is named by what it was made from.

mod cache;
mod checkout;
mod models;
pub mod python;
pub mod system;
pub mod tools;

pub use cache::{Entry, folder as cache};
pub use checkout::root;
pub use models::Models;
