//! Sums and maxima of pixels, four channels a word, in the DSP instructions of
//! Armv7E-M.
//!
//! In and out: as `portable.rs` says, which defines every result. Invariant:
//! assembly reads the runs that its caller resolved through the view, and reads and
//! writes the sums or maxima; words of codes need no alignment.

use core::arch::naked_asm;

use super::super::view::Bytes;

/// See [`super::portable::POOL_WORDS`].
pub const POOL_WORDS: usize = 4;

/// Pixels whose sum fits 16 bits, whatever their codes.
const LANE_PIXELS: usize = 256;

/// See [`super::portable::PixelSums`]: channels 0 and 2 of a word share the 16-bit
/// lanes of a register, and 1 and 3.
#[derive(Clone, Copy)]
pub struct PixelSums<const WORDS: usize> {
    sums: [[i32; 4]; WORDS],
    lanes: [[i32; 2]; WORDS],
    /// How many pixels the lanes still have room for.
    room: usize,
}

impl<const WORDS: usize> PixelSums<WORDS> {
    /// See [`super::portable::PixelSums::new`].
    #[inline(always)]
    pub fn new(start: i32) -> Self {
        PixelSums { sums: [[start; 4]; WORDS], lanes: [[0; 2]; WORDS], room: LANE_PIXELS }
    }

    /// See [`super::portable::PixelSums::add`].
    #[inline(always)]
    pub fn add(&mut self, codes: Bytes<'_>, step: usize, count: usize) {
        let mut done = 0;
        while done < count {
            if self.room == 0 {
                self.empty();
            }
            let next = self.room.min(count - done);
            let run = codes.pointer(done * step, (next - 1) * step + 4 * WORDS);
            let mut word = 0;
            while word < WORDS {
                let lanes = self.lanes.as_mut_ptr().wrapping_add(word).cast();
                let run = run.wrapping_add(4 * word);
                if WORDS - word >= 4 {
                    // SAFETY: of each pixel the codes of four words that are left, and
                    // the lanes of these words are accessed.
                    unsafe { sum_four_words(run, step, next, lanes) };
                    word += 4;
                } else {
                    // SAFETY: the same of one word.
                    unsafe { sum_word(run, step, next, lanes) };
                    word += 1;
                }
            }
            self.room -= next;
            done += next;
        }
    }

    #[inline(never)]
    fn empty(&mut self) {
        let mut word = 0;
        while let (Some(sums), Some(lanes)) = (self.sums.get_mut(word), self.lanes.get_mut(word)) {
            let [even, odd] = *lanes;
            let sum = [even as i16 as i32, odd as i16 as i32, even >> 16, odd >> 16];
            for (total, sum) in sums.iter_mut().zip(sum) {
                *total = total.wrapping_add(sum);
            }
            *lanes = [0; 2];
            word = super::opaque_count(word + 1);
        }
        self.room = LANE_PIXELS;
    }

    /// See [`super::portable::PixelSums::finish`].
    #[inline(always)]
    pub fn finish(&mut self) -> &[[i32; 4]; WORDS] {
        self.empty();
        &self.sums
    }
}

/// See [`super::portable::PixelMaxima`].
#[derive(Clone, Copy)]
pub struct PixelMaxima<const WORDS: usize>([i32; WORDS]);

impl<const WORDS: usize> PixelMaxima<WORDS> {
    /// See [`super::portable::PixelMaxima::new`].
    #[inline(always)]
    pub fn new() -> Self {
        PixelMaxima([i32::from_le_bytes([0x80; 4]); WORDS])
    }

