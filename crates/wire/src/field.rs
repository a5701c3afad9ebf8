//! Big-endian fields in byte slices. The `get` functions are for offsets that a length check has already covered;
//! they return zero beyond the end rather than panic, so that a wrong check shows as a wrong value in a test.

#[inline]
pub(crate) fn u8_at(b: &[u8], at: usize) -> u8 {
    b.get(at).copied().unwrap_or(0)
}

#[inline]
pub(crate) fn u16_at(b: &[u8], at: usize) -> u16 {
    match b.get(at..at + 2) {
        Some(&[x, y]) => u16::from_be_bytes([x, y]),
        _ => 0,
    }
}

#[inline]
pub(crate) fn u32_at(b: &[u8], at: usize) -> u32 {
    match b.get(at..at + 4) {
        Some(&[w, x, y, z]) => u32::from_be_bytes([w, x, y, z]),
        _ => 0,
    }
}

#[inline]
pub(crate) fn array_at<const N: usize>(b: &[u8], at: usize) -> [u8; N] {
    b.get(at..at + N).and_then(|s| s.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// Copies `src` into `out[at..]`; the emitters check the room first.
#[inline]
pub(crate) fn put(out: &mut [u8], at: usize, src: &[u8]) {
    out[at..at + src.len()].copy_from_slice(src);
}
