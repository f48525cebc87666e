//! What a run does, made from a seed.

use testkit::series::Noise;

pub(crate) const RANGE_MS: i64 = 10_000;
pub(crate) const SERIES: usize = 8;
pub(crate) const APPENDERS: usize = 3;

/// One step of a run.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// `n` samples `step_ms` apart, the first `ahead_ms` behind the newest of all.
    Append {
        appender: usize,
        series: usize,
        ahead_ms: i64,
        step_ms: i64,
        n: usize,
        v: u64,
    },
    Commit(usize),
    Rollback(usize),
    Tick,
    /// Deletes from so long ago on, of one series or of all.
    Delete {
        series: Option<usize>,
        ago_ms: i64,
        length_ms: i64,
    },
    Clean,
    Snapshot {
        with_head: bool,
    },
    /// Keeps samples so long from now on, 0 for ever.
    Retention(i64),
    /// Other settings, chosen by the number.
    Settings(usize),
    Check,
    /// Closes and opens again.
    Reopen,
}

/// The steps of a run: most of them appends, committed soon, with the time going on.
pub(crate) fn script(seed: u64, length: usize) -> Vec<Op> {
    let mut noise = Noise::new(seed);
    let mut ops = Vec::new();
    while ops.len() < length {
        let appender = noise.below(APPENDERS as u64) as usize;
        match noise.below(100) {
            0..50 => {
                for _ in 0..1 + noise.below(4) {
                    ops.push(Op::Append {
                        appender,
                        series: noise.below(SERIES as u64) as usize,
                        ahead_ms: noise.below(3500) as i64 - 1000,
                        step_ms: 1 + noise.below(40) as i64,
                        n: 1 + noise.below(80) as usize,
                        v: noise.next_bits(),
                    });
                }
                if noise.chance(75) {
                    ops.push(Op::Commit(appender));
                }
            }
            50..58 => ops.push(Op::Commit(appender)),
            58..60 => ops.push(Op::Rollback(appender)),
            60..78 => {
                // Nothing is cut while an appender from long ago is open.
                (0..APPENDERS).for_each(|a| ops.push(Op::Commit(a)));
                ops.push(Op::Tick);
            }
            78..86 => ops.push(Op::Delete {
                series: noise.chance(70).then(|| noise.below(SERIES as u64) as usize),
                ago_ms: noise.below(60_000) as i64,
                length_ms: noise.below(8000) as i64,
            }),
            86..89 => ops.push(Op::Clean),
            89..91 => ops.push(Op::Snapshot { with_head: noise.chance(50) }),
            91..93 => ops.push(Op::Retention([0, 40_000, 60_000][noise.below(3) as usize])),
            93..95 => ops.push(Op::Settings(noise.below(24) as usize)),
            95..97 => ops.push(Op::Check),
            _ => ops.push(Op::Reopen),
        }
    }
    ops
}
