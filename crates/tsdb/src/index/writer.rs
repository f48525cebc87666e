//! Writing an index file, byte for byte as Prometheus writes it.

use std::collections::HashMap;
use std::path::Path;

use model::Labels;
use storage::{Fs, StorageError};

use super::codec::{put_string, put_uvarint, put_varint};
use super::file_writer::FileWriter;
use super::{ChunkMeta, MAGIC, POSTINGS_ALIGN, SERIES_ALIGN, VERSION};

/// Largest file whose series a 32-bit number can name.
const INDEX_BYTES_MAX: u64 = (u32::MAX as u64 + 1) * SERIES_ALIGN as u64;

/// A series to be written.
#[derive(Clone, Debug)]
pub struct IndexSeries {
    /// Its labels.
    pub labels: Labels,
    /// How many chunks it has.
    pub num_chunks: u32,
}

/// Offsets of the sections, in the order of the table of contents.
#[derive(Clone, Copy, Default)]
struct Toc {
    symbols: u64,
    series: u64,
    label_indices: u64,
    label_indices_table: u64,
    postings: u64,
    postings_table: u64,
}

/// Writes and syncs the index of `series`, which must rise in order of labels, and of their
/// `chunks`, one series' behind the other's. Returns the size of the file in bytes.
///
/// # Errors
/// Where the order is broken, the file grows beyond 64 GiB or a table beyond 4 GiB, or the system
/// refuses.
pub fn write_index(
    fs: &dyn Fs,
    path: &Path,
    series: &[IndexSeries],
    chunks: &[ChunkMeta],
) -> Result<u64, StorageError> {
    let counted: usize = series.iter().map(|s| s.num_chunks as usize).sum();
    if counted != chunks.len() {
        return Err(StorageError::Invalid(format!(
            "{counted} chunks counted in series, {} given",
            chunks.len()
        )));
    }
    let (sorted, numbers) = collect_symbols(series);
    let mut index = IndexWriter::create(fs, path, &sorted)?;
    let (mut rest, mut labels) = (chunks, Vec::new());
    for s in series {
        labels.clear();
        labels.extend(s.labels.iter().map(|(n, v)| (numbers[n], numbers[v])));
        let (own, tail) = rest.split_at(s.num_chunks as usize);
        rest = tail;
        index.add_series(&labels, own)?;
    }
    index.finish()
}

/// All strings of the index, sorted; their numbers are their places.
fn collect_symbols(series: &[IndexSeries]) -> (Vec<&str>, HashMap<&str, u32>) {
    // Prometheus' tables have the empty string: it names the postings of all series.
    let mut numbers = HashMap::from([("", 0)]);
    for s in series {
        for (name, value) in &s.labels {
            numbers.entry(name).or_insert(0);
            numbers.entry(value).or_insert(0);
        }
    }
    let mut sorted: Vec<&str> = numbers.keys().copied().collect();
    sorted.sort_unstable();
    for (number, symbol) in (0..).zip(&sorted) {
        numbers.insert(symbol, number);
    }
    (sorted, numbers)
}

/// An index under construction whose symbols are known beforehand. Series go to the file at once;
/// 4 bytes per label and 8 per series stay in memory for the postings, which come last.
pub(crate) struct IndexWriter<'a> {
    file: FileWriter,
    symbols: &'a [&'a str],
    toc: Toc,
    pairs: Pairs,
    last: Vec<(u32, u32)>,
    body: Vec<u8>,
    len: Vec<u8>,
}

