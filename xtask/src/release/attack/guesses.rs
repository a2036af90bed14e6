//! Wrong passwords at a high rate, while the administrator works.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::super::people::{TOKENS, login};
use super::super::report::Table;
use super::Attack;
use super::helper::{Answers, Helper};
use crate::{say, stop};

/// How long each attack goes on.
const ATTACK: Duration = Duration::from_secs(20);
/// Requests a second of the administrator's session.
const SESSION: f64 = 5.0;
/// Fresh logins of the administrator a second.
const LOGINS: f64 = 1.0;
/// Loopback addresses that guesses come from.
const OTHERS: std::ops::RangeInclusive<u8> = 2..=9;

/// Who guesses at whom.
struct Guesses {
    name: &'static str,
    /// From the administrator's own address.
    from_here: bool,
    /// Names that are tried, in turn; `{}` becomes a number that rises.
    names: &'static [&'static str],
    /// Whether fresh logins must all work. Who guesses at a user from that user's own address may slow the user down.
    logins_count: bool,
}

const ATTACKS: &[Guesses] = &[
    Guesses { name: "no attack", from_here: true, names: &[], logins_count: true },
    Guesses {
        name: "at admin and invented names, from elsewhere",
        from_here: false,
        names: &["admin", "guest-{}"],
        logins_count: true,
    },
    Guesses { name: "at admin, from elsewhere", from_here: false, names: &["admin"], logins_count: true },
    Guesses {
        name: "at invented names, from the same address",
        from_here: true,
        names: &["guest-{}"],
        logins_count: true,
    },
    Guesses { name: "at admin, from the same address", from_here: true, names: &["admin"], logins_count: false },
];

/// Every attack, one after another.
pub(super) fn run(attack: &Attack<'_>, rate: u32, table: &mut Table) -> Result<()> {
    for guesses in ATTACKS {
        say::step(&format!("{rate} guesses a second {}", guesses.name));
        let attackers = if guesses.names.is_empty() { None } else { Some(start(attack, guesses, rate)?) };
        let session = Helper::start(attack.helper(), None, &attack.admin_looks(SESSION))?;
        let fresh = Helper::start(attack.helper(), None, &attack.admin_logins(LOGINS))?;
        stop::poll(ATTACK, Duration::from_millis(100), || Ok(None::<()>))?;
        let (session, fresh) = (session.finish()?, fresh.finish()?);
        let name = guesses.name;
        if let Some(attackers) = attackers {
            let seen = Answers::read(&attackers.finish()?, "201")?;
            let rate = seen.asked / ATTACK.as_secs();
            table.check(
                format!("guesses {name}"),
                format!("{rate} a second: {}", seen.statuses),
                "none right",
                seen.good == 0,
            );
        }
        let session = Answers::read(&session, "200")?;
        table.check(format!("{name}: session of admin"), &session, "all answered", session.are_good());
        let fresh = Answers::read(&fresh, "201")?;
        if guesses.logins_count {
            table.check(format!("{name}: fresh logins of admin"), &fresh, "all answered", fresh.are_good());
        } else {
            table.show(format!("{name}: fresh logins of admin"), &fresh);
        }
        // What was counted for one attack must not be taken for the next one's.
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn start(attack: &Attack<'_>, guesses: &Guesses, rate: u32) -> Result<Helper> {
    let mut arguments = attack.paced(TOKENS, f64::from(rate));
    let mut add = |name: &str, value: &str| arguments.extend([format!("--{name}"), value.to_owned()]);
    add("method", "POST");
    for name in guesses.names {
        add("body", &login(name, "a wrong password", None).to_string());
    }
    let others = if guesses.from_here { 1..=1 } else { OTHERS };
    others.for_each(|last| add("from", &format!("127.0.0.{last}")));
    arguments.push("--reuse".to_owned());
    Helper::start(attack.helper(), None, &arguments)
}
