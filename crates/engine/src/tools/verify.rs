//! The check of a data directory, as text.

use std::path::Path;

use storage::Fs;
use tsdb::verify::{Event, Finding};

use super::format::json_string;
use super::run::Output;
use crate::error::EngineError;

/// Whether nothing is wrong. As JSON, each line is an object: a finding, and last the counts.
pub(super) fn verify(fs: &dyn Fs, dir: &Path, json: bool, out: &mut Output) -> Result<bool, EngineError> {
    let mut stopped = Ok(());
    let summary = tsdb::verify::verify(fs, dir, &mut |event| {
        stopped = match event {
            Event::Checking(path) => out.progress(format!("checking {}", path.display())),
            Event::Found(f) if json => out.write(&finding_json(&f)),
            Event::Found(f) => out.write(finding_text(&f).as_bytes()),
        };
        stopped.is_ok()
    })?;
    stopped?;
    let s = summary;
    let text = if json {
        format!(
            "{{\"blocks\":{},\"series\":{},\"chunks\":{},\"samples\":{},\"records\":{},\"findings\":{}}}\n",
            s.blocks, s.series, s.chunks, s.samples, s.records, s.findings
        )
    } else {
        format!(
            "{} blocks, {} series, {} chunks, {} samples, {} log records: {}\n",
            s.blocks,
            s.series,
            s.chunks,
            s.samples,
            s.records,
            match s.findings {
                0 => "nothing is wrong".to_owned(),
                1 => "1 thing is wrong".to_owned(),
                n => format!("{n} things are wrong"),
            }
        )
    };
    out.write(text.as_bytes())?;
    Ok(s.findings == 0)
}

fn finding_text(f: &Finding) -> String {
    let offset = f.offset.map(|o| format!(" at offset {o}")).unwrap_or_default();
    format!("{}{offset}: {}: {}\n    {}\n", f.path.display(), f.kind, f.what, f.advice)
}

fn finding_json(f: &Finding) -> Vec<u8> {
    let mut line = b"{\"path\":".to_vec();
    json_string(&f.path.to_string_lossy(), &mut line);
    if let Some(offset) = f.offset {
        line.extend_from_slice(format!(",\"offset\":{offset}").as_bytes());
    }
    for (name, text) in [("kind", f.kind), ("what", f.what.as_str()), ("advice", f.advice)] {
        line.extend_from_slice(format!(",\"{name}\":").as_bytes());
        json_string(text, &mut line);
    }
    line.extend_from_slice(b"}\n");
    line
}
