//! The order of use: a chain through the slots of a slab, from the most recently used entry to the next one to be evicted. The
//! slots hold its links (`Slab::links`); only its two ends are here.

use super::slab::{Links, NO_SLOT, Slab};

/// The ends of the chain.
pub struct Order {
    newest: u32,
    oldest: u32,
}

impl Order {
    /// An empty chain.
    pub fn new() -> Order {
        Order { newest: NO_SLOT, oldest: NO_SLOT }
    }

    /// The entry that is evicted next.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NO_SLOT).then_some(self.oldest)
    }

    /// Adds an entry as the most recently used.
    pub fn add_newest(&mut self, slab: &mut Slab, handle: u32) {
        self.link(slab, handle, Links { newer: NO_SLOT, older: self.newest });
    }

    /// Adds an entry as the next to be evicted.
    pub fn add_oldest(&mut self, slab: &mut Slab, handle: u32) {
        self.link(slab, handle, Links { newer: self.oldest, older: NO_SLOT });
    }

    /// Takes an entry out of the chain.
    pub fn remove(&mut self, slab: &mut Slab, handle: u32) {
        let Links { newer, older } = slab.links(handle);
        self.set_older(slab, newer, older);
        self.set_newer(slab, older, newer);
    }

    /// Makes an entry the most recently used.
    pub fn promote(&mut self, slab: &mut Slab, handle: u32) {
        if self.newest != handle {
            self.remove(slab, handle);
            self.add_newest(slab, handle);
        }
    }

    /// The entry has moved to another slot, together with its links.
    pub fn moved(&mut self, slab: &mut Slab, new: u32) {
        let links = slab.links(new);
        self.link(slab, new, links);
    }

    fn link(&mut self, slab: &mut Slab, handle: u32, links: Links) {
        slab.set_links(handle, links);
        self.set_older(slab, links.newer, handle);
        self.set_newer(slab, links.older, handle);
    }

    fn set_older(&mut self, slab: &mut Slab, of: u32, older: u32) {
        match of {
            NO_SLOT => self.newest = older,
            _ => slab.set_links(of, Links { older, ..slab.links(of) }),
        }
    }

    fn set_newer(&mut self, slab: &mut Slab, of: u32, newer: u32) {
        match of {
            NO_SLOT => self.oldest = newer,
            _ => slab.set_links(of, Links { newer, ..slab.links(of) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slab::class_for;
    use super::*;

    fn from_oldest(order: &Order, slab: &Slab) -> Vec<u32> {
        std::iter::successors(order.oldest(), |handle| Some(slab.links(*handle).newer).filter(|newer| *newer != NO_SLOT)).collect()
    }

    #[test]
    fn first_in_first_out_unless_used() {
        let (mut slab, mut order) = (Slab::new(), Order::new());
        let class = class_for(20).expect("small");
        slab.grow(class);
        let handles: Vec<u32> = (0..4).map(|_| slab.alloc(class).expect("room")).collect();
        for handle in &handles[..3] {
            order.add_newest(&mut slab, *handle);
        }
        order.add_oldest(&mut slab, handles[3]);
        assert_eq!(from_oldest(&order, &slab), [handles[3], handles[0], handles[1], handles[2]]);
        order.promote(&mut slab, handles[0]);
        order.promote(&mut slab, handles[0]);
        assert_eq!(from_oldest(&order, &slab), [handles[3], handles[1], handles[2], handles[0]]);
        for handle in [handles[0], handles[3], handles[2], handles[1]] {
            order.remove(&mut slab, handle);
        }
        assert_eq!((order.oldest(), order.newest), (None, NO_SLOT));
    }
}
