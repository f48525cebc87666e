//! Asking for memory before it is needed: who appends to a thousand chunks in turn waits for memory
//! at each of them, unless it was asked for some appends earlier.

/// Asks for the cache line of `at`; changes nothing that a program can see.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(at: &T) {
    let at = std::ptr::from_ref(at);
    // SAFETY: a prefetch reads no memory that the program could observe and never faults; SSE is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    // SAFETY: as above; the instruction touches no register but the address, which it reads.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) at, options(readonly, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}
