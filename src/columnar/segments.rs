//! The segments of a chunk's rows, told apart by the images of their values and numbered as they are seen.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use pgrx::pg_sys;

use super::image::Image;
use super::order::Order;
use super::shape::Shape;
use super::stable_sort;
use super::value;
use crate::pg::ffi::{self, raw};
use crate::pg::guard::guard;

/// The segments that were seen.
pub struct Segments {
    columns: Vec<SegmentColumn>,
    /// The values of each segment, by id, copied into `context`.
    values: Vec<Option<pg_sys::Datum>>,
    context: pg_sys::MemoryContext,
    /// The images of each segment's values, one segment after the other, and where they end, by id.
    images: Vec<u8>,
    ends: Vec<usize>,
    /// A hash table without links: ids, counted from 1, at the first place that was free from that of their hash on; 0 if free.
    places: Vec<u32>,
    hashes: Vec<u64>,
    hasher: RandomState,
    /// By id, the segment of the row that came last after one of this segment: series mostly come in turns, or one after the other.
    followers: Vec<u32>,
    last: u32,
    key: Vec<u8>,
}

struct SegmentColumn {
    attribute: usize,
    image: Image,
    order: Order,
    length: i16,
    by_value: bool,
}

/// Places that a table begins with; a power of two, as all sizes are.
const FEWEST_PLACES: usize = 64;

