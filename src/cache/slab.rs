//! Memory for entries of any size without an allocation for each: pages of 16 KiB, cut into slots of one size class.
//!
//! The classes waste little: steps of 8 octets up to 128, of 16 up to 256, then about 12 % up to 2 KiB; of the few larger
//! entries, at most six share a page. Only an entry larger than a page gets an allocation of its own. It matters that nearly
//! all memory is allocated in one size: blocks of many sizes, allocated by one worker and freed by another, stay behind in the
//! allocator.
//!
//! A page is freed when its last entry goes. A class whose free slots would fill a page can be compacted (`sparse_page`,
//! `evacuate`), so that a change in the mix of sizes moves memory from class to class instead of adding to it. A free slot
//! starts with a zero octet; an entry never does. The last octets of a slot are its links in the order of use.

use super::table::HANDLES_MAX;

/// Octets of a page.
pub const PAGE_BYTES: usize = 16 * 1024;

/// The largest class holds a full message of records whose names are expanded to twice their size.
const CLASS_BYTES: [u32; 57] = [
    32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 144, 160, 176, 192, 208, 224, 240, 256, // small steps
    288, 320, 360, 408, 448, 512, 584, 648, 744, 816, 904, 1024, 1168, 1360, 1488, 1632, 1816, 2048, 2336, // a page over n
    2728, 3272, 4096, 5456, 8192, 16384, // over 6 to 1
    20480, 24576, 28672, 32768, 40960, 49152, 57344, 65536, 81920, 98304, 131072, // of their own
];
const IN_PAGE_BYTES_MAX: usize = PAGE_BYTES;

const SLOT_BITS: u32 = 9;
/// More octets than this need more pages than a handle can name.
pub const BYTES_MAX: usize = (HANDLES_MAX >> SLOT_BITS) as usize * PAGE_BYTES;
/// No handle.
pub const NO_SLOT: u32 = u32::MAX;
const LINKS_BYTES: usize = 8;
const NONE: u16 = u16::MAX;
const NOT_LISTED: u32 = u32::MAX;

/// The neighbours of an entry in the order of use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Links {
    pub newer: u32,
    pub older: u32,
}

/// Octets of the page table itself: its records, and the lists of pages with room.
const PAGE_RECORD_BYTES: usize = size_of::<Page>() + 2 * size_of::<u32>();

struct Page {
    /// Empty once the page has been freed; its index is then in `vacant`.
    data: Box<[u8]>,
    class: u8,
    /// Octets of a slot of this class.
    slot: u32,
    used: u16,
    /// Slots from here on have never been used.
    fresh: u16,
    /// The first slot of the chain of freed slots.
    freed: u16,
    /// The index of this page in its class's list of pages with room.
    listed_at: u32,
}

#[derive(Default)]
struct Class {
    /// Pages with a free slot.
    roomy: Vec<u32>,
    free_slots: usize,
}

/// Pages of all size classes.
pub struct Slab {
    pages: Vec<Page>,
    vacant: Vec<u32>,
    classes: Vec<Class>,
    bytes: usize,
}

/// The size class for an entry; `None` if it is too large.
pub fn class_for(len: usize) -> Option<u8> {
    let class = CLASS_BYTES.partition_point(|size| (*size as usize) < len + LINKS_BYTES);
    (class < CLASS_BYTES.len()).then_some(class as u8)
}

/// Octets of a page of this class.
pub fn page_bytes(class: u8) -> usize {
    let slot = CLASS_BYTES[class as usize] as usize;
    PAGE_RECORD_BYTES + if slot > IN_PAGE_BYTES_MAX { slot } else { PAGE_BYTES }
}

/// Slots in a page of this class.
pub fn slots_per_page(class: u8) -> usize {
    let slot = CLASS_BYTES[class as usize] as usize;
    if slot > IN_PAGE_BYTES_MAX { 1 } else { PAGE_BYTES / slot }
}

impl Slab {
    /// Without any page.
    pub fn new() -> Slab {
        Slab { pages: Vec::new(), vacant: Vec::new(), classes: CLASS_BYTES.iter().map(|_| Class::default()).collect(), bytes: 0 }
    }

    /// Octets held, free slots included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Free slots of this class.
    pub fn free_slots(&self, class: u8) -> usize {
        self.classes[class as usize].free_slots
    }

    /// The class of a slot.
    pub fn class_of(&self, handle: u32) -> u8 {
        self.pages[page_of(handle)].class
    }

    /// The slot without its links; the entry knows its own length.
    pub fn slot(&self, handle: u32) -> &[u8] {
        let whole = self.whole(handle);
        &whole[..whole.len() - LINKS_BYTES]
    }

    /// The slot without its links, to be written.
    pub fn slot_mut(&mut self, handle: u32) -> &mut [u8] {
        let whole = self.whole_mut(handle);
        let len = whole.len() - LINKS_BYTES;
        &mut whole[..len]
    }

