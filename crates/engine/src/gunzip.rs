//! gzip streams as servers send them, in one go: one member, whose end says how long it is. libdeflate wants both sides
//! whole, and is twice as fast for it as a decoder that can stop anywhere. Whatever is different, and all that is wrong,
//! is left to that one.

use std::cell::OnceCell;
use std::ptr::NonNull;

use libdeflate_sys as sys;

/// DEFLATE makes no more out of a byte (RFC 1951: 258 bytes from two bits, less what a block needs), so whoever claims
/// more gets no memory for it.
const EXPANSION_MAX: usize = 1032;
/// The shortest stream: header 10, an empty block 2, trailer 8 (RFC 1952).
const STREAM_BYTES_MIN: usize = 20;

thread_local! {
    static DECOMPRESSOR: OnceCell<Decompressor> = const { OnceCell::new() };
}

/// Puts what `pieces` inflate to into `out`, which is empty. False, with `out` empty, where the stream is no whole
/// member alone, is broken, or has `limit` bytes or more.
pub(crate) fn gunzip(pieces: &[&[u8]], limit: u64, out: &mut Vec<u8>) -> bool {
    let joined;
    let packed = match pieces {
        [one] => *one,
        _ => {
            joined = pieces.concat();
            &joined
        }
    };
    let Some(&trailer) = packed.last_chunk::<4>() else { return false };
    let len = u32::from_le_bytes(trailer) as usize;
    if packed.len() < STREAM_BYTES_MIN || len as u64 >= limit || len / EXPANSION_MAX > packed.len() {
        return false;
    }
    DECOMPRESSOR.with(|d| d.get_or_init(Decompressor::new).run(packed, len, out))
}

/// libdeflate's memory: 11 KiB of tables.
struct Decompressor(Option<NonNull<sys::libdeflate_decompressor>>);

#[allow(unsafe_code, reason = "libdeflate's functions")]
impl Decompressor {
    fn new() -> Self {
        // SAFETY: it has no preconditions; null where there is no memory.
        Self(NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() }))
    }

    /// Whether all of `packed` is one member of exactly `len` bytes, which are now in `out`.
    fn run(&self, packed: &[u8], len: usize, out: &mut Vec<u8>) -> bool {
        let Some(decompressor) = self.0 else { return false };
        out.clear();
        out.reserve(len);
        let (mut read, mut written) = (0, 0);
        // SAFETY: the decompressor is this thread's alone and not in use; `packed` can be read and the spare room of
        // `out` written over the lengths given, and the two do not overlap.
        let result = unsafe {
            sys::libdeflate_gzip_decompress_ex(
                decompressor.as_ptr(),
                packed.as_ptr().cast(),
                packed.len(),
                out.spare_capacity_mut().as_mut_ptr().cast(),
                len,
                &raw mut read,
                &raw mut written,
            )
        };
        if result != sys::libdeflate_result_LIBDEFLATE_SUCCESS || read != packed.len() || written != len {
            return false;
        }
        // SAFETY: so many bytes were reserved, and have been written.
        unsafe { out.set_len(len) };
        true
    }
}

#[allow(unsafe_code, reason = "libdeflate's functions")]
impl Drop for Decompressor {
    fn drop(&mut self) {
        if let Some(decompressor) = self.0 {
            // SAFETY: it was made by the function that belongs to this one, and is not used any more.
            unsafe { sys::libdeflate_free_decompressor(decompressor.as_ptr()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gzip::gzip;

    fn run(pieces: &[&[u8]], limit: u64) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let done = gunzip(pieces, limit, &mut out);
        assert!(done || out.is_empty());
        done.then_some(out)
    }

    #[test]
    fn one_member_in_any_number_of_pieces() {
        for len in [0, 1, 70_000] {
            let text = vec![b'x'; len];
            let packed = gzip(&text);
            assert_eq!(run(&[&packed], 1 << 20).unwrap(), text);
            let (a, b) = packed.split_at(7);
            assert_eq!(run(&[a, &[], b], 1 << 20).unwrap(), text);
            assert_eq!(run(&[&packed], len as u64), None);
        }
    }

    #[test]
    fn all_else_is_left_to_the_other_decoder() {
        let packed = gzip(b"hello hello");
        // Twice the same: its end fits, its beginning is not all of it.
        assert_eq!(run(&[&packed, &packed], 1 << 20), None);
        assert_eq!(run(&[], 1 << 20), None);
        assert_eq!(run(&[b"this is plain text, and long enough"], 1 << 20), None);
        for at in 0..packed.len() {
            assert_eq!(run(&[&packed[..at]], 1 << 20), None);
            let mut broken = packed.clone();
            broken[at] ^= 0x55;
            // The header has a time and a system, which say nothing of the content.
            if let Some(out) = run(&[&broken], 1 << 20) {
                assert!((4..10).contains(&at), "byte {at}");
                assert_eq!(out, b"hello hello");
            }
        }
        let mut greedy = packed;
        greedy.splice(greedy.len() - 4.., [0xff; 4]);
        assert_eq!(run(&[&greedy], u64::MAX), None);
    }
}
