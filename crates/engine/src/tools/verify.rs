//! The check of a data directory, as text.

use std::path::Path;

use storage::Fs;
use tsdb::verify::Event;

use super::run::Output;
use crate::error::EngineError;

/// Whether nothing is wrong.
pub(super) fn verify(fs: &dyn Fs, dir: &Path, out: &mut Output) -> Result<bool, EngineError> {
    let mut stopped = Ok(());
    let summary = tsdb::verify::verify(fs, dir, &mut |event| {
        stopped = match event {
            Event::Checking(path) => out.progress(format!("checking {}", path.display())),
            Event::Found(f) => {
                let offset = f.offset.map(|o| format!(" at offset {o}")).unwrap_or_default();
                let text =
                    format!("{}{offset}: {}: {}\n    {}\n", f.path.display(), f.kind, f.what, f.advice);
                out.write(text.as_bytes())
            }
        };
        stopped.is_ok()
    })?;
    stopped?;
    let s = summary;
    let text = format!(
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
    );
    out.write(text.as_bytes())?;
    Ok(s.findings == 0)
}
