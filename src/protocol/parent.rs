//! Notices the death of the program that started us.
//!
//! A killed CLI must not leave a provider in the middle of an installation. A pidfd tells at once;
//! where there is none (other systems, old kernels), a changed parent id tells within a second.
//! `PR_SET_PDEATHSIG` would fire when the parent's *thread* ends, so it is not used.
use std::time::Duration;

/// Returns when the parent is gone. `parent` is its id as read first thing in `main`.
pub async fn gone(parent: Option<rustix::process::Pid>) {
    let Some(parent) = parent else { return };
    let asked_often = async {
        while rustix::process::getppid() == Some(parent) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    #[cfg(target_os = "linux")]
    // The function is deprecated because a type may lie about its descriptor. OwnedFd does not, and
    // the new name is an unsafe fn.
    #[allow(deprecated)]
    if let Ok(fd) = rustix::process::pidfd_open(parent, rustix::process::PidfdFlags::empty())
        && let Ok(fd) = tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)
    {
        tokio::select! { _ = fd.readable() => {}, () = asked_often => {} }
        return;
    }
    asked_often.await;
}
