//! The limits of the ECS task that we run in, which a container cannot always see for itself.
//!
//! On Fargate a container may see more processors than its task has, and AWS Batch on EC2 gives shares
//! of a machine and no quota. The agent says what the task has been given, at the address in
//! `ECS_CONTAINER_METADATA_URI_V4` (task metadata endpoint version 4: `Limits` of the task in vCPUs and
//! MiB, of the container in units of 1/1024 vCPU and MiB).

use serde::Deserialize;
use std::time::Duration;

/// The endpoint is on this machine.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The limits of the task or of this container; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskLimits {
    /// vCPUs.
    pub vcpus: Option<f64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    limits: Limits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limits {
    #[serde(rename = "CPU")]
    cpu: Option<f64>,
    #[serde(rename = "Memory")]
    memory: Option<u64>,
}

/// Asks for the limits; returns `None` outside of ECS or without an answer.
pub async fn task_limits() -> Option<TaskLimits> {
    let address = std::env::var("ECS_CONTAINER_METADATA_URI_V4").ok()?;
    limits_at(&address).await
}

async fn limits_at(address: &str) -> Option<TaskLimits> {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().ok()?;
    let get = async |path: &str| {
        let answer = client.get(format!("{address}{path}")).send().await.ok()?;
        let bytes = answer.error_for_status().ok()?.bytes().await.ok()?;
        serde_json::from_slice::<Metadata>(&bytes).ok()
    };
    let (container, task) = (get("").await, get("/task").await);
    if container.is_none() && task.is_none() {
        return None;
    }
    let (container, task) = (container.unwrap_or_default().limits, task.unwrap_or_default().limits);
    Some(limits_of(&container, &task))
}

/// Returns the smaller of both limits. A CPU limit below 2 units is the agent's default, not a limit.
fn limits_of(container: &Limits, task: &Limits) -> TaskLimits {
    let container_vcpus = container.cpu.filter(|units| *units > 2.0).map(|units| units / 1024.0);
    let task_vcpus = task.cpu.filter(|vcpus| *vcpus > 0.0);
    let smaller = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::min);
    let memory = container.memory.into_iter().chain(task.memory).filter(|mib| *mib > 0).min();
    TaskLimits { vcpus: smaller(container_vcpus, task_vcpus), memory: memory.map(|mib| mib << 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_what_container_and_task_say_counts() {
        let limits = |text: &str| serde_json::from_str::<Metadata>(text).unwrap().limits;
        // As the guide to the endpoint shows them, and as Batch on EC2 has them.
        let container = limits(r#"{"DockerId":"x","Limits":{"CPU":512,"Memory":2048}}"#);
        let task = limits(r#"{"Cluster":"x","Limits":{"CPU":0.25,"Memory":512}}"#);
        let (none, default) = (limits("{}"), limits(r#"{"Limits":{"CPU":2,"Memory":0}}"#));

        let both = limits_of(&container, &task);
        assert_eq!(both, TaskLimits { vcpus: Some(0.25), memory: Some(512 << 20) });
        let one = limits_of(&container, &none);
        assert_eq!(one, TaskLimits { vcpus: Some(0.5), memory: Some(2048 << 20) });
        assert_eq!(limits_of(&default, &none), TaskLimits::default());
    }

    #[tokio::test]
    async fn nobody_there_is_no_limit() {
        assert_eq!(limits_at("http://127.0.0.1:9/v4/x").await, None);
    }
}
