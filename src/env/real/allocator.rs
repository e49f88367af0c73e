//! The allocator of the program: mimalloc, asked in the way that costs least.
//!
//! mimalloc aligns every block well enough for nearly every type, as `malloc` does. A request that names an alignment makes it
//! look twice all the same, and take a larger block where the size is no multiple of a page's: 50 instructions and some memory a
//! block. So the alignment is named only where it counts.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned};

/// mimalloc aligns a block of at least this many octets to this many octets, and a smaller one to its own size
/// (`MI_MAX_ALIGN_SIZE` of mimalloc's `types.h`; C11 7.22.3).
const ALIGNED_BYTES: usize = 16;

/// The allocator of the program `cairn`.
pub struct Allocator;

fn is_aligned_anyway(size: usize, align: usize) -> bool {
    align <= ALIGNED_BYTES && align <= size
}

// SAFETY: each function hands its arguments to the function of mimalloc that has the same contract. Blocks of the two families
// of functions may be freed and resized alike.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: `align` is a power of two.
        unsafe { if is_aligned_anyway(size, align) { mi_malloc(size) } else { mi_malloc_aligned(size, align) }.cast() }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: `align` is a power of two.
        unsafe { if is_aligned_anyway(size, align) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }.cast() }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller says that the block is of this allocator, and uses it no more.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast(), layout.align());
        // SAFETY: the caller says that the block is of this allocator; `align` is a power of two.
        unsafe { if is_aligned_anyway(size, align) { mi_realloc(block, size) } else { mi_realloc_aligned(block, size, align) }.cast() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_aligned_and_keeps_its_octets() {
        for align in (0..=12).map(|shift| 1 << shift) {
            for size in (1..200).chain([255, 256, 500, 1_000, 1_024, 1_500, 4_000, 4_096, 9_000, 70_000, 1 << 20]) {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                let longer = size * 3 / 2 + 1;
                // SAFETY: the block is used within its size, and freed once with the layout that it has then.
                unsafe {
                    let zeroed = Allocator.alloc_zeroed(layout);
                    let block = Allocator.alloc(layout);
                    assert_eq!([block as usize % align, zeroed as usize % align], [0, 0], "{layout:?}");
                    assert!(std::slice::from_raw_parts(zeroed, size).iter().all(|octet| *octet == 0), "{layout:?}");
                    block.write_bytes(7, size);
                    let moved = Allocator.realloc(block, layout, longer);
                    assert_eq!(moved as usize % align, 0, "{layout:?}");
                    assert!(std::slice::from_raw_parts(moved, size).iter().all(|octet| *octet == 7), "{layout:?}");
                    Allocator.dealloc(moved, Layout::from_size_align(longer, align).expect("a layout"));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }
}
