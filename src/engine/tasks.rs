//! Tasks of the runtime that are waited for together.

use crate::error::{Error, ErrorKind, Result};
use tokio::task::JoinSet;

/// Waits for all tasks and returns what they did, in the order in which they ended; the first failure
/// is the one to tell, and stops the others.
///
/// # Errors
/// That of a task; `Bug` when one panicked.
pub(crate) async fn all<T: 'static>(mut tasks: JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        let done =
            done.map_err(|err| Error::new(ErrorKind::Bug, "a task panicked").because(err))?;
        out.push(done?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_and_a_failure_are_told() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async { Ok(1) });
        tasks.spawn(async { Ok(2) });
        let mut done = all(tasks).await.unwrap();
        done.sort_unstable();
        assert_eq!(done, [1, 2]);

        let mut tasks = JoinSet::<Result<()>>::new();
        tasks.spawn(async { Err(Error::bad_input("no")) });
        assert_eq!(all(tasks).await.unwrap_err().kind(), ErrorKind::BadInput);
        let mut tasks = JoinSet::<Result<()>>::new();
        tasks.spawn(async { panic!("as a test") });
        assert_eq!(all(tasks).await.unwrap_err().kind(), ErrorKind::Bug);
    }
}
