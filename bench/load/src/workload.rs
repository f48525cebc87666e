//! The series of the workload: instances that look like node exporters, 20 % constant, 40 % integer
//! counters, 10 % counters of centiseconds, 20 % gauges in multiples of a page, 10 % gauges with
//! three decimals.

use std::fmt::Write;

/// What a series' values look like.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Constant,
    Counter,
    Centiseconds,
    Pages,
    Decimals,
}

/// The shape of series `i` of an instance.
pub(crate) fn shape(i: usize) -> Shape {
    match i % 10 {
        0 | 1 => Shape::Constant,
        2..=5 => Shape::Counter,
        6 => Shape::Centiseconds,
        7 | 8 => Shape::Pages,
        _ => Shape::Decimals,
    }
}

/// A cheap mix of bits (splitmix64), so that values are the same in every run.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The body that target `target` serves as its `step`-th. With a `life` a series is part of so many bodies and then
/// has a successor; every body replaces the same share.
pub(crate) fn body(target: usize, series: usize, step: usize, life: Option<usize>) -> String {
    let mut out = String::with_capacity(series * 96);
    for i in 0..series {
        let (metric, device) = (i / 8, i % 8);
        let name = format!("bench_metric_{metric:03}");
        if device == 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP {name} A metric of the bench.\n# TYPE {name} untyped");
        }
        let id = (target * series + i) as u64;
        let noise = mix(id.wrapping_mul(1000).wrapping_add(step as u64));
        let base = mix(id) % 1_000_000_000;
        let value = match shape(i) {
            Shape::Constant => (base % 100_000).to_string(),
            Shape::Counter => (base + step as u64 * (100 + id % 900) + noise % 100).to_string(),
            Shape::Centiseconds => {
                let v = base + step as u64 * 100 + noise % 60;
                format!("{}.{:02}", v / 100, v % 100)
            }
            Shape::Pages => ((base % 4_000_000 + noise % 5000) * 4096).to_string(),
            Shape::Decimals => format!("{}.{:03}", base % 100, noise % 1000),
        };
        let _ = write!(out, "{name}{{cpu=\"{}\",device=\"nvme{device}n1\",mode=\"read\"", metric % 16);
        if let Some(life) = life {
            let _ = write!(out, ",pod=\"bench-{}\"", (step + i % life) / life);
        }
        let _ = writeln!(out, "}} {value}");
    }
    out
}

/// Series of an instance.
const INSTANCE_SERIES: usize = 1000;

/// How the series are called.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    /// As `narthex tsdb bench` and the benches of the storage have them.
    Storage,
    /// As the benches of queries ask for them: `m_000` to `m_124` by instance, device and mode.
    Query,
}

impl std::str::FromStr for Names {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "storage" => Ok(Self::Storage),
            "query" => Ok(Self::Query),
            _ => Err(format!("{word:?} is neither `storage` nor `query`")),
        }
    }
}

const MODES: [&str; 4] = ["idle", "iowait", "system", "user"];

/// The labels of series `id`, sorted by name.
pub(crate) fn series_labels(names: Names, id: usize) -> Vec<(&'static str, String)> {
    let (instance, series) = (id / INSTANCE_SERIES, id % INSTANCE_SERIES);
    let (metric, device) = (series / 8, series % 8);
    let device_name = ("device", format!("nvme{device}n1"));
    let instance_name = ("instance", format!("node-{instance:03}"));
    let job = ("job", "node".to_owned());
    match names {
        Names::Storage => vec![
            ("__name__", format!("bench_metric_{metric:03}")),
            ("cpu", (metric % 16).to_string()),
            device_name,
            instance_name,
            job,
            ("mode", "read".to_owned()),
        ],
        Names::Query => vec![
            ("__name__", format!("m_{metric:03}")),
            device_name,
            instance_name,
            job,
            ("mode", MODES[device % MODES.len()].to_owned()),
        ],
    }
}

/// The value of series `id` at `step`.
pub(crate) fn value(id: usize, step: usize) -> f64 {
    let noise = mix((id as u64).wrapping_mul(1_000_003).wrapping_add(step as u64));
    let base = mix(id as u64) % 1_000_000_000;
    match shape(id) {
        Shape::Constant => (base % 100_000) as f64,
        Shape::Counter => (base + step as u64 * (100 + id as u64 % 900) + noise % 100) as f64,
        Shape::Centiseconds => (base + step as u64 * 100 + noise % 60) as f64 / 100.0,
        Shape::Pages => ((base % 4_000_000 + noise % 5000) * 4096) as f64,
        Shape::Decimals => (base % 100 * 1000 + noise % 1000) as f64 / 1000.0,
    }
}

/// Prints `count` label sets as `promtool tsdb bench write` reads them.
pub(crate) fn print_series(count: usize) {
    use std::io::Write as _;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for i in 0..count {
        let (instance, series) = (i / 1000, i % 1000);
        let (metric, device) = (series / 8, series % 8);
        let line = format!(
            "{{\"__name__\":\"bench_metric_{metric:03}\",\"cpu\":\"{}\",\"device\":\"nvme{device}n1\",\"instance\":\"node-{instance:03}\",\"job\":\"node\",\"mode\":\"read\"}}",
            metric % 16
        );
        // A closed pipe ends the program by itself.
        let _ = writeln!(out, "{line}");
    }
}
