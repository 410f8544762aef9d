//! Tells the program which commit, features and target it is built from, for `trailmill --version`.
//!
//! The commit is TRAILMILL_COMMIT where it is set (in the image, which is built without `.git`), else
//! what git says, else `unknown`: a source archive builds as well. Changes that are not committed
//! are not told.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    // Without any of these cargo would run this at every change of any file.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=TRAILMILL_COMMIT");

    let given = env::var("TRAILMILL_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit_of_git).unwrap_or_else(|| "unknown".to_owned());
    let short = commit.get(..7).unwrap_or(&commit);
    let features = env::var("CARGO_CFG_FEATURE").ok().filter(|names| !names.is_empty());
    println!(
        "cargo::rustc-env=TRAILMILL_BUILD=(commit {short}, features: {}, {})",
        features.as_deref().unwrap_or("none"),
        env::var("TARGET").as_deref().unwrap_or("unknown"),
    );
}

fn commit_of_git() -> Option<String> {
    // Unpacked inside somebody else's repository, git would answer with their commit.
    if !Path::new(".git").exists() {
        return None;
    }
    // The log of HEAD grows when HEAD moves and only then, and a worktree has its own; without logs,
    // the index changes with every commit, and oftener. A file that does not exist must not be named:
    // cargo would build again every time.
    let paths = git(&["rev-parse", "--git-path", "logs/HEAD", "--git-path", "index"])?;
    if let Some(path) = paths.lines().find(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    git(&["rev-parse", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let done = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| text.trim().to_owned())
}
