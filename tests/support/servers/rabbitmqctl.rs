//! What an operator of RabbitMQ does, and sees.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::rabbitmq::Rabbit;

impl Rabbit {
    /// `rabbitmqctl`, in the environment of the node.
    fn rabbitmqctl(&self) -> Command {
        let node = (self.node.command)();
        let mut control = Command::new(Path::new(node.get_program()).with_file_name("rabbitmqctl"));
        control.envs(node.get_envs().filter_map(|(name, value)| Some((name, value?))));
        control
    }

    /// Runs one of RabbitMQ's own commands for operators.
    pub(crate) fn control(&self, arguments: &[&str]) -> String {
        let ended = self.rabbitmqctl().args(arguments).output().expect("rabbitmqctl");
        let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "rabbitmqctl {arguments:?}: {out}{errors}");
        out.into_owned()
    }

    /// Runs a shell script that calls `rabbitmqctl`.
    pub(crate) fn script(&self, path: &str, variables: &[(&str, &str)]) {
        let control = self.rabbitmqctl();
        let program = PathBuf::from(control.get_program());
        let programs = program.parent().expect("a folder").display().to_string();
        let path_variable = format!("{programs}:{}", std::env::var("PATH").expect("PATH"));
        let mut script = Command::new("sh");
        script.arg(path).env("PATH", path_variable).envs(variables.iter().copied());
        script.envs(control.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = script.output().expect("sh");
        let (out, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{path}: {out}{errors}");
    }

    /// Whether the node would know a quorum queue again after a power failure. It notes new ones on disk with a
    /// delay of its own, and one that is killed before that has a queue that never answers.
    pub(crate) fn remembers(&self, queue: &str) -> bool {
        let node = format!("flashsale{}@localhost", self.node.port);
        let names = self.node.dir.path().join(format!("mnesia/{node}/quorum/{node}/names.dets"));
        let noted = std::fs::read(names).unwrap_or_default();
        // Other queues' names may go on after it.
        let ends = |rest: &[u8]| rest.first().is_none_or(|byte| *byte != b'.');
        let mut places =
            (0..noted.len()).filter_map(|place| noted.get(place..)?.strip_prefix(queue.as_bytes()));
        places.any(ends)
    }
}