    /// See [`super::portable::PixelMaxima::add`].
    #[inline(always)]
    pub fn add(&mut self, codes: Bytes<'_>, step: usize, count: usize) {
        if count == 0 {
            return;
        }
        let run = codes.pointer(0, (count - 1) * step + 4 * WORDS);
        let mut word = 0;
        while word < WORDS {
            let maxima = self.0.as_mut_ptr().wrapping_add(word);
            let run = run.wrapping_add(4 * word);
            if WORDS - word >= 4 {
                // SAFETY: of each pixel the codes of four words that are left, and the
                // maxima of these words are accessed.
                unsafe { max_four_words(run, step, count, maxima) };
                word += 4;
            } else {
                // SAFETY: the same of one word.
                unsafe { max_word(run, step, count, maxima) };
                word += 1;
            }
        }
    }

    /// See [`super::portable::PixelMaxima::finish`].
    #[inline(always)]
    pub fn finish(self) -> [[i8; 4]; WORDS] {
        self.0.map(|word| word.to_le_bytes().map(|byte| byte as i8))
    }
}

impl<const WORDS: usize> Default for PixelMaxima<WORDS> {
    fn default() -> Self {
        PixelMaxima::new()
    }
}

// In: r0 = codes, r1 = bytes from pixel to pixel, r2 = pixels, at least one, r3 =
// lanes (below: maxima).
#[unsafe(naked)]
unsafe extern "C" fn sum_four_words(codes: *const i8, step: usize, count: usize, sums: *mut i32) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r3-r11, lr}}
        ldm r3, {{r4-r11}}
    1:
        ldr.w r3, [r0]
        ldr.w r12, [r0, #4]
        ldr.w lr, [r0, #8]
        sxtab16 r4, r4, r3
        sxtab16 r5, r5, r3, ror #8
        ldr.w r3, [r0, #12]
        sxtab16 r6, r6, r12
        sxtab16 r7, r7, r12, ror #8
        sxtab16 r8, r8, lr
        sxtab16 r9, r9, lr, ror #8
        sxtab16 r10, r10, r3
        sxtab16 r11, r11, r3, ror #8
        add r0, r0, r1
        subs r2, r2, #1
        bne 1b
        ldr r3, [sp]
        stm r3, {{r4-r11}}
        pop {{r3-r11, pc}}
        "
    )
}

#[unsafe(naked)]
unsafe extern "C" fn sum_word(codes: *const i8, step: usize, count: usize, sums: *mut i32) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4, r5, r6, lr}}
        ldm r3, {{r4, r5}}
    1:
        ldr r6, [r0]
        add r0, r0, r1
        sxtab16 r4, r4, r6
        sxtab16 r5, r5, r6, ror #8
        subs r2, r2, #1
        bne 1b
        stm r3, {{r4, r5}}
        pop {{r4, r5, r6, pc}}
        "
    )
}

#[unsafe(naked)]
unsafe extern "C" fn max_four_words(codes: *const i8, step: usize, count: usize, maxima: *mut i32) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4-r11, lr}}
        ldm r3, {{r4-r7}}
    1:
        ldr.w r8, [r0]
        ldr.w r9, [r0, #4]
        ldr.w r10, [r0, #8]
        ldr.w r11, [r0, #12]
        ssub8 r12, r8, r4
        sel r4, r8, r4
        ssub8 r12, r9, r5
        sel r5, r9, r5
        ssub8 r12, r10, r6
        sel r6, r10, r6
        ssub8 r12, r11, r7
        sel r7, r11, r7
        add r0, r0, r1
        subs r2, r2, #1
        bne 1b
        stm r3, {{r4-r7}}
        pop {{r4-r11, pc}}
        "
    )
}

#[unsafe(naked)]
unsafe extern "C" fn max_word(codes: *const i8, step: usize, count: usize, maxima: *mut i32) {
    naked_asm!(
        ".cpu cortex-m33",
        r"
        push {{r4, r5, r6, lr}}
        ldr r4, [r3]
    1:
        ldr r6, [r0]
        add r0, r0, r1
        ssub8 r5, r6, r4
        sel r4, r6, r4
        subs r2, r2, #1
        bne 1b
        str r4, [r3]
        pop {{r4, r5, r6, pc}}
        "
    )
}
