//! The texts of the scripts. Each file states the script's contract; `prelude.lua` is a part of
//! every script, and `owner.lua` of every one but `admit`.

use redis::Script;

const PRELUDE: &str = include_str!("scripts/prelude.lua");
const OWNER: &str = include_str!("scripts/owner.lua");

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        /// The scripts as they are sent.
        #[derive(Debug)]
        pub struct Scripts {
            $(pub(super) $name: Script,)+
        }

        impl Scripts {
            /// The scripts after an edit of their texts: `edit` is given each one's name and text,
            /// and returns the text to use. A test so makes a script that is wrong.
            pub fn edited(edit: impl Fn(&'static str, String) -> String) -> Self {
                Self { $($name: Script::new(&edit(stringify!($name), $name())),)+ }
            }
        }

        /// Name and text of every script.
        pub fn scripts() -> Vec<(&'static str, String)> {
            vec![$((stringify!($name), $name()),)+]
        }

        $(fn $name() -> String {
            with_prelude(include_str!(concat!("scripts/", stringify!($name), ".lua")))
        })+
    };
}

scripts! {
    admit, sale, find, distrust, settle, withdraw, reassign, adopt, republish, cancel, bar, rename, configure, fence,
    note_step, stage, open,
}

impl Default for Scripts {
    fn default() -> Self {
        Self::edited(|_name, text| text)
    }
}

/// Inserts the prelude where the script says, or else behind the first line: one that begins with
/// `#!` must stay the first.
fn with_prelude(script: &str) -> String {
    const PLACE: &str = "--@prelude\n";
    if script.contains(PLACE) {
        return script.replacen(PLACE, PRELUDE, 1);
    }
    let (first_line, rest) = script.split_once('\n').unwrap_or((script, ""));
    format!("{first_line}\n{PRELUDE}{OWNER}{rest}")
}
