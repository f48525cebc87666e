//! Exemplars of data points.

use crate::error::WireError;
use crate::labels::LabelFields;
use crate::otlp::attributes::Attributes;
use crate::otlp::points::Number;
use crate::series::next_message;
use protobuf::Reader;

/// An exemplar.
#[derive(Clone, Debug, Default)]
pub struct Exemplar<'a> {
    /// What was measured beside the attributes of its data point.
    pub attributes: Attributes<'a>,
    /// Time, nanoseconds; 0 is unknown.
    pub time_ns: u64,
    /// The value.
    pub value: Number,
    /// Empty, or 16 bytes that are not all 0.
    pub trace_id: &'a [u8],
    /// Empty, or 8 bytes that are not all 0.
    pub span_id: &'a [u8],
}

impl<'a> Exemplar<'a> {
    fn decode(mut message: Reader<'a>) -> Result<Self, WireError> {
        let mut out = Self::default();
        let mut fields = LabelFields::new(&message);
        let mut start = message.offset();
        while let Some(tag) = message.tag()? {
            match tag.raw() {
                0x11 => out.time_ns = message.fixed64()?,
                0x19 => out.value = Number::Double(message.double()?),
                0x22 => out.span_id = id(&mut message, 8)?,
                0x2a => out.trace_id = id(&mut message, 16)?,
                0x31 => out.value = Number::Int(message.fixed64()? as i64),
                0x3a => {
                    message.bytes()?;
                    fields.add(start, message.offset());
                }
                _ => message.skip(tag, 0b1111_1100)?,
            }
            start = message.offset();
        }
        out.attributes = Attributes::of(fields);
        Ok(out)
    }
}

fn id<'a>(message: &mut Reader<'a>, length: usize) -> Result<&'a [u8], WireError> {
    let start = *message;
    match message.bytes()? {
        bytes if bytes.is_empty() || bytes.len() == length => {
            Ok(if bytes.iter().all(|b| *b == 0) { &[] } else { bytes })
        }
        _ => Err(WireError::IdLength { offset: start.offset() }),
    }
}

/// The exemplars of a data point, decoded when asked for; an error is the last item.
#[derive(Clone, Debug)]
pub struct Exemplars<'a> {
    pub(crate) message: Reader<'a>,
    pub(crate) tag: u32,
    pub(crate) left: usize,
}

impl Default for Exemplars<'_> {
    fn default() -> Self {
        Self { message: Reader::new(&[], 0), tag: 0, left: 0 }
    }
}

impl Exemplars<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Exemplars<'a> {
    type Item = Result<Exemplar<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let message = next_message(&mut self.message, self.tag).transpose()?;
        let exemplar = message.and_then(Exemplar::decode);
        if exemplar.is_err() {
            self.left = 0;
        }
        Some(exemplar)
    }
}
