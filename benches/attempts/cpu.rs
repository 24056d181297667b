//! Processor time of process trees, from /proc.

use std::collections::HashMap;

/// `USER_HZ`, the unit of the times in /proc/PID/stat.
const TICKS_PER_SECOND: f64 = 100.0;

struct Stat {
    parent: u32,
    own_ticks: f64,
    /// Of children that have ended and were waited for.
    reaped_ticks: f64,
}

fn stat(process: &str) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may contain anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks = |first: usize| -> Option<f64> {
        let [user, system] = fields.get(first..first + 2)? else { return None };
        Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
    };
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own_ticks: ticks(11)?, reaped_ticks: ticks(13)? })
}

/// Seconds of processor time that each of these processes has used since it started, together with
/// all its descendants, running or ended. A missing process has used none.
pub(crate) fn seconds_of_trees<const N: usize>(roots: [Option<u32>; N]) -> [f64; N] {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let stats: HashMap<u32, Stat> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name.parse().ok()?, stat(&name)?))
        })
        .collect();
    let is_within = |mut process: u32, root: u32| {
        while process != root {
            match stats.get(&process) {
                Some(stat) => process = stat.parent,
                None => return false,
            }
        }
        true
    };
    let ticks = |root: u32| -> f64 {
        let tree = stats.iter().filter(|(process, _)| is_within(**process, root));
        tree.map(|(_, stat)| stat.own_ticks + stat.reaped_ticks).sum()
    };
    roots.map(|root| root.map_or(0.0, ticks) / TICKS_PER_SECOND)
}

/// Seconds that ended children of this process have used.
pub(crate) fn seconds_of_ended_children() -> f64 {
    stat("self").expect("/proc/self/stat").reaped_ticks / TICKS_PER_SECOND
}
