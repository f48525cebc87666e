//! Text pushed by remote write, read by the receiver itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Bench, T0, wait};
use engine::push::push_body;
use engine::remote_send::Protocol;
use engine::remote_write::RemoteWriteRequest;

const TEXT: &str = "\
# HELP c Things.
# TYPE c counter
c{a=\"1\",job=\"mine\"} 4
# TYPE h histogram
h_bucket{le=\"0.5\"} 1
h_sum 3
h_count 2
# TYPE s summary
s{quantile=\"0.99\"} 7
s_sum 70
s_count 10
";

#[test]
fn everything_arrives_by_both_protocols() {
    for (protocol, content_type) in [
        (Protocol::V1, "application/x-protobuf"),
        (Protocol::V2, "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ] {
        let b = Bench::new();
        let labels = [("job".to_owned(), "promtool".to_owned()), ("dc".to_owned(), "eu".to_owned())];
        let body = push_body(TEXT.as_bytes(), &labels, protocol, T0).unwrap();
        let request = RemoteWriteRequest {
            pieces: vec![body],
            content_type: content_type.to_owned(),
            content_encoding: "snappy".to_owned(),
            accepted: Default::default(),
        };
        let report = wait(|done| b.engine.ingest_remote_write(request, done)).unwrap();
        assert_eq!(report.refusal, None);
        let with = |name: &str| format!("{{__name__=\"{name}\", dc=\"eu\", job=\"promtool\"}}");
        let mut want = vec![
            "{__name__=\"c\", a=\"1\", dc=\"eu\", exported_job=\"mine\", job=\"promtool\"} 4".to_owned(),
            with("h_count") + " 2",
            with("h_sum") + " 3",
            with("s_count") + " 10",
            with("s_sum") + " 70",
        ];
        for (name, label, value, v) in
            [("h_bucket", "le", "0.5", 1), ("h_bucket", "le", "+Inf", 2), ("s", "quantile", "0.99", 7)]
        {
            want.push(format!(
                "{{__name__=\"{name}\", dc=\"eu\", job=\"promtool\", {label}=\"{value}\"}} {v}"
            ));
        }
        want.sort();
        assert_eq!(b.query(0, "{job=\"promtool\"}"), want);
    }
    let wrong = push_body(b"a x\n", &[], Protocol::V1, T0).unwrap_err();
    assert_eq!(wrong.message, "text format parsing error in line 1: expected float as value, got \"x\"");
}