impl<'a> IndexWriter<'a> {
    /// Starts the file with `symbols`: ascending, distinct, the empty string among them.
    pub(crate) fn create(fs: &dyn Fs, path: &Path, symbols: &'a [&'a str]) -> Result<Self, StorageError> {
        if u32::try_from(symbols.len()).is_err() {
            return Err(StorageError::Limit("more than 2^32 symbols".into()));
        }
        let mut file = FileWriter::create(fs, path)?;
        file.put(&MAGIC.to_be_bytes())?;
        file.put(&[VERSION])?;
        let mut toc = Toc { symbols: file.position(), ..Toc::default() };
        write_symbols(&mut file, symbols)?;
        toc.series = file.position();
        let (last, body, len) = Default::default();
        Ok(Self { file, symbols, toc, pairs: Pairs::default(), last, body, len })
    }

    /// Adds a series: its labels as numbers of symbols, in order of name, and its chunks.
    pub(crate) fn add_series(
        &mut self,
        labels: &[(u32, u32)],
        chunks: &[ChunkMeta],
    ) -> Result<(), StorageError> {
        // Symbols are numbered in order, so numbers are ordered as labels are.
        if !self.pairs.series.is_empty() && *self.last >= *labels {
            let (last, next) = (self.labels(&self.last), self.labels(labels));
            let text = format!("out-of-order series added with label set {next}, last label set {last}");
            return Err(StorageError::Invalid(text));
        }
        self.file.pad(SERIES_ALIGN)?;
        if self.file.position() >= INDEX_BYTES_MAX {
            return Err(StorageError::Limit("index file exceeding max size of 64GiB".into()));
        }
        let id = (self.file.position() / SERIES_ALIGN as u64) as u32;
        self.body.clear();
        put_uvarint(&mut self.body, labels.len() as u64);
        for (name, value) in labels {
            put_uvarint(&mut self.body, u64::from(*name));
            put_uvarint(&mut self.body, u64::from(*value));
            self.pairs.add(*name, *value);
        }
        self.pairs.series.push((id, labels.len() as u32));
        let put = put_chunks(&mut self.body, chunks);
        put.map_err(|text| StorageError::Invalid(format!("{}: {text}", self.labels(labels))))?;
        self.len.clear();
        put_uvarint(&mut self.len, self.body.len() as u64);
        self.file.put(&self.len)?;
        self.file.put_summed(&self.body)?;
        self.file.put_sum()?;
        self.last.clear();
        self.last.extend_from_slice(labels);
        Ok(())
    }

    fn labels(&self, numbers: &[(u32, u32)]) -> Labels {
        let symbol = |n: u32| self.symbols[n as usize];
        Labels::from_sorted(numbers.iter().map(|(n, v)| (symbol(*n), symbol(*v))))
    }

    /// Writes the postings and tables and syncs the file; returns its size.
    pub(crate) fn finish(mut self) -> Result<u64, StorageError> {
        let (mut toc, file) = (self.toc, &mut self.file);
        toc.label_indices = file.position();
        toc.postings = file.position();
        let table = self.pairs.write_postings(file, self.symbols)?;
        toc.label_indices_table = file.position();
        toc.postings_table = file.position();
        write_section(file, &table)?;
        for offset in [
            toc.symbols,
            toc.series,
            toc.label_indices,
            toc.label_indices_table,
            toc.postings,
            toc.postings_table,
        ] {
            file.put_summed(&offset.to_be_bytes())?;
        }
        file.put_sum()?;
        self.file.finish()
    }
}

/// Appends a section: length, body, checksum.
fn write_section(file: &mut FileWriter, body: &[u8]) -> Result<(), StorageError> {
    let len = u32::try_from(body.len()).map_err(|_| {
        StorageError::Limit(format!("index section of {} bytes: the limit is 4 GiB", body.len()))
    })?;
    file.put(&len.to_be_bytes())?;
    file.put_summed(body)?;
    file.put_sum()
}

fn write_symbols(file: &mut FileWriter, sorted: &[&str]) -> Result<(), StorageError> {
    let bytes: usize = sorted.iter().map(|s| s.len() + 2).sum();
    let mut body = Vec::with_capacity(4 + bytes);
    body.extend_from_slice(&(sorted.len() as u32).to_be_bytes());
    for symbol in sorted {
        put_string(&mut body, symbol);
    }
    write_section(file, &body)
}

