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
#[derive(Default)]
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
    check_input(series, chunks)?;
    let mut file = FileWriter::create(fs, path)?;
    file.put(&MAGIC.to_be_bytes())?;
    file.put(&[VERSION])?;
    let symbols = Symbols::collect(series)?;
    let mut toc = Toc { symbols: file.position(), ..Toc::default() };
    symbols.write(&mut file)?;
    toc.series = file.position();
    let pairs = write_series(&mut file, series, chunks, &symbols)?;
    toc.label_indices = file.position();
    toc.postings = file.position();
    let table = pairs.write_postings(&mut file, &symbols)?;
    toc.label_indices_table = file.position();
    toc.postings_table = file.position();
    write_section(&mut file, &table)?;
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
    file.finish()
}

fn check_input(series: &[IndexSeries], chunks: &[ChunkMeta]) -> Result<(), StorageError> {
    for pair in series.windows(2) {
        if pair[0].labels >= pair[1].labels {
            let (last, next) = (&pair[0].labels, &pair[1].labels);
            let text = format!("out-of-order series added with label set {next}, last label set {last}");
            return Err(StorageError::Invalid(text));
        }
    }
    let counted: usize = series.iter().map(|s| s.num_chunks as usize).sum();
    if counted != chunks.len() {
        return Err(StorageError::Invalid(format!(
            "{counted} chunks counted in series, {} given",
            chunks.len()
        )));
    }
    Ok(())
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

/// All strings of the index, sorted; their numbers are their places.
struct Symbols<'a> {
    sorted: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Symbols<'a> {
    fn collect(series: &'a [IndexSeries]) -> Result<Self, StorageError> {
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
        for (i, symbol) in sorted.iter().enumerate() {
            let number =
                u32::try_from(i).map_err(|_| StorageError::Limit("more than 2^32 symbols".into()))?;
            numbers.insert(symbol, number);
        }
        Ok(Self { sorted, numbers })
    }

    fn number(&self, symbol: &str) -> u32 {
        self.numbers[symbol]
    }

    fn write(&self, file: &mut FileWriter) -> Result<(), StorageError> {
        let bytes: usize = self.sorted.iter().map(|s| s.len() + 2).sum();
        let mut body = Vec::with_capacity(4 + bytes);
        body.extend_from_slice(&(self.sorted.len() as u32).to_be_bytes());
        for symbol in &self.sorted {
            put_string(&mut body, symbol);
        }
        write_section(file, &body)
    }
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
    fn write_postings(self, file: &mut FileWriter, symbols: &Symbols<'_>) -> Result<Vec<u8>, StorageError> {
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
            let text = |n: u32| symbols.sorted[n as usize];
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

fn write_series(
    file: &mut FileWriter,
    series: &[IndexSeries],
    chunks: &[ChunkMeta],
    symbols: &Symbols<'_>,
) -> Result<Pairs, StorageError> {
    let mut pairs = Pairs::default();
    let (mut rest, mut body, mut len) = (chunks, Vec::new(), Vec::new());
    for s in series {
        file.pad(SERIES_ALIGN)?;
        if file.position() >= INDEX_BYTES_MAX {
            return Err(StorageError::Limit("index file exceeding max size of 64GiB".into()));
        }
        let id = (file.position() / SERIES_ALIGN as u64) as u32;
        let num_labels = s.labels.len() as u32;
        body.clear();
        put_uvarint(&mut body, u64::from(num_labels));
        for (name, value) in &s.labels {
            let (name, value) = (symbols.number(name), symbols.number(value));
            put_uvarint(&mut body, u64::from(name));
            put_uvarint(&mut body, u64::from(value));
            pairs.add(name, value);
        }
        pairs.series.push((id, num_labels));
        let (own, tail) = rest.split_at(s.num_chunks as usize);
        rest = tail;
        put_chunks(&mut body, own).map_err(|text| StorageError::Invalid(format!("{}: {text}", s.labels)))?;
        len.clear();
        put_uvarint(&mut len, body.len() as u64);
        file.put(&len)?;
        file.put_summed(&body)?;
        file.put_sum()?;
    }
    Ok(pairs)
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
