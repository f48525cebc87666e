//! Random expressions, mostly well-typed, of bounded depth.

use super::Choices;

const SELECTORS: [&str; 10] = [
    "a_total",
    "b",
    "h",
    "h",
    "a_total{instance=\"x\"}",
    "b{job!=\"p\"}",
    "{__name__=~\"a.*|h\"}",
    "{\"b\",le=~\"1|2\"}",
    "nothing",
    "h{instance=~\"y|z\"}",
];
const RANGES: [&str; 8] = ["1m", "5m", "30s", "10m", "1ms", "(1m*2)", "max_of(30s,2m)", "5m%3m"];
const WINDOWED: [&str; 26] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "changes",
    "resets",
    "deriv",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "first_over_time",
    "present_over_time",
    "absent_over_time",
    "mad_over_time",
    "integral",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
    "count_over_time",
];
const SIMPLE: [&str; 26] = [
    "abs",
    "ceil",
    "exp",
    "ln",
    "sgn",
    "sqrt",
    "timestamp",
    "start_timestamp",
    "absent",
    "hour",
    "days_in_month",
    "year",
    "round",
    "histogram_count",
    "histogram_sum",
    "histogram_avg",
    "histogram_stddev",
    "histogram_stdvar",
    "sort",
    "sort_desc",
    "info",
    "acosh",
    "deg",
    "-",
    "+",
    "histogram_count",
];
const AGGREGATIONS: [&str; 9] = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "sum"];
const LABELS: [&str; 7] = ["", "instance", "job", "le", "instance, job", "__name__", "nothing, le"];
const OPERATORS: [&str; 15] =
    ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "</", ">/"];
const NUMBERS: [&str; 10] = ["1", "0", "2", "0.5", "-1", "NaN", "Inf", "1e300", "time()", "pi()"];

/// An expression of at most this depth.
#[must_use]
pub fn expression(c: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 || c.is_over() {
        return format!("{}{}", c.pick(&SELECTORS), modifiers(c));
    }
    let below = depth - 1;
    match c.below(18) {
        0 => format!("{}{}{}", c.pick(&SELECTORS), c.pick(&["", " smoothed"]), modifiers(c)),
        1..=3 => format!("{}({})", c.pick(&WINDOWED), matrix(c, depth)),
        4 => {
            let function = c.pick(&["rate", "increase", "delta", "changes", "resets"]);
            let range = c.pick(&RANGES);
            let extension = c.pick(&["anchored", "smoothed"]);
            format!("{function}({}[{range}] {extension}{})", c.pick(&SELECTORS), modifiers(c))
        }
        5 => match c.below(3) {
            0 => format!("quantile_over_time({}, {})", scalar(c, below), matrix(c, depth)),
            1 => format!("predict_linear({}, {})", matrix(c, depth), scalar(c, below)),
            _ => format!("double_exponential_smoothing({}, 0.3, {})", matrix(c, depth), scalar(c, 0)),
        },
        6..=7 => {
            let (op, grouping) = (c.pick(&AGGREGATIONS), grouping(c));
            format!("{op}{grouping} ({})", expression(c, below))
        }
        8 => {
            let op = c.pick(&["topk", "bottomk", "quantile", "limitk", "limit_ratio"]);
            let (grouping, k) = (grouping(c), scalar(c, below));
            format!("{op}{grouping} ({k}, {})", expression(c, below))
        }
        9 => format!("count_values{} (\"v\", {})", grouping(c), expression(c, below)),
        10 => format!("{}({})", c.pick(&SIMPLE), expression(c, below)),
        11 => {
            let function = c.pick(&["clamp_min", "clamp_max", "round"]);
            format!("{function}({}, {})", expression(c, below), scalar(c, below))
        }
        12 => match c.below(3) {
            0 => format!("histogram_quantile({}, {})", scalar(c, below), expression(c, below)),
            1 => format!("histogram_fraction({}, 2, {})", scalar(c, 0), expression(c, below)),
            _ => format!("histogram_quantiles({}, \"q\", 0.5, 0.9)", expression(c, below)),
        },
        13 => match c.below(3) {
            0 => {
                format!("label_replace({}, \"to\", \"$1-x\", \"instance\", \"(.).*\")", expression(c, below))
            }
            1 => format!("label_join({}, \"job\", \"-\", \"job\", \"le\")", expression(c, below)),
            _ => format!("sort_by_label({}, \"le\", \"job\")", expression(c, below)),
        },
        14 => {
            let (op, on) = (c.pick(&["and", "or", "unless"]), matching(c));
            format!("({} {op}{on} {})", expression(c, below), expression(c, below))
        }
        15 => format!("({} {} {})", expression(c, below), c.pick(&OPERATORS), scalar(c, below)),
        16 if c.chance(3) => format!("vector({})", scalar(c, below)),
        _ => {
            let (left, op, on) = (expression(c, below), c.pick(&OPERATORS), matching(c));
            let bool_ =
                if "=!<>".contains(&op[..1]) && !op.contains('/') { c.pick(&["", " bool"]) } else { "" };
            let group = match on.is_empty() {
                true => "",
                false => c.pick(&["", "", " group_left()", " group_right(le)"]),
            };
            let fill = c.pick(&["", "", "", " fill(0)", " fill_left(NaN)", " fill_right(1) fill_left(2)"]);
            let right = if c.chance(4) { left.clone() } else { expression(c, below) };
            format!("({left} {op}{bool_}{on}{group}{fill} {right})")
        }
    }
}

fn scalar(c: &mut Choices<'_>, depth: usize) -> String {
    if depth == 0 {
        return c.pick(&NUMBERS).to_owned();
    }
    match c.below(5) {
        0 => format!("scalar({})", expression(c, depth - 1)),
        1 => format!("({} {} {})", scalar(c, depth - 1), c.pick(&OPERATORS[..7]), scalar(c, depth - 1)),
        _ => c.pick(&NUMBERS).to_owned(),
    }
}

fn matrix(c: &mut Choices<'_>, depth: usize) -> String {
    let range = c.pick(&RANGES);
    if depth > 1 && c.chance(3) {
        let step = c.pick(&["", "15s", "40s", "2m"]);
        return format!("({})[{range}:{step}]{}", expression(c, depth - 2), modifiers(c));
    }
    format!("{}[{range}]{}", c.pick(&SELECTORS), modifiers(c))
}

fn modifiers(c: &mut Choices<'_>) -> String {
    let offset = if c.chance(2) { c.pick(&[" offset 1m", " offset -30s", " offset 7s"]) } else { "" };
    let at = if c.chance(1) { c.pick(&[" @ 300", " @ start()", " @ end()"]) } else { "" };
    format!("{offset}{at}")
}

fn grouping(c: &mut Choices<'_>) -> String {
    match c.below(3) {
        0 => String::new(),
        1 => format!(" by ({})", c.pick(&LABELS)),
        _ => format!(" without ({})", c.pick(&LABELS)),
    }
}

fn matching(c: &mut Choices<'_>) -> String {
    match c.below(3) {
        0 => String::new(),
        1 => format!(" on ({})", c.pick(&LABELS)),
        _ => format!(" ignoring ({})", c.pick(&LABELS)),
    }
}