    /// The neighbours in the order of use.
    pub fn links(&self, handle: u32) -> Links {
        let Some([a, b, c, d, e, f, g, h]) = self.whole(handle).last_chunk::<LINKS_BYTES>().copied() else {
            return Links { newer: NO_SLOT, older: NO_SLOT };
        };
        Links { newer: u32::from_le_bytes([a, b, c, d]), older: u32::from_le_bytes([e, f, g, h]) }
    }

    /// Sets the neighbours in the order of use.
    pub fn set_links(&mut self, handle: u32, links: Links) {
        if let Some(place) = self.whole_mut(handle).last_chunk_mut::<LINKS_BYTES>() {
            place[..4].copy_from_slice(&links.newer.to_le_bytes());
            place[4..].copy_from_slice(&links.older.to_le_bytes());
        }
    }

    fn whole(&self, handle: u32) -> &[u8] {
        let page = &self.pages[page_of(handle)];
        let size = page.slot as usize;
        let at = slot_of(handle) * size;
        &page.data[at..at + size]
    }

    fn whole_mut(&mut self, handle: u32) -> &mut [u8] {
        let page = &mut self.pages[page_of(handle)];
        let size = page.slot as usize;
        let at = slot_of(handle) * size;
        &mut page.data[at..at + size]
    }

    /// Adds one page to a class. The caller has checked that `page_bytes(class)` more octets may be held.
    pub fn grow(&mut self, class: u8) {
        let data = vec![0; page_bytes(class) - PAGE_RECORD_BYTES].into_boxed_slice();
        let page = Page { data, class, slot: CLASS_BYTES[class as usize], used: 0, fresh: 0, freed: NONE, listed_at: NOT_LISTED };
        let index = match self.vacant.pop() {
            Some(index) => {
                self.pages[index as usize] = page;
                index
            }
            None => {
                self.pages.push(page);
                self.pages.len() as u32 - 1
            }
        };
        self.bytes += page_bytes(class);
        self.classes[class as usize].free_slots += slots_per_page(class);
        self.list(index);
    }

    /// A free slot of this class; `None` if a page must be added first.
    pub fn alloc(&mut self, class: u8) -> Option<u32> {
        let index = *self.classes[class as usize].roomy.last()?;
        let size = CLASS_BYTES[class as usize] as usize;
        let page = &mut self.pages[index as usize];
        let slot = if page.freed != NONE {
            let slot = page.freed;
            let at = slot as usize * size;
            page.freed = u16::from_le_bytes([page.data[at + 1], page.data[at + 2]]);
            slot
        } else {
            page.fresh += 1;
            page.fresh - 1
        };
        page.used += 1;
        let full = page.used as usize == slots_per_page(class);
        self.classes[class as usize].free_slots -= 1;
        if full {
            self.unlist(index);
        }
        Some(index << SLOT_BITS | u32::from(slot))
    }

    /// Frees a slot, and its page if that was the last entry.
    pub fn free(&mut self, handle: u32) {
        let index = page_of(handle);
        let class = self.pages[index].class;
        let next = self.pages[index].freed.to_le_bytes();
        self.slot_mut(handle)[..3].copy_from_slice(&[0, next[0], next[1]]);
        let page = &mut self.pages[index];
        page.freed = slot_of(handle) as u16;
        page.used -= 1;
        let (used, listed) = (page.used, page.listed_at != NOT_LISTED);
        self.classes[class as usize].free_slots += 1;
        if used == 0 {
            self.release(index as u32);
        } else if !listed {
            self.list(index as u32);
        }
    }

    /// The emptiest page of a class, if the other pages of the class have room for its entries.
    pub fn sparse_page(&self, class: u8) -> Option<u32> {
        if self.free_slots(class) < slots_per_page(class) {
            return None;
        }
        self.classes[class as usize].roomy.iter().copied().min_by_key(|index| self.pages[*index as usize].used)
    }

    /// Closes a page that `sparse_page` found: no new entry comes into it. The caller moves its entries with `move_out` and
    /// then frees it with `give_back`.
    pub fn close(&mut self, index: u32) -> Vec<u32> {
        let class = self.pages[index as usize].class;
        self.unlist(index);
        self.classes[class as usize].free_slots -= slots_per_page(class) - self.pages[index as usize].used as usize;
        self.live_in(index).collect()
    }

    /// Copies an entry of a closed page, with its links, to another page, and returns the new handle.
    pub fn move_out(&mut self, old: u32) -> u32 {
        let bytes = self.whole(old).to_vec();
        let Some(new) = self.alloc(self.class_of(old)) else { unreachable!("sparse_page counted the free slots") };
        self.whole_mut(new).copy_from_slice(&bytes);
        new
    }

    /// Frees a closed page without entries.
    pub fn give_back(&mut self, index: u32) {
        let page = &mut self.pages[index as usize];
        page.data = Box::default();
        self.bytes -= page_bytes(page.class);
        self.vacant.push(index);
    }

