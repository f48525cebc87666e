//! Names of metrics: from OTLP's `http.server.duration` in `s` to Prometheus' `http_server_duration_seconds`.
//!
//! Reference: github.com/prometheus/otlptranslator v1.0.0, `metric_namer.go`; the rules are those of OpenTelemetry's
//! "Prometheus and OpenMetrics Compatibility".

use model::float::go_quoted;

use super::unit::{clean, suffixes};

/// What of a metric's kind its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// A gauge: a unit of 1 makes it a ratio.
    Gauge,
    /// A sum that only rises: its name ends in `_total`.
    Counter,
    /// Anything else.
    Other,
}

/// How names are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetricNamer {
    /// Whether unit and kind are appended.
    pub with_suffixes: bool,
    /// Whether names are left as they are otherwise.
    pub utf8: bool,
}

impl MetricNamer {
    /// The name of a metric.
    ///
    /// # Errors
    /// Where nothing, or nothing but underscores, is left of it.
    pub(super) fn build(self, name: &str, unit: &str, kind: NameKind) -> Result<String, String> {
        if self.utf8 {
            return Ok(if self.with_suffixes { suffixed(name, unit, kind) } else { name.to_owned() });
        }
        let built = if self.with_suffixes {
            normalized(name, unit, kind)
        } else {
            guard_digit(join(name.split(|c: char| !is_name_char(c) && c != '_')))
        };
        if built.is_empty() {
            return Err(format!(
                "normalization for metric {} resulted in empty name",
                go_quoted(name.as_bytes())
            ));
        }
        if built != name && built.bytes().all(|b| b == b'_') {
            return Err(format!(
                "normalization for metric {} resulted in invalid name {}",
                go_quoted(name.as_bytes()),
                go_quoted(built.as_bytes())
            ));
        }
        Ok(built)
    }
}

/// What names consist of in the old scheme, but for underscores.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    for word in words.filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push('_');
        }
        out.push_str(word);
    }
    out
}

fn guard_digit(mut name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The words of a name, then those of its unit that it does not have, then what its kind adds.
fn normalized(name: &str, unit: &str, kind: NameKind) -> String {
    let mut words: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|w| !w.is_empty()).collect();
    let (main, per) = suffixes(unit);
    let (main, per) = (clean(&main), clean(&per));
    let mut main = if words.contains(&main.as_str()) { "" } else { &main };
    let mut per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    if words.contains(&per) {
        per = "";
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    words.extend([main, per].into_iter().filter(|w| !w.is_empty()));
    let last = match kind {
        NameKind::Counter => "total",
        NameKind::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    if !last.is_empty() {
        words.retain(|w| *w != last);
        words.push(last);
    }
    guard_digit(words.join("_"))
}

/// A name that keeps its characters, and unit and kind at its end.
fn suffixed(name: &str, unit: &str, kind: NameKind) -> String {
    let mut name = name.to_owned();
    let mut ends = Vec::new();
    if unit == "1" && kind == NameKind::Gauge {
        ends.push("ratio");
    }
    if kind == NameKind::Counter {
        ends.push("total");
    }
    let (main, per) = suffixes(unit);
    if !per.is_empty() {
        ends.push(&per);
    }
    ends.iter().for_each(|end| trim_end(&mut name, end));
    if !main.is_empty() && !name.ends_with(&main) {
        name.push('_');
        name.push_str(&main);
    }
    for end in ends.iter().rev() {
        name.push('_');
        name.push_str(end);
    }
    name
}

/// Takes an ending away, and the character before it, whatever it is.
fn trim_end(name: &mut String, end: &str) {
    if name.ends_with(end) && name.len() > end.len() + 1 {
        name.truncate(name.len() - end.len());
        name.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        use NameKind::{Counter, Gauge, Other};
        let all = [
            // name, unit, kind, escaped with suffixes, escaped without, UTF-8 with suffixes
            (
                "http.server.duration",
                "s",
                Other,
                "http_server_duration_seconds",
                "http_server_duration",
                "http.server.duration_seconds",
            ),
            ("requests", "1", Counter, "requests_total", "requests", "requests_total"),
            ("requests.total", "", Counter, "requests_total", "requests_total", "requests_total"),
            ("load", "1", Gauge, "load_ratio", "load", "load_ratio"),
            ("hit.ratio.x", "1", Gauge, "hit_x_ratio", "hit_ratio_x", "hit.ratio.x_ratio"),
            ("io", "By/s", Gauge, "io_bytes_per_second", "io", "io_bytes_per_second"),
            ("io.bytes", "By", Counter, "io_bytes_total", "io_bytes", "io.bytes_total"),
            ("2xx", "{req}", Counter, "_2xx_total", "_2xx", "2xx_total"),
            ("a__b", "", Other, "a_b", "a__b", "a__b"),
            ("x", "a b/c d", Gauge, "x_a_b_per_c_d", "x", "x_a b_per_c d"),
            ("speed", "m/s", Gauge, "speed_meters_per_second", "speed", "speed_meters_per_second"),
        ];
        for (name, unit, kind, escaped, plain, utf8) in all {
            let build =
                |with_suffixes, utf8| MetricNamer { with_suffixes, utf8 }.build(name, unit, kind).unwrap();
            assert_eq!(build(true, false), escaped);
            assert_eq!(build(false, false), plain);
            assert_eq!(build(true, true), utf8);
            assert_eq!(build(false, true), name);
        }
        let escape = |name, with_suffixes| MetricNamer { with_suffixes, utf8: false }.build(name, "", Other);
        assert_eq!(escape("é", true).unwrap_err(), "normalization for metric \"é\" resulted in empty name");
        assert_eq!(
            escape(".__.", false).unwrap_err(),
            "normalization for metric \".__.\" resulted in invalid name \"__\""
        );
        assert_eq!(escape("__", false).unwrap(), "__");
    }
}
