//! Where a chunk stands after a sample: the same for its writer and its reader.

use model::{TimestampMs, is_stale_nan};

use super::field::Field;
use super::kind::Kind;
use super::layout::{Layout, count_buckets, read_raw};
use crate::ChunkError;
use crate::bit_writer::BitWriter;
use crate::bits::BitReader;
use crate::start_time::StartTimes;
use crate::varbit::{put_int, read_int};
use crate::xor_value::XorValue;

/// Most memory that the histograms of one chunk may take: a few bits of a forged chunk can stand
/// for a large histogram. Encoders cut chunks before.
pub(super) const DECODED_BYTES_MAX: usize = 1 << 28;

/// The fields after the last sample.
#[derive(Clone, Debug)]
pub(super) struct State<K: Kind> {
    pub(super) layout: Layout,
    pub(super) t: TimestampMs,
    t_delta: i64,
    pub(super) count: K::CountField,
    pub(super) zero_count: K::CountField,
    pub(super) sum: XorValue,
    pub(super) positive: Vec<K::BucketField>,
    pub(super) negative: Vec<K::BucketField>,
    /// `None` in encodings without them.
    pub(super) start: Option<StartTimes>,
}

/// The numbers of one sample. Its buckets are those of the layout.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a, K: Kind> {
    pub(super) t: TimestampMs,
    pub(super) st: TimestampMs,
    pub(super) count: K::Count,
    pub(super) zero_count: K::Count,
    pub(super) sum: f64,
    pub(super) positive: &'a [K::Bucket],
    pub(super) negative: &'a [K::Bucket],
}

impl<K: Kind> State<K> {
    pub(super) fn new(start: Option<StartTimes>) -> Self {
        Self {
            layout: Layout::default(),
            t: 0,
            t_delta: 0,
            count: K::CountField::zero(),
            zero_count: K::CountField::zero(),
            sum: XorValue::new(0.0),
            positive: Vec::new(),
            negative: Vec::new(),
            start,
        }
    }

    /// Most bytes of memory for each histogram of the chunk once it has the buckets of another of
    /// `size` bytes too.
    pub(super) fn size_with(&self, size: usize) -> usize {
        size + 8 * (self.layout.parts() + self.positive.len() + self.negative.len())
    }

    /// Writes sample `index`; of a stale one nothing but times and sum. The first is preceded by
    /// `layout`, and each must have the buckets of that.
    pub(super) fn write(
        &mut self,
        out: &mut BitWriter,
        index: u16,
        layout: Option<Layout>,
        n: Numbers<'_, K>,
    ) {
        let previous_t = self.t;
        let stale = is_stale_nan(n.sum);
        let (positive, negative) =
            if stale { ([].as_slice(), [].as_slice()) } else { (n.positive, n.negative) };
        if let Some(layout) = layout {
            layout.write(out);
            self.layout = layout;
            put_int(out, n.t);
            self.count = K::CountField::write_first(out, n.count);
            self.zero_count = K::CountField::write_first(out, n.zero_count);
            out.put(n.sum.to_bits(), 64);
            self.sum = XorValue::new(n.sum);
            self.positive = positive.iter().map(|b| K::BucketField::write_first(out, *b)).collect();
            self.negative = negative.iter().map(|b| K::BucketField::write_first(out, *b)).collect();
        } else {
            let t_delta = n.t.wrapping_sub(previous_t);
            put_int(out, t_delta.wrapping_sub(self.t_delta));
            self.t_delta = t_delta;
            if stale {
                self.count.write_stale(out);
                self.zero_count.write_stale(out);
            } else {
                self.count.write_next(out, n.count);
                self.zero_count.write_next(out, n.zero_count);
            }
            self.sum.write(out, n.sum);
            self.positive.iter_mut().zip(positive).for_each(|(field, b)| field.write_next(out, *b));
            self.negative.iter_mut().zip(negative).for_each(|(field, b)| field.write_next(out, *b));
        }
        self.t = n.t;
        if let Some(start) = &mut self.start {
            start.write(out, index, n.t, previous_t, n.st);
        }
    }

    /// Reads sample `index` of a chunk of `bits` bits.
    pub(super) fn read(
        &mut self,
        from: &mut BitReader<'_>,
        index: usize,
        bits: usize,
    ) -> Result<(), ChunkError> {
        let previous_t = self.t;
        if index == 0 {
            self.read_first(from, bits)?;
        } else {
            self.t_delta = self.t_delta.wrapping_add(read_int(from));
            self.t = previous_t.wrapping_add(self.t_delta);
            self.count.read_next(from)?;
            self.zero_count.read_next(from)?;
            self.sum.read(from)?;
            if !is_stale_nan(self.sum.get()) {
                for field in self.positive.iter_mut().chain(&mut self.negative) {
                    field.read_next(from)?;
                }
            }
        }
        if let Some(start) = &mut self.start {
            start.read(from, index, self.t, previous_t)?;
        }
        if from.overrun() {
            return Err(ChunkError::Truncated);
        }
        if index > 0 && self.t <= previous_t {
            return Err(ChunkError::OutOfOrder);
        }
        Ok(())
    }

    fn read_first(&mut self, from: &mut BitReader<'_>, bits: usize) -> Result<(), ChunkError> {
        self.layout = Layout::read(from, bits)?;
        let positive = count_buckets(&self.layout.positive_spans);
        let negative = count_buckets(&self.layout.negative_spans);
        // Bounds what lying spans can make us reserve.
        if (positive + negative).saturating_mul(K::BUCKET_BITS_MIN) > bits {
            return Err(ChunkError::Truncated);
        }
        self.t = read_int(from);
        self.count = K::CountField::read_first(from);
        self.zero_count = K::CountField::read_first(from);
        self.sum = XorValue::new(read_raw(from));
        self.positive = (0..positive).map(|_| K::BucketField::read_first(from)).collect();
        self.negative = (0..negative).map(|_| K::BucketField::read_first(from)).collect();
        Ok(())
    }
}
