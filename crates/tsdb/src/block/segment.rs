//! Chunk segments: the files in a block's `chunks/` directory.

use std::path::{Path, PathBuf};

use chunk::Encoding;
use storage::{Fs, Map, StorageError};

use super::ChunkData;
use crate::index::codec::{Corruption, Cursor, put_uvarint};
use crate::index::file_writer::FileWriter;

/// The directory's name in a block's directory.
pub(super) const CHUNKS_DIR: &str = "chunks";
/// A segment ends before it would be larger.
pub(super) const SEGMENT_BYTES_MAX: u64 = 512 << 20;

const MAGIC: u32 = 0x85BD_40DD;
const VERSION: u8 = 1;
const HEADER_LEN: usize = 8;
/// Bytes that the length before a chunk may take.
const LENGTH_LEN_MAX: usize = 5;
/// Bytes of encoding and checksum.
const FRAME_LEN: usize = 1 + 4;

/// The mapped segments of a block.
#[derive(Debug)]
pub(super) struct Segments {
    segments: Vec<(PathBuf, Map)>,
}

impl Segments {
    /// Maps the segments in `dir`, in order of their numbers, and checks their headers.
    pub(super) fn open(fs: &dyn Fs, dir: &Path) -> Result<Self, StorageError> {
        let io = |path: &Path, e| StorageError::io(format!("open {}", path.display()), e);
        let entries = fs.read_dir(dir).map_err(|e| io(dir, e))?;
        let mut numbered: Vec<(u64, PathBuf)> = entries
            .into_iter()
            .filter(|e| !e.is_dir)
            .filter_map(|e| Some((e.name.parse().ok()?, dir.join(e.name))))
            .collect();
        numbered.sort_unstable();
        let mut segments = Vec::with_capacity(numbered.len());
        for (_, path) in numbered {
            let map = fs.map(&path).map_err(|e| io(&path, e))?;
            check_header(&map).map_err(|c| c.in_file(&path))?;
            segments.push((path, map));
        }
        Ok(Self { segments })
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, map)| map.len() as u64).sum()
    }

    /// The encoding and bytes of the chunk at `reference`, its checksum verified.
    pub(super) fn chunk(&self, reference: u64) -> Result<(Encoding, &[u8]), StorageError> {
        let number = usize::try_from(reference >> 32).expect("32 bits");
        let Some((path, map)) = self.segments.get(number) else {
            let (known, offset) = (self.segments.len(), reference & u64::from(u32::MAX));
            let text =
                format!("chunk at offset {offset} of segment {}: there are {known} segments", number + 1);
            return Err(StorageError::Corrupt(text));
        };
        chunk_at(map, reference as u32 as usize).map_err(|c| c.in_file(path))
    }

    /// Where a chunk lies, for an error about its contents.
    pub(super) fn place(&self, reference: u64) -> String {
        let segment = self.segments.get((reference >> 32) as usize);
        let path = segment.map_or(Path::new("?"), |(path, _)| path);
        format!("{}: chunk at offset {}", path.display(), reference as u32)
    }
}

pub(crate) fn check_header(map: &[u8]) -> Result<(), Corruption> {
    let mut head = Cursor::new(map, 0, map.len()).cut(HEADER_LEN)?;
    if head.be32()? != MAGIC {
        return Err(Corruption::new(0, "invalid magic number"));
    }
    if head.byte()? != VERSION {
        return Err(Corruption::new(4, "invalid chunk format version"));
    }
    Ok(())
}

pub(crate) fn chunk_at(map: &[u8], at: usize) -> Result<(Encoding, &[u8]), Corruption> {
    if at < HEADER_LEN || at >= map.len() {
        return Err(Corruption::new(at, "chunk outside of the segment"));
    }
    let mut cursor = Cursor::new(map, at, map.len());
    let len = cursor.uvarint32()? as usize;
    let summed = cursor.cut(len.saturating_add(1))?;
    summed.check(cursor.be32()?)?;
    let (encoding, data) = summed.rest().split_first().expect("one byte at least was cut");
    let encoding = Encoding::try_from(*encoding).map_err(|_| summed.fault("invalid chunk encoding"))?;
    Ok((encoding, data))
}

/// Writes the segments of a block.
pub(super) struct SegmentWriter<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    state: &'a mut SegmentState,
}

/// Where writing stands: kept apart from the file system for the sake of its owner.
#[derive(Default)]
pub(super) struct SegmentState {
    open: Option<FileWriter>,
    /// Number of the open segment, from 1; 0 before the first.
    number: u32,
    bytes_max: u64,
    head: Vec<u8>,
}

impl SegmentState {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    pub(super) fn writer<'a>(&'a mut self, fs: &'a dyn Fs, dir: &'a Path) -> SegmentWriter<'a> {
        SegmentWriter { fs, dir, state: self }
    }

    /// Ends the open segment: written and on the disk.
    pub(super) fn finish(&mut self) -> Result<(), StorageError> {
        self.open.take().map_or(Ok(()), |file| file.finish().map(drop))
    }
}

impl SegmentWriter<'_> {
    /// Appends a chunk; returns its reference.
    pub(super) fn put(&mut self, chunk: &ChunkData<'_>) -> Result<u64, StorageError> {
        let len = u32::try_from(chunk.data.len())
            .map_err(|_| StorageError::Limit(format!("chunk of {} bytes", chunk.data.len())))?;
        let room = (LENGTH_LEN_MAX + FRAME_LEN + chunk.data.len()) as u64;
        if self.state.open.as_ref().is_none_or(|f| f.position() + room > self.state.bytes_max) {
            self.cut()?;
        }
        let file = self.state.open.as_mut().expect("a segment was just cut where there was none");
        let offset = u32::try_from(file.position())
            .map_err(|_| StorageError::Limit("chunk segment larger than 4 GiB".into()))?;
        self.state.head.clear();
        put_uvarint(&mut self.state.head, u64::from(len));
        file.put(&self.state.head)?;
        file.put_summed(&[chunk.encoding as u8])?;
        file.put_summed(chunk.data)?;
        file.put_sum()?;
        Ok(u64::from(self.state.number - 1) << 32 | u64::from(offset))
    }

    fn cut(&mut self) -> Result<(), StorageError> {
        self.state.finish()?;
        self.state.number += 1;
        let path = self.dir.join(format!("{:06}", self.state.number));
        let mut file = FileWriter::create(self.fs, &path)?;
        file.put(&MAGIC.to_be_bytes())?;
        file.put(&[VERSION, 0, 0, 0])?;
        self.state.open = Some(file);
        Ok(())
    }
}
