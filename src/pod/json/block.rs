//! 64 bytes of the body as bit masks: bit `i` speaks of byte `i`.
//!
//! The technique is simdjson's first stage, with the compares done by `wide` (SSE2, NEON).

use wide::u8x16;

use super::error::{Code, Error};

/// How many bytes one step takes: as many as a `u64` has bits.
pub(super) const LEN: usize = 64;

/// What a block holds that matters to somebody who skips it.
pub(super) struct Block {
    /// Every `"`, escaped or not.
    pub(super) quotes: u64,
    /// Every `{` and `[`, in strings or not.
    pub(super) open: u64,
    /// Every `}` and `]`, in strings or not.
    pub(super) close: u64,
    /// There is a backslash or a byte below 0x20: [`Strings::exact`] must look at it.
    pub(super) rare: bool,
}

/// Which bytes are in strings, carried from block to block.
#[derive(Default)]
pub(super) struct Strings {
    /// All ones if the last block ended inside a string, else zero.
    inside: u64,
    /// 1 if the last block ended with a backslash that escapes the next byte, else 0.
    escaped: u64,
}

// === impl Block ===

impl Block {
    #[inline]
    pub(super) fn of(bytes: &[u8; LEN]) -> Self {
        let lanes = lanes(bytes);
        // Bit 0x20 is all that `[` and `{`, `]` and `}` differ in, and makes no other byte one.
        let folded = lanes.map(|lane| lane | u8x16::splat(0x20));
        let backslash = lanes.map(|lane| lane.simd_eq(u8x16::splat(b'\\')));
        let least = lanes[0].min(lanes[1]).min(lanes[2].min(lanes[3]));
        let rare = backslash[0] | backslash[1] | backslash[2] | backslash[3] | control(least);
        Self {
            quotes: mask(lanes.map(|lane| lane.simd_eq(u8x16::splat(b'"')))),
            open: mask(folded.map(|lane| lane.simd_eq(u8x16::splat(b'{')))),
            close: mask(folded.map(|lane| lane.simd_eq(u8x16::splat(b'}')))),
            rare: rare.to_bitmask() != 0,
        }
    }
}

// === impl Strings ===

impl Strings {
    /// The bytes of `block` that are in strings: from an opening quote to before the closing one.
    /// `bytes` is the block at offset `base` of `body`, padded with spaces behind its end.
    #[inline]
    pub(super) fn inside(
        &mut self,
        block: &Block,
        bytes: &[u8; LEN],
        body: &[u8],
        base: usize,
    ) -> Result<u64, Error> {
        let inside = if block.rare || self.escaped != 0 {
            self.exact(block.quotes, bytes, body, base)?
        } else {
            prefix_xor(block.quotes) ^ self.inside
        };
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        Ok(inside)
    }

    /// The same for a block with escapes or control bytes, and checks them as `serde_json` does for
    /// strings that nobody wants: known escapes, four hex digits, surrogates not paired up.
    #[inline(never)]
    fn exact(
        &mut self,
        quotes: u64,
        bytes: &[u8; LEN],
        body: &[u8],
        base: usize,
    ) -> Result<u64, Error> {
        let lanes = lanes(bytes);
        let backslashes = mask(lanes.map(|lane| lane.simd_eq(u8x16::splat(b'\\'))));
        let controls = mask(lanes.map(control));
        let escaped = self.escaped_bytes(backslashes);
        let inside = prefix_xor(quotes & !escaped) ^ self.inside;

        let offset = |bits: u64| base + bits.trailing_zeros() as usize;
        if controls & inside != 0 {
            return Err(Error::at(body, offset(controls & inside), Code::Control));
        }
        let outside = (backslashes | escaped) & !inside;
        if outside != 0 {
            return Err(Error::at(body, offset(outside), Code::Syntax));
        }
        let mut left = escaped & !quotes;
        while left != 0 {
            check_escape(body, offset(left))?;
            left &= left - 1;
        }
        Ok(inside)
    }

    /// The bytes that a backslash escapes: those behind a run of backslashes of odd length.
    fn escaped_bytes(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let may_escape = backslashes & !self.escaped;
        let runs = ((may_escape << 1) | ODD).wrapping_sub(may_escape) ^ ODD;
        let escaped = runs ^ (backslashes | self.escaped);
        self.escaped = (runs & backslashes) >> 63;
        escaped
    }
}

/// Checks the escape whose letter is at `at`.
#[inline]
pub(super) fn check_escape(body: &[u8], at: usize) -> Result<(), Error> {
    match body.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
        Some(b'u') => {
            let is_hex = |i: &usize| body.get(*i).is_some_and(u8::is_ascii_hexdigit);
            match (at + 1..at + 5).find(|i| !is_hex(i)) {
                None => Ok(()),
                Some(i) => Err(Error::at(body, i, Code::Escape)),
            }
        }
        _ => Err(Error::at(body, at, Code::Escape)),
    }
}

/// Bit `i` of the result is the parity of the bits up to `i`.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// 0xff where the byte is below 0x20.
#[inline]
fn control(lane: u8x16) -> u8x16 {
    lane.min(u8x16::splat(0x1f)).simd_eq(lane)
}

#[inline]
fn lanes(bytes: &[u8; LEN]) -> [u8x16; 4] {
    let (lanes, _) = bytes.as_chunks::<16>();
    [lanes[0], lanes[1], lanes[2], lanes[3]].map(u8x16::new)
}

#[inline]
fn mask(lanes: [u8x16; 4]) -> u64 {
    let [a, b, c, d] = lanes.map(|lane| u64::from(lane.to_bitmask()));
    a | b << 16 | c << 32 | d << 48
}
