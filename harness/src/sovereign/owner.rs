//! Who runs this, as others are to read it: in the lock's status and in the audit trail.

use stackproof_state::lock::Owner;

/// Variables of CI systems that name who started the job.
const ACTORS: [&str; 4] = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID", "CI_COMMIT_AUTHOR"];
/// Variables of CI systems that hold the job's address.
const JOBS: [&str; 3] = ["CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL"];

/// Whoever runs this process, for this command.
pub(super) fn owner(command: &str) -> Owner {
    Owner {
        who: who(),
        host: nix::unistd::gethostname().map_or_else(|_| "unknown".into(), |name| name.to_string_lossy().into_owned()),
        pid: std::process::id(),
        command: command.to_owned(),
        ci: ci(),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn who() -> String {
    let user = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    ACTORS.into_iter().find_map(variable).or_else(user).unwrap_or_else(|| "unknown".to_owned())
}

/// The page of the CI job, where this is one.
fn ci() -> Option<String> {
    let runner = crate::report::Runner::here().ci;
    Some(runner).filter(|ci| !ci.is_empty()).or_else(|| JOBS.into_iter().find_map(variable))
}
