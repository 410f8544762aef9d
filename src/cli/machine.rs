//! Default threads and memory: the limits of this machine, container or task.

use crate::aws::{TaskLimits, task_limits};
use crate::engine::{MEMORY_PER_THREAD, runtime};
use crate::units::ByteCount;
use std::path::Path;
use std::sync::OnceLock;

/// Memory not in flight: the program, its buffers, and memory that the allocator retains.
const BESIDE: u64 = 256 << 20;

/// The least memory to work with.
const LEAST_MEMORY: u64 = 64 << 20;

/// Worker threads; by default the processors that cgroup and ECS task allow.
pub(super) fn threads(given: Option<u16>) -> usize {
    given.map_or_else(
        || threads_of(std::thread::available_parallelism().ok().map(Into::into), limits().vcpus),
        usize::from,
    )
}

/// Bytes in flight; by default a fixed number for each thread, within the limits of cgroup and ECS
/// task.
pub(super) fn memory(given: Option<ByteCount>, threads: usize) -> ByteCount {
    given.unwrap_or_else(|| memory_of(threads, cgroup_memory(), limits().memory))
}

fn threads_of(processors: Option<usize>, vcpus: Option<f64>) -> usize {
    let processors = processors.unwrap_or(1);
    vcpus.map_or(processors, |vcpus| processors.min(vcpus.ceil() as usize)).max(1)
}

fn memory_of(threads: usize, cgroup: Option<u64>, task: Option<u64>) -> ByteCount {
    let wanted = MEMORY_PER_THREAD.0.saturating_mul(threads.max(2) as u64);
    let limit = cgroup.into_iter().chain(task).min();
    // A tenth is left for page tables and kernel buffers, which count towards the limit.
    let most = |limit: u64| (limit - limit / 10).saturating_sub(BESIDE).max(LEAST_MEMORY);
    ByteCount(limit.map_or(wanted, |limit| wanted.min(most(limit))))
}

/// The task's limits, requested once.
fn limits() -> TaskLimits {
    static LIMITS: OnceLock<TaskLimits> = OnceLock::new();
    *LIMITS.get_or_init(|| {
        if std::env::var_os("ECS_CONTAINER_METADATA_URI_V4").is_none() {
            return TaskLimits::default();
        }
        runtime().ok().and_then(|runtime| runtime.block_on(task_limits())).unwrap_or_default()
    })
}

/// The smallest memory limit of the cgroup and those above it.
fn cgroup_memory() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    memory_limit(&groups, Path::new("/sys/fs/cgroup"))
}

/// Looks for limits as `/proc/self/cgroup` says (cgroups(7)): `0::/path` is version 2,
/// `n:memory:/path` version 1. Inside a container the path may not be there, but its root is.
fn memory_limit(groups: &str, root: &Path) -> Option<u64> {
    let mut smallest: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut folder = root.join(path.trim_start_matches('/'));
        loop {
            let limit = std::fs::read_to_string(folder.join(file)).ok();
            let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
            smallest = smallest.into_iter().chain(limit).min();
            if folder == root || !folder.pop() {
                break;
            }
        }
    }
    smallest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn threads_are_those_of_the_task_where_a_container_sees_more() {
        assert_eq!(threads_of(Some(8), None), 8);
        assert_eq!(threads_of(Some(8), Some(2.0)), 2);
        assert_eq!(threads_of(Some(2), Some(0.25)), 1);
        assert_eq!(threads_of(Some(2), Some(16.0)), 2);
        assert_eq!(threads_of(None, None), 1);
    }

    #[test]
    fn memory_stays_below_every_limit() {
        assert_eq!(memory_of(2, None, None).0, 512_000_000);
        assert_eq!(memory_of(4, Some(u64::MAX), None).0, 1_024_000_000);
        let small = memory_of(2, Some(4 << 30), Some(512 << 20)).0;
        assert!(small + BESIDE <= 512 << 20, "{small}");
        assert_eq!(memory_of(1, Some(128 << 20), None).0, LEAST_MEMORY);
    }

    #[test]
    fn the_smallest_limit_above_the_group_counts_in_both_versions() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("a/b/memory.max", "max\n");
        put("a/memory.max", "4000\n");
        put("memory.max", "9000\n");
        put("memory/x/memory.limit_in_bytes", "3000\n");
        let limit = |groups: &str| memory_limit(groups, folder.path());

        assert_eq!(limit("0::/a/b\n"), Some(4000));
        assert_eq!(limit("0::/gone/in/here\n"), Some(9000));
        assert_eq!(limit("5:cpu:/x\n4:memory:/x\n0::/a\n"), Some(3000));
        assert_eq!(limit("nonsense"), None);
    }
}