    /// Pages, freed ones included; page indices are below this.
    pub fn page_count(&self) -> u32 {
        self.pages.len() as u32
    }

    /// Handles of the entries of one page; none for a freed page.
    pub fn live_in(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let page = self.pages.get(index as usize);
        let size = page.map_or(1, |page| page.slot as usize);
        let fresh = page.filter(|page| !page.data.is_empty()).map_or(0, |page| page.fresh);
        (0..fresh)
            .filter(move |slot| page.is_some_and(|page| page.data[*slot as usize * size] != 0))
            .map(move |slot| index << SLOT_BITS | u32::from(slot))
    }

    fn release(&mut self, index: u32) {
        let class = self.pages[index as usize].class;
        self.unlist(index);
        self.classes[class as usize].free_slots -= slots_per_page(class);
        self.give_back(index);
    }

    fn list(&mut self, index: u32) {
        let roomy = &mut self.classes[self.pages[index as usize].class as usize].roomy;
        self.pages[index as usize].listed_at = roomy.len() as u32;
        roomy.push(index);
    }

    fn unlist(&mut self, index: u32) {
        let page = &mut self.pages[index as usize];
        let at = std::mem::replace(&mut page.listed_at, NOT_LISTED);
        if at == NOT_LISTED {
            return;
        }
        let roomy = &mut self.classes[page.class as usize].roomy;
        roomy.swap_remove(at as usize);
        if let Some(moved) = roomy.get(at as usize) {
            self.pages[*moved as usize].listed_at = at;
        }
    }
}

fn page_of(handle: u32) -> usize {
    (handle >> SLOT_BITS) as usize
}

fn slot_of(handle: u32) -> usize {
    (handle & ((1 << SLOT_BITS) - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(slab: &mut Slab, fill: u8, len: usize) -> u32 {
        let class = class_for(len).expect("size");
        if slab.free_slots(class) == 0 {
            slab.grow(class);
        }
        let handle = slab.alloc(class).expect("room");
        slab.slot_mut(handle)[..len].fill(fill);
        handle
    }

    #[test]
    fn classes_rise_and_waste_little() {
        for pair in CLASS_BYTES.windows(2) {
            assert!(pair[0] < pair[1]);
            let most = if pair[0] < 2048 { 1.26 } else { 2.0 };
            assert!(f64::from(pair[1]) / f64::from(pair[0]) <= most, "{pair:?}");
        }
        const { assert!(PAGE_BYTES / CLASS_BYTES[0] as usize <= 1 << SLOT_BITS) };
        let largest = CLASS_BYTES[CLASS_BYTES.len() - 1] as usize - LINKS_BYTES;
        for len in 1..=largest {
            let class = class_for(len).expect("fits");
            assert!(CLASS_BYTES[class as usize] as usize >= len + LINKS_BYTES);
        }
        assert_eq!(class_for(largest + 1), None);
    }

    #[test]
    fn pages_come_and_go() {
        let mut slab = Slab::new();
        let handles: Vec<_> = (0..1000).map(|n| place(&mut slab, 1 + (n % 250) as u8, 100)).collect();
        for (n, handle) in handles.iter().enumerate() {
            assert_eq!(slab.slot(*handle)[50], 1 + (n % 250) as u8);
        }
        let full = slab.bytes();
        for handle in &handles {
            slab.free(*handle);
        }
        assert_eq!((slab.bytes(), slab.free_slots(class_for(100).expect("size"))), (0, 0));
        for n in 0..1000 {
            place(&mut slab, 1 + (n % 250) as u8, 100);
        }
        assert_eq!(slab.bytes(), full);
    }

    #[test]
    fn a_sparse_class_is_compacted() {
        let mut slab = Slab::new();
        let class = class_for(200).expect("size");
        let handles: Vec<_> = (0..slots_per_page(class) * 4).map(|n| place(&mut slab, 1 + (n % 250) as u8, 200)).collect();
        let mut wanted: std::collections::HashMap<u32, u8> = std::collections::HashMap::new();
        for (n, handle) in handles.iter().enumerate() {
            if n % 3 == 0 {
                let fill = 1 + (n % 250) as u8;
                slab.set_links(*handle, Links { newer: *handle, older: u32::from(fill) });
                wanted.insert(*handle, fill);
            } else {
                slab.free(*handle);
            }
        }
        while let Some(page) = slab.sparse_page(class) {
            for old in slab.close(page) {
                let fill = wanted.remove(&old).expect("known");
                let new = slab.move_out(old);
                assert_eq!(slab.links(new), Links { newer: old, older: u32::from(fill) }, "they go along");
                slab.set_links(new, Links { newer: new, older: u32::from(fill) });
                wanted.insert(new, fill);
            }
            slab.give_back(page);
        }
        assert_eq!(slab.bytes(), 2 * page_bytes(class));
        for (handle, fill) in wanted {
            assert_eq!(slab.slot(handle)[199], fill);
        }
    }
}
