//! Commands about the server.

use super::{Command, LOADING, NO_SCRIPT, command, wrong_arity};
use crate::redis::{
    execution::Execution,
    reply::{Bytes, Outcome, Reply},
};

pub(super) const COMMANDS: &[Command] = &[
    command("PING", -1, 0, ping),
    command("ECHO", 2, 0, |_, args| Ok(Reply::bulk(&args[0]))),
    command("TIME", 1, LOADING, time),
    command("INFO", -1, LOADING, info),
    command("ROLE", 1, NO_SCRIPT | LOADING, role),
];

fn ping(_: &mut Execution, args: &[Bytes]) -> Outcome {
    match args {
        [] => Ok(Reply::Status("PONG".to_owned())),
        [message] => Ok(Reply::bulk(message)),
        _ => wrong_arity("ping"),
    }
}

fn time(call: &mut Execution, _: &[Bytes]) -> Outcome {
    let (seconds, micros) = (call.now.as_secs(), call.now.subsec_micros());
    Ok(Reply::bulks([seconds.to_string(), micros.to_string()]))
}

/// The sections that identify a server, and what its operator should have set.
fn info(call: &mut Execution, args: &[Bytes]) -> Outcome {
    let identity = &call.identity;
    let role = if call.identity.is_replica { "slave" } else { "master" };
    let sections = [
        (
            "server",
            format!("redis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{}\r\n", identity.run_id),
        ),
        ("memory", "maxmemory_policy:noeviction\r\n".to_owned()),
        ("persistence", format!("loading:{}\r\naof_enabled:1\r\n", u8::from(call.limits.loading))),
        (
            "replication",
            format!(
                "role:{role}\r\nconnected_slaves:{}\r\nmaster_replid:{}\r\nmaster_replid2:{}\r\n\
                 master_repl_offset:{}\r\n",
                identity.replicas, identity.replid, identity.replid2, call.offset
            ),
        ),
    ];
    let wanted = |name: &str| {
        args.is_empty()
            || args.iter().any(|section| {
                [name, "all", "default", "everything"]
                    .iter()
                    .any(|word| section.eq_ignore_ascii_case(word.as_bytes()))
            })
    };
    let chosen: Vec<_> = sections
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, lines)| format!("# {}{}\r\n{lines}", name[..1].to_uppercase(), &name[1..]))
        .collect();
    Ok(Reply::bulk(chosen.join("\r\n")))
}

fn role(call: &mut Execution, _: &[Bytes]) -> Outcome {
    let offset = i64::try_from(call.offset).unwrap_or(i64::MAX);
    Ok(Reply::Array(if call.identity.is_replica {
        let link = [Reply::bulk("simulated"), Reply::Int(6379), Reply::bulk("connected")];
        [Reply::bulk("slave")].into_iter().chain(link).chain([Reply::Int(offset)]).collect()
    } else {
        vec![Reply::bulk("master"), Reply::Int(offset), Reply::Array(Vec::new())]
    }))
}
