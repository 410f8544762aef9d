//! Data files of a lake to fewer data files with the same rows: leaves in, leaves out.
//!
//! No row is ever made: of each leaf, the pages of all inputs are decoded to levels and values, put in
//! the common order, and encoded by the room that writes Parquet. A member that an input has not gets the
//! levels of the struct it would be in. One row group is made at a time, so that memory depends on the
//! inputs' compressed bytes and on a row group, and not on how many rows there are.
//!
//! [`Sum`] proves it: an order-free sum over all rows of both sides, read back from the bytes.

mod input;
mod joined;
mod order;
mod page;
mod sum;
mod union;

pub use input::Input;
pub use joined::{Joined, join};
pub use order::Order;
pub use sum::{Sum, sum_of};
pub use union::Union;
