//! Reads head-chunks files by a few lines of its own, so that what the database wrote is not judged by its own reader.

use std::path::Path;

use storage::Fs;

/// A chunk as it stands in a file. Series 0 stands for the zeros behind the last one.
pub(crate) struct HeadChunk {
    pub(crate) series: u64,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
    /// With the bit that marks late samples.
    pub(crate) encoding: u8,
    pub(crate) data: Vec<u8>,
}

/// The chunks of all files, in no order of files.
pub(crate) fn head_chunks(fs: &dyn Fs) -> Vec<HeadChunk> {
    let mut out = Vec::new();
    let dir = Path::new("data/chunks_head");
    for entry in fs.read_dir(dir).unwrap() {
        let data = fs.read(&dir.join(entry.name)).unwrap();
        let number = |at: usize| u64::from_be_bytes(data[at..at + 8].try_into().unwrap());
        let mut at = 8;
        while at < data.len() {
            if number(at) == 0 {
                out.push(HeadChunk { series: 0, min_ms: 0, max_ms: 0, encoding: 0, data: Vec::new() });
                break;
            }
            let (mut len, mut shift, mut body) = (0, 0, at + 25);
            loop {
                let b = data[body];
                body += 1;
                len |= usize::from(b & 0x7f) << shift;
                shift += 7;
                if b < 0x80 {
                    break;
                }
            }
            out.push(HeadChunk {
                series: number(at),
                min_ms: number(at + 8) as i64,
                max_ms: number(at + 16) as i64,
                encoding: data[at + 24],
                data: data[body..body + len].to_vec(),
            });
            at = body + len + 4;
        }
    }
    out
}
