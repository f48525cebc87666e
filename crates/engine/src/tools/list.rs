//! The table of blocks.

use std::path::Path;

use storage::Fs;
use tsdb::block::Block;
use tsdb::db::read_blocks;

use super::format::{base2_bytes, duration, table, utc_seconds};
use super::run::Output;
use crate::error::EngineError;

const HEADER: [&str; 8] =
    ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"];

pub(super) fn list(
    fs: &dyn Fs,
    dir: &Path,
    human_readable: bool,
    out: &mut Output,
) -> Result<(), EngineError> {
    print(fs, &read_blocks(fs, dir)?, human_readable, true, out)
}

/// Blocks as a table, with its heading or without.
pub(super) fn print(
    fs: &dyn Fs,
    blocks: &[Block],
    human_readable: bool,
    heading: bool,
    out: &mut Output,
) -> Result<(), EngineError> {
    let mut rows = if heading { vec![HEADER.map(str::to_owned).to_vec()] } else { Vec::new() };
    rows.extend(blocks.iter().map(|b| row(fs, b, human_readable)));
    out.write(table(&rows).as_bytes())
}

fn row(fs: &dyn Fs, block: &Block, human_readable: bool) -> Vec<String> {
    let meta = block.meta();
    let time = |ms: i64| if human_readable { utc_seconds(ms) } else { ms.to_string() };
    let size = size_bytes(fs, block.dir());
    vec![
        meta.ulid.to_string(),
        time(meta.min_ms),
        time(meta.max_ms),
        duration(meta.max_ms.saturating_sub(meta.min_ms)),
        meta.stats.num_samples.to_string(),
        meta.stats.num_chunks.to_string(),
        meta.stats.num_series.to_string(),
        if human_readable { base2_bytes(size) } else { size.to_string() },
    ]
}

/// Bytes of the files that make a block.
fn size_bytes(fs: &dyn Fs, dir: &Path) -> u64 {
    let own = ["index", "meta.json", "tombstones"];
    let len = |dir: &Path, counts: &dyn Fn(&str) -> bool| {
        let entries = fs.read_dir(dir).unwrap_or_default();
        entries.iter().filter(|e| counts(&e.name)).map(|e| e.len).sum::<u64>()
    };
    len(dir, &|name| own.contains(&name)) + len(&dir.join("chunks"), &|_| true)
}
