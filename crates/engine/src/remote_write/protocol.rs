//! What the headers of a request say: which message its body is, and how it is packed.

const MEDIA_TYPE: &str = "application/x-protobuf";
const V1_MESSAGE: &str = "prometheus.WriteRequest";
const V2_MESSAGE: &str = "io.prometheus.write.v2.Request";

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// The messages that are taken, of those that a flag names; none named: both.
///
/// # Errors
/// What the client is told with status 415.
pub(super) fn check_accepted(version: Version, accepted: &[String]) -> Result<(), String> {
    let message = match version {
        Version::V1 => V1_MESSAGE,
        Version::V2 => V2_MESSAGE,
    };
    if accepted.is_empty() || accepted.iter().any(|a| a == message) {
        return Ok(());
    }
    Err(format!(
        "{message} protobuf message is not accepted by this server; only accepts {}",
        accepted.join(", ")
    ))
}

/// Only snappy is taken; without the header it is assumed.
///
/// # Errors
/// What the client is told with status 415.
pub(super) fn check_encoding(content_encoding: &str) -> Result<(), String> {
    match content_encoding {
        "" | "snappy" => Ok(()),
        other => Err(format!(
            "{other} encoding (compression) is not accepted by this server; only snappy is acceptable"
        )),
    }
}

/// The message that a Content-Type names: 1.0's where it names none. White space around
/// parameters counts for nothing (RFC 9110 §5.6.6): Prometheus misses `proto` behind a space, and
/// a body of 2.0 read as one of 1.0 is empty, not an error.
///
/// # Errors
/// What the client is told with status 415.
pub(super) fn message_of(content_type: &str) -> Result<Version, String> {
    let content_type = content_type.trim();
    let mut parts = content_type.split(';').map(str::trim);
    match parts.next() {
        None | Some("") => return Ok(Version::V1),
        Some(MEDIA_TYPE) => {}
        Some(_) => {
            return Err(format!(
                "expected {MEDIA_TYPE} as the first (media) part, got {content_type} content-type"
            ));
        }
    }
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            return Err(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {part} in {content_type} content-type"
            ));
        };
        if name == "proto" {
            return match value.trim_matches('"') {
                V1_MESSAGE => Ok(Version::V1),
                V2_MESSAGE => Ok(Version::V2),
                other => Err(format!(
                    "got {content_type} content type; unknown type for remote write protobuf message {other}, supported: {V1_MESSAGE}, {V2_MESSAGE}"
                )),
            };
        }
    }
    Ok(Version::V1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_by_content_type() {
        use Version::{V1, V2};
        for (header, expected) in [
            ("", Some(V1)),
            ("application/x-protobuf", Some(V1)),
            (" application/x-protobuf ", Some(V1)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Some(V1)),
            ("application/x-protobuf;proto=io.prometheus.write.v2.Request", Some(V2)),
            ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Some(V2)),
            ("application/x-protobuf;a=b;proto=io.prometheus.write.v2.Request", Some(V2)),
            ("application/x-protobuf;proto=other", None),
            ("application/x-protobuf;proto", None),
            ("application/json", None),
            ("text/plain;proto=io.prometheus.write.v2.Request", None),
        ] {
            assert_eq!(message_of(header).ok(), expected, "{header}");
        }
        assert!(check_accepted(V2, &[]).is_ok());
        let only_v1 = [V1_MESSAGE.to_owned()];
        assert!(check_accepted(V1, &only_v1).is_ok());
        assert_eq!(
            check_accepted(V2, &only_v1).unwrap_err(),
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest"
        );
        assert!(check_encoding("").is_ok() && check_encoding("snappy").is_ok());
        assert!(check_encoding("zstd").unwrap_err().starts_with("zstd encoding"));
    }
}
