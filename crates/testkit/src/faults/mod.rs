//! Disks that fail, fill up, tear what is written and lose power: [`FaultFs`] counts every step that
//! changes the disk and fails or goes down at a chosen one; what is left then is decided by a
//! [`Crash`] and a seed. [`SmallDisk`] has room for so many bytes. Knows no database.

mod disk;
mod fault_fs;
mod small_disk;

pub use fault_fs::{Crash, Fault, FaultFs, Outcome};
pub use small_disk::SmallDisk;
