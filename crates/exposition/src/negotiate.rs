//! Which format a body has by its Content-Type, and in which we answer an Accept header.

use model::float::go_quoted;

use crate::escape::EscapingScheme;
use crate::mime::parse_media_type;

/// The formats of scraped bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain`, any version.
    Text,
    /// `application/openmetrics-text` but for version 2.0.0.
    OpenMetrics1,
    /// `application/openmetrics-text` version 2.0.0, where it is enabled.
    OpenMetrics2,
    /// `application/vnd.google.protobuf`.
    Protobuf,
}

/// A format that has no parser yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no parser for {0:?} yet")]
pub struct UnsupportedFormat(pub Format);

/// What a Content-Type comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The format; where there is none, the scrape fails with the message.
    pub format: Option<Format>,
    /// What is wrong with the header, in Prometheus' words; a warning where there is a format.
    pub message: Option<String>,
}

/// Chooses the format of a body with the header `content_type` ("" where it lacks). `fallback` is
/// the media type of the target's `fallback_scrape_protocol`.
#[must_use]
pub fn negotiate(content_type: &str, fallback: Option<&str>, enable_open_metrics_2: bool) -> Negotiated {
    match recognise(content_type, fallback, enable_open_metrics_2) {
        Ok(format) => Negotiated { format: Some(format), message: None },
        Err(message) => {
            let media_type = fallback.map(|f| f.split(';').next().unwrap_or(f).trim());
            Negotiated { format: media_type.and_then(|m| by_name(m, None)), message: Some(message) }
        }
    }
}

fn by_name(media_type: &str, version: Option<&str>) -> Option<Format> {
    match (media_type, version) {
        ("text/plain", _) => Some(Format::Text),
        ("application/openmetrics-text", Some("2.0.0")) => Some(Format::OpenMetrics2),
        ("application/openmetrics-text", _) => Some(Format::OpenMetrics1),
        ("application/vnd.google.protobuf", _) => Some(Format::Protobuf),
        _ => None,
    }
}

fn recognise(
    content_type: &str,
    fallback: Option<&str>,
    enable_open_metrics_2: bool,
) -> Result<Format, String> {
    let fallback = fallback.filter(|f| !f.is_empty()).map(|f| go_quoted(f.as_bytes()));
    let quoted = go_quoted(content_type.as_bytes());
    if content_type.is_empty() {
        let blank = "non-compliant scrape target sending blank Content-Type";
        return Err(match fallback {
            None => format!("{blank} and no fallback_scrape_protocol specified for target"),
            Some(f) => format!("{blank}, using fallback_scrape_protocol {f}"),
        });
    }
    let media_type = parse_media_type(content_type).map_err(|why| match &fallback {
        None => {
            format!("cannot parse Content-Type {quoted} and no fallback_scrape_protocol for target\n{why}")
        }
        Some(f) => format!(
            "could not parse received Content-Type {quoted}, using fallback_scrape_protocol {f}\n{why}"
        ),
    })?;
    let format = by_name(&media_type.name, media_type.param("version"));
    let problem = match format {
        Some(Format::OpenMetrics2) if !enable_open_metrics_2 => {
            format!(
                "received OpenMetrics 2.0 Content-Type {quoted}, but the openmetrics2 feature flag is not enabled"
            )
        }
        Some(format) => return Ok(format),
        None => format!("received unsupported Content-Type {quoted}"),
    };
    Err(match fallback {
        None => format!("{problem} and no fallback_scrape_protocol specified for target"),
        Some(f) => format!("{problem}, using fallback_scrape_protocol {f}"),
    })
}

/// How to answer a request with the header `accept` in text, the only format written here: the
/// escaping of names and the Content-Type (Prometheus `expfmt.Negotiate`).
#[must_use]
pub fn negotiate_text(accept: &str) -> (EscapingScheme, String) {
    let mut offers: Vec<_> = accept.split(',').filter_map(|part| parse_media_type(part).ok()).collect();
    let quality = |m: &crate::mime::MediaType| m.param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0f64);
    offers.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    let mut escaping = EscapingScheme::default();
    for offer in offers {
        if let Some(wanted) = offer.param("escaping").and_then(EscapingScheme::parse) {
            escaping = wanted;
        }
        let known = matches!(offer.param("version"), None | Some("" | "0.0.4" | "1.0.0"));
        if offer.name == "text/plain" && known {
            break;
        }
    }
    (escaping, format!("text/plain; version=0.0.4; charset=utf-8; escaping={}", escaping.as_str()))
}
