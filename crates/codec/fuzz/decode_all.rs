//! What the fuzz target does with its bytes; a test does the same with the corpus.

use tsc_codec::{Block, Dictionary, Kind, VECTOR_ROWS, Vector, ZoneMap};

/// The kinds by the first byte.
pub const KINDS: [Kind; 12] = [
    Kind::Bool,
    Kind::Int(1),
    Kind::Int(2),
    Kind::Int(4),
    Kind::Int(8),
    Kind::Float4,
    Kind::Float8,
    Kind::Uuid,
    Kind::Fixed(6),
    Kind::Numeric,
    Kind::Text,
    Kind::Bytes,
];

/// Decodes a kind (one byte), a number of rows (two bytes) and a block in every way there is, and looks at what comes out.
pub fn decode_all(data: &[u8]) {
    let [kind, low, high, block @ ..] = data else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let rows = usize::from(u16::from_le_bytes([*low, *high]));
    _ = ZoneMap::decode(block);
    let Ok(block) = Block::parse(block, kind, rows) else { return };
    let mut dictionary = Dictionary::default();
    let has_dictionary = block.dictionary(&mut dictionary) == Ok(true);
    let mut vector = Vector::default();
    for index in 0..rows.div_ceil(VECTOR_ROWS) + 1 {
        if block.decode(index, &mut vector).is_ok() && !kind.is_word() {
            vector.words[..vector.rows].iter().for_each(|&offset| check_value(&vector.arena, offset as usize, kind));
        }
        for part in [0..1, 63..200, 700..1024] {
            if block.decode_part(index, part.clone(), &mut vector).is_ok() && !kind.is_word() {
                let valid = (part.start..part.end.min(vector.rows)).filter(|row| vector.is_valid(*row));
                valid.for_each(|row| check_value(&vector.arena, vector.words[row] as usize, kind));
            }
            if block.codes_part(index, part.clone(), &mut vector).is_ok() && has_dictionary {
                let valid = (part.start..part.end.min(vector.rows)).filter(|row| vector.is_valid(*row));
                valid.for_each(|row| assert!((vector.words[row] as usize) < dictionary.offsets.len()));
            }
        }
        if block.codes(index, &mut vector).is_ok() && has_dictionary {
            for &code in &vector.words[..vector.rows] {
                check_value(&dictionary.arena, dictionary.offsets[code as usize] as usize, kind);
            }
        }
    }
}

/// Each value, of a null row too, lies within the arena.
fn check_value(arena: &[u64], offset: usize, kind: Kind) {
    assert_eq!(offset % 8, 0);
    let rest = &arena[offset / 8..];
    let length = match kind.fixed_length() {
        Some(length) => length,
        None => {
            let word = rest[0].to_ne_bytes();
            u32::from_ne_bytes([word[0], word[1], word[2], word[3]]) as usize >> 2
        }
    };
    assert!(length <= rest.len() * 8);
}