/// Which series have which label pair: for each label of each series, in order, the pair's slot.
#[derive(Default)]
struct Pairs {
    /// Name and value symbols to slot.
    slots: HashMap<(u32, u32), u32>,
    /// Number of series per slot.
    counts: Vec<u32>,
    /// Slots of all labels of all series.
    labels: Vec<u32>,
    /// Number of each series, and how many labels it has.
    series: Vec<(u32, u32)>,
}

impl Pairs {
    fn add(&mut self, name: u32, value: u32) {
        let next = self.counts.len() as u32;
        let slot = *self.slots.entry((name, value)).or_insert(next);
        if slot == next {
            self.counts.push(0);
        }
        self.counts[slot as usize] += 1;
        self.labels.push(slot);
    }

    /// Writes all postings; returns the body of the table of their offsets.
    fn write_postings(self, file: &mut FileWriter, symbols: &[&str]) -> Result<Vec<u8>, StorageError> {
        let mut order: Vec<((u32, u32), u32)> = self.slots.into_iter().collect();
        order.sort_unstable();
        // Symbols are numbered in order, so this is the order of the strings too.
        let mut ends = vec![0usize; order.len()];
        let mut total = 0;
        for (_, slot) in &order {
            ends[*slot as usize] = total;
            total += self.counts[*slot as usize] as usize;
        }
        let mut ids = vec![0u32; total];
        let mut labels = self.labels.iter();
        for (id, num_labels) in &self.series {
            for slot in labels.by_ref().take(*num_labels as usize) {
                let end = &mut ends[*slot as usize];
                ids[*end] = *id;
                *end += 1;
            }
        }
        let mut table = Vec::new();
        table.extend_from_slice(&(order.len() as u32 + 1).to_be_bytes());
        let all: Vec<u32> = self.series.iter().map(|(id, _)| *id).collect();
        write_list(file, &mut table, "", "", &all)?;
        let mut rest = &ids[..];
        for ((name, value), slot) in order {
            let (list, tail) = rest.split_at(self.counts[slot as usize] as usize);
            rest = tail;
            let text = |n: u32| symbols[n as usize];
            write_list(file, &mut table, text(name), text(value), list)?;
        }
        Ok(table)
    }
}

fn write_list(
    file: &mut FileWriter,
    table: &mut Vec<u8>,
    name: &str,
    value: &str,
    ids: &[u32],
) -> Result<(), StorageError> {
    file.pad(POSTINGS_ALIGN)?;
    table.push(2);
    put_string(table, name);
    put_string(table, value);
    put_uvarint(table, file.position());
    let mut body = Vec::with_capacity(4 + ids.len() * 4);
    body.extend_from_slice(&(ids.len() as u32).to_be_bytes());
    body.extend(ids.iter().flat_map(|id| id.to_be_bytes()));
    write_section(file, &body)
}

fn put_chunks(body: &mut Vec<u8>, chunks: &[ChunkMeta]) -> Result<(), String> {
    put_uvarint(body, chunks.len() as u64);
    let mut last: Option<&ChunkMeta> = None;
    for c in chunks {
        let (min, max) = (c.min_ms, c.max_ms);
        if max < min {
            return Err(format!("chunk maxT {max} is less than minT {min}"));
        }
        match last {
            None => put_varint(body, min),
            Some(l) if min <= l.max_ms => {
                return Err(format!("chunk minT {min} is not higher than previous chunk maxT {}", l.max_ms));
            }
            Some(l) => put_uvarint(body, min.wrapping_sub(l.max_ms) as u64),
        }
        put_uvarint(body, max.wrapping_sub(min) as u64);
        match last {
            None => put_uvarint(body, c.reference),
            Some(l) => put_varint(body, c.reference.wrapping_sub(l.reference) as i64),
        }
        last = Some(c);
    }
    Ok(())
}
