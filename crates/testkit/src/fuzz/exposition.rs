//! Bodies of targets: whatever they are, reading them ends, and what a scrape expects changes nothing.

use ::exposition::{ClassicConverter, Entry, Format, Parser, ParserOptions, ProtobufParser, Source};
use model::LabelsBuilder;

/// A body's first byte says how it is read.
pub fn exposition(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let options = ParserOptions {
        type_and_unit_labels: choice & 1 != 0,
        skip_created_series: choice & 2 != 0,
        ignore_native_histograms: choice & 4 != 0,
        keep_classic_histograms: choice & 8 != 0,
        convert_classic_histograms: choice & 16 != 0,
    };
    let format = if choice & 64 == 0 { Format::Text } else { Format::OpenMetrics1 };
    if choice & 32 == 0 {
        return check(body, || ProtobufParser::new(body, options));
    }
    let parser = || Parser::new(body, format, options).unwrap_or_else(|e| panic!("{e}"));
    if options.convert_classic_histograms {
        check(body, || ClassicConverter::new(parser(), options));
    } else {
        check(body, parser);
    }
}

fn check<'a, S: Source<'a>>(body: &[u8], source: impl Fn() -> S) {
    let (keys, plain) = read(source(), body.len(), &[]);
    for shift in [0, 1] {
        let expected = keys.get(shift..).unwrap_or_default();
        let (_, guessed) = read(source(), body.len(), expected);
        assert_eq!(guessed, plain, "what was expected changes what is read");
    }
}

/// The keys of a body's series, and everything that is read of it. Keys of series whose labels cannot be stored are left
/// empty, as no scrape expects them.
fn read<'a>(mut source: impl Source<'a>, len: usize, expected: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut keys, mut out) = (Vec::new(), Vec::new());
    let mut labels = LabelsBuilder::new();
    loop {
        let guess = expected.get(keys.len()).map_or(&b""[..], |key| key);
        let sample = match source.next_entry_expecting(guess) {
            Ok(None) => return (keys, out),
            Err(e) => {
                out.push(e.to_string());
                return (keys, out);
            }
            Ok(Some(Entry::Sample(s))) => format!("{:016x} {:?}", s.value.to_bits(), s.timestamp_ms),
            Ok(Some(Entry::Histogram { timestamp_ms, .. })) => format!("histogram {timestamp_ms:?}"),
            Ok(Some(other)) => {
                out.push(format!("{other:?}"));
                continue;
            }
        };
        let named = source.labels(&mut labels);
        keys.push(if named.is_ok() { source.series().to_vec() } else { Vec::new() });
        let exemplars = format!("{:?}", source.exemplars());
        let histogram = format!("{:?}", source.histogram());
        let start = source.start_timestamp_ms();
        out.push(format!("{:?} {sample} {exemplars} {start:?} {histogram}", named.map(|()| labels.build())));
        assert!(out.len() <= 4 * len + 4, "a byte yields a few entries at most");
    }
}
