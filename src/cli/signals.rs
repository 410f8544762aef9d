//! SIGTERM and Ctrl-C: every command ends with 75, within the grace period of Batch, ECS and Spot.

use crate::cli::console::{clear_bar, say};
use crate::cli::exit::EXIT_TRY_LATER;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Time for in-flight units after a signal: Batch, ECS and Spot kill 30 seconds after SIGTERM
/// (docs/aws-facts.md A30).
const GRACE: Duration = Duration::from_secs(17);

/// Sets a flag on SIGTERM or Ctrl-C; a second signal, or the end of [`GRACE`], ends the process at
/// once, which is safe.
///
/// # Errors
/// `Io` when signals cannot be watched for.
pub(super) fn stop_on_signal(quiet: bool) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let (runtime, mut signals) = watch()?;
    end_after(runtime, async move {
        signals.next().await;
        flag.store(true, Ordering::Relaxed);
        say(quiet, "finishing in-flight units; press Ctrl-C again to quit now");
        if tokio::time::timeout(GRACE, signals.next()).await.is_err() {
            say(quiet, "in-flight units take too long; the next run finishes them");
        }
    });
    Ok(stop)
}

/// Ends the process on SIGTERM or Ctrl-C: for commands that commit nothing, or that continue when
/// they are run again.
///
/// # Errors
/// `Io` when signals cannot be watched for.
pub(super) fn end_on_signal() -> Result<()> {
    let (runtime, mut signals) = watch()?;
    end_after(runtime, async move {
        signals.next().await;
        say(false, "stopped by a signal before the end; run the same command again");
    });
    Ok(())
}

/// Ends the process with [`EXIT_TRY_LATER`] when `waited` is over.
#[expect(clippy::exit, reason = "somebody wants the process gone")]
fn end_after(runtime: Runtime, waited: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(move || {
        runtime.block_on(waited);
        // The lake is safe at any instant; only the terminal is left in order.
        clear_bar();
        std::process::exit(i32::from(EXIT_TRY_LATER))
    });
}

/// Starts watching: from now on a signal does not end the process by itself.
fn watch() -> Result<(Runtime, Signals)> {
    let cannot = |err| Error::io("cannot watch for signals", err);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let entered = runtime.enter();
    let signals = Signals::new().map_err(cannot)?;
    drop(entered);
    Ok((runtime, signals))
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
