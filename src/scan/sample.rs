//! TABLESAMPLE of batches: BERNOULLI row by row, SYSTEM vector by vector. Which rows it takes depends on where they lie and on the seed, as
//! for heaps, so that REPEATABLE repeats.

use pgrx::pg_sys;

use super::exec::evaluate;
use crate::columnar::filter::WORDS;
use crate::columnar::reader::BatchReader;
use crate::error::{Error, Result, SqlState};
use crate::pg::guard::guard;
use crate::pg::{ffi, list};

const INVALID_ARGUMENT: SqlState = SqlState("2202H");
const INVALID_REPEAT: SqlState = SqlState("2202G");

/// A sample that is being taken.
pub struct Sample {
    by_vector: bool,
    percent: *mut pg_sys::ExprState,
    /// NULL without REPEATABLE.
    repeat: *mut pg_sys::ExprState,
    seed: u64,
    /// What hashes have to be less than.
    cutoff: u64,
}

/// True if rows of batches can be sampled by this method.
///
/// # Safety
/// A clause of the running planner.
pub unsafe fn is_known(clause: *mut pg_sys::TableSampleClause) -> bool {
    // SAFETY: the caller's promise.
    let handler = unsafe { (*clause).tsmhandler }.to_u32();
    handler == pg_sys::F_BERNOULLI || handler == pg_sys::F_SYSTEM
}

/// The clause as a plan keeps it: whether it goes by vector, as an integer; the percentage and the seed are expressions.
///
/// # Safety
/// A clause that [`is_known`] knows.
pub unsafe fn to_lists(clause: *mut pg_sys::TableSampleClause) -> (i32, *mut pg_sys::List) {
    // SAFETY: the caller's promise; these methods have one argument.
    unsafe {
        let mut expressions = list::pointers::<pg_sys::Node>((*clause).args);
        expressions.truncate(1);
        if !(*clause).repeatable.is_null() {
            expressions.push((*clause).repeatable.cast());
        }
        (((*clause).tsmhandler.to_u32() == pg_sys::F_SYSTEM).into(), list::from_pointers(expressions))
    }
}

impl Sample {
    /// A sample by a plan's integer and expressions.
    ///
    /// # Safety
    /// `parent` is the node that the executor is initialising.
    pub unsafe fn new(by_vector: bool, expressions: &[*mut pg_sys::Expr], parent: *mut pg_sys::PlanState) -> Result<Self> {
        let [percent, ref repeat @ ..] = *expressions else { return Err(Error::internal("TABLESAMPLE has an argument")) };
        // SAFETY: the caller's promise.
        unsafe {
            Ok(Self {
                by_vector,
                percent: ffi::ExecInitExpr(percent, parent),
                repeat: repeat.first().map_or(std::ptr::null_mut(), |repeat| ffi::ExecInitExpr(*repeat, parent)),
                seed: rand_seed(),
                cutoff: 0,
            })
        }
    }

    /// Evaluates the percentage and the seed, for the first or another scan.
    ///
    /// # Safety
    /// Within the query that made it.
    pub unsafe fn prepare(&mut self, econtext: *mut pg_sys::ExprContext) -> Result<()> {
        // SAFETY: compiled expressions of type real and double precision.
        unsafe {
            let percent = guard(|| evaluate(self.percent, econtext))
                .ok_or_else(|| Error::new(INVALID_ARGUMENT, "TABLESAMPLE parameter cannot be null"))?;
            let percent = f64::from(f32::from_bits(percent.value() as u32));
            if !(0.0..=100.0).contains(&percent) {
                return Err(Error::new(INVALID_ARGUMENT, "sample percentage must be between 0 and 100"));
            }
            self.cutoff = (percent / 100.0 * TWO_TO_32).round() as u64;
            if !self.repeat.is_null() {
                let repeat = guard(|| evaluate(self.repeat, econtext))
                    .ok_or_else(|| Error::new(INVALID_REPEAT, "TABLESAMPLE REPEATABLE parameter cannot be null"))?;
                self.seed = mix(repeat.value() as u64);
            }
        }
        Ok(())
    }

    /// Takes rows out of a selection; returns how many are left.
    pub fn thin(&self, batch: &BatchReader, vector: usize, selection: &mut [u64; WORDS]) -> usize {
        let tid = batch.tid();
        let place = u64::from(tid.ip_blkid.bi_hi) << 48 | u64::from(tid.ip_blkid.bi_lo) << 32 | u64::from(tid.ip_posid) << 16;
        let takes = |row: usize| (mix(self.seed ^ mix(place | row as u64)) >> 32) < self.cutoff;
        if self.by_vector {
            if !takes(vector) {
                selection.fill(0);
            }
        } else {
            for (index, word) in selection.iter_mut().enumerate() {
                let mut rest = *word;
                while rest != 0 {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    if !takes(vector << 10 | index << 6 | bit) {
                        *word &= !(1 << bit);
                    }
                }
            }
        }
        selection.iter().map(|word| word.count_ones() as usize).sum()
    }
}

const TWO_TO_32: f64 = 4_294_967_296.0;

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn rand_seed() -> u64 {
    // SAFETY: the backend's random numbers.
    unsafe { ffi::raw::pg_prng_uint64(&raw mut pg_sys::pg_global_prng_state) }
}
