//! Generated series, like those of a fleet of node exporters: the same for the same arguments.

use model::{Columns, Labels};

const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];

/// A small generator of numbers that look random (SplitMix64).
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Numbers that depend on `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number in 0…1.
    pub fn next_unit(&mut self) -> f64 {
        (self.next_bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The next whole number below `n`, which must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_bits()) * u128::from(n)) >> 64) as u64
    }

    /// Whether something happens that happens `of_hundred` times in a hundred.
    pub fn chance(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }
}

/// CPU counters of `instances` machines with `cpus` processors in eight modes each: `samples`
/// samples from `start_ms` on, `step_ms` apart, with a restart now and then.
pub fn node_cpu(
    instances: usize,
    cpus: usize,
    start_ms: i64,
    step_ms: i64,
    samples: usize,
) -> impl Iterator<Item = (Labels, Columns)> {
    (0..instances).flat_map(move |i| {
        (0..cpus).flat_map(move |cpu| {
            MODES.iter().enumerate().map(move |(m, mode)| {
                let labels = Labels::from_pairs([
                    ("__name__", "node_cpu_seconds_total"),
                    ("cpu", cpu.to_string().as_str()),
                    ("instance", format!("node-{i:03}:9100").as_str()),
                    ("job", "node"),
                    ("mode", mode),
                ]);
                let mut noise = Noise::new(((i * 1000 + cpu) * 10 + m) as u64);
                let mut columns = Columns::default();
                let mut value = 0.0;
                for s in 0..samples {
                    if noise.next_unit() < 0.0005 {
                        value = 0.0;
                    }
                    value += noise.next_unit() * step_ms as f64 / 1000.0;
                    columns.push(start_ms + step_ms * s as i64, value);
                }
                (labels, columns)
            })
        })
    })
}