impl Segments {
    /// No segment has been seen. Values are kept in a child of the current memory context.
    pub fn new(shape: &Shape) -> Self {
        let column = |index: &usize| {
            let column = &shape.columns[*index];
            SegmentColumn {
                attribute: column.attribute as usize - 1,
                image: column.image,
                order: Order::of(column.type_oid, column.collation),
                length: column.length,
                by_value: column.by_value,
            }
        };
        // SAFETY: the context is freed by `end`, or with its parent.
        let context = unsafe {
            ffi::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"timescale_compat segments".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Self {
            columns: shape.segmentby.iter().map(column).collect(),
            values: Vec::new(),
            context,
            images: Vec::new(),
            ends: Vec::new(),
            places: vec![0; FEWEST_PLACES],
            hashes: Vec::new(),
            hasher: RandomState::new(),
            followers: Vec::new(),
            last: 0,
            key: Vec::new(),
        }
    }

    /// How many there are; none without segmentby columns.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that they take.
    pub fn memory(&self) -> usize {
        let per_segment = size_of::<usize>() + size_of::<u64>() + 2 * size_of::<u32>();
        // SAFETY: the context lives as long as self.
        let values = unsafe { (*self.context).mem_allocated };
        let datums = self.values.capacity() * size_of::<Option<pg_sys::Datum>>();
        values + self.images.capacity() + self.places.len() * size_of::<u32>() + datums + self.ends.capacity() * per_segment
    }

    /// The value of a segmentby column (by its place among these).
    pub fn value(&self, id: u32, column: usize) -> Option<pg_sys::Datum> {
        self.values[id as usize * self.columns.len() + column]
    }

    /// The id of a row's segment; 0 without segmentby columns.
    ///
    /// # Safety
    /// The arrays hold a row of the chunk. May jump.
    #[inline]
    pub unsafe fn id(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> u32 {
        if self.columns.is_empty() {
            return 0;
        }
        self.key.clear();
        for column in &self.columns {
            // SAFETY: the caller's promise.
            unsafe {
                if *nulls.add(column.attribute) {
                    self.key.push(0);
                } else {
                    self.key.push(1);
                    let value = *values.add(column.attribute);
                    let value = if column.by_value { value::canonical(value, column.length) } else { value };
                    value::append_image(column.image, value, &mut self.key);
                }
            }
        }
        if let Some(guess) = self.followers.get(self.last as usize)
            && self.image(*guess) == self.key
        {
            self.last = *guess;
            return self.last;
        }
        // SAFETY: the caller's promise.
        let id = unsafe { self.find_or_add(values, nulls) };
        let last = self.last as usize;
        self.followers[last] = id;
        self.last = id;
        id
    }

    fn image(&self, id: u32) -> &[u8] {
        let id = id as usize;
        &self.images[if id == 0 { 0 } else { self.ends[id - 1] }..self.ends[id]]
    }

    /// # Safety
    /// As [`Self::id`], whose key has been made.
    unsafe fn find_or_add(&mut self, values: *const pg_sys::Datum, nulls: *const bool) -> u32 {
        let hash = self.hasher.hash_one(self.key.as_slice());
        let mut place = hash as usize & (self.places.len() - 1);
        while let Some(id) = self.places[place].checked_sub(1) {
            if self.hashes[id as usize] == hash && self.image(id) == self.key {
                return id;
            }
            place = (place + 1) & (self.places.len() - 1);
        }
        // SAFETY: the caller's promise.
        unsafe { self.copy_values(values, nulls) };
        let id = self.ends.len() as u32;
        self.images.extend_from_slice(&self.key);
        self.ends.push(self.images.len());
        self.hashes.push(hash);
        self.followers.push(id);
        self.places[place] = id + 1;
        if self.ends.len() * 2 > self.places.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mask = self.places.len() * 2 - 1;
        let mut places = vec![0; mask + 1];
        for (id, hash) in self.hashes.iter().enumerate() {
            let mut place = *hash as usize & mask;
            while places[place] != 0 {
                place = (place + 1) & mask;
            }
            places[place] = id as u32 + 1;
        }
        self.places = places;
    }

    /// # Safety
    /// As [`Self::id`].
    unsafe fn copy_values(&mut self, values: *const pg_sys::Datum, nulls: *const bool) {
        // If an earlier call was left in the middle.
        self.values.truncate(self.ends.len() * self.columns.len());
        for column in &self.columns {
            // SAFETY: the caller's promise; the context lives as long as self.
            let copy = unsafe {
                let outer = pg_sys::CurrentMemoryContext;
                pg_sys::CurrentMemoryContext = self.context;
                let value = (!*nulls.add(column.attribute))
                    .then(|| raw::datumCopy(*values.add(column.attribute), column.by_value, column.length.into()));
                pg_sys::CurrentMemoryContext = outer;
                value
            };
            self.values.push(copy);
        }
    }

    /// All ids in the order of their segments' values, NULL last.
    pub fn in_order(&self) -> Vec<u32> {
        let width = self.columns.len();
        let mut ids: Vec<u32> = (0..self.count() as u32).collect();
        let mut scratch = ids.clone();
        let values = |id: u32| &self.values[id as usize * width..(id as usize + 1) * width];
        // SAFETY: values of the columns; only references on the frames that an ERROR jumps over.
        let mut precedes = |left: &u32, right: &u32| unsafe {
            if pg_sys::InterruptPending != 0 {
                raw::ProcessInterrupts();
            }
            for ((column, left), right) in self.columns.iter().zip(values(*left)).zip(values(*right)) {
                let order = match (left, right) {
                    (Some(left), Some(right)) => column.order.compare(*left, *right),
                    (left, right) => left.is_none().cmp(&right.is_none()),
                };
                if order != Ordering::Equal {
                    return order == Ordering::Less;
                }
            }
            false
        };
        let (all, spare) = (ids.as_mut_slice(), scratch.as_mut_slice());
        // SAFETY: both vectors are out here.
        unsafe { guard(|| stable_sort::sort(all, spare, &mut precedes)) };
        ids
    }

    /// The place of each segment, by id, in the order of the segments' values, NULL last.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.count()];
        for (rank, id) in self.in_order().into_iter().enumerate() {
            ranks[id as usize] = rank as u32;
        }
        ranks
    }

    /// Frees its memory, which goes with its parent otherwise.
    pub fn end(self) {
        // SAFETY: made by `new`.
        unsafe { ffi::MemoryContextDelete(self.context) };
    }
}
