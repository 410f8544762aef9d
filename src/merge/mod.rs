//! Data files of a lake to fewer data files with the same rows: leaves in, leaves out.
//!
//! No row is ever made: of each leaf, the pages of all inputs are decoded to runs of levels and values, put in
//! the common order, and encoded by the room that writes Parquet. Most leaves have few values, and most
//! texts are in dictionaries: what is done follows the values and the dictionaries, not the rows. A member that an input has not gets the
//! levels of the struct it would be in. One row group is made at a time, so that memory depends on the
//! inputs' compressed bytes and on a row group, and not on how many rows there are.
//!
//! [`Sum`] proves it: an order-free sum over all rows of both sides, read back from the bytes.

mod gather;
mod input;
mod joined;
mod order;
mod page;
mod runs;
mod share;
mod side;
mod sum;
#[cfg(test)]
mod tests;
mod union;

pub use input::Input;
pub use joined::{Joined, join};
pub use order::Order;
pub use sum::{Sum, sum_of, sums_of};
pub use union::Union;
